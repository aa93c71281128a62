"""The agent as Langfuse's users trace it."""

from forecaster import ask_twice
from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import OpenAI

ask_twice(
    agent=observe(as_type="agent"),
    tool=observe(as_type="tool"),
    client=OpenAI(),
    about=lambda: propagate_attributes(user_id="ada", session_id="talk-7"),
)
get_client().flush()
