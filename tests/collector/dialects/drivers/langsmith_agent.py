"""The agent as LangSmith's users trace it who send their spans over OTLP."""

from forecaster import ask_twice
from langsmith import Client, traceable, tracing_context
from langsmith.wrappers import wrap_openai
from openai import OpenAI

client = Client()
ask_twice(
    agent=traceable(client=client),
    tool=traceable(run_type="tool", client=client),
    client=wrap_openai(OpenAI(), tracing_extra={"client": client}),
    about=lambda: tracing_context(metadata={"user_id": "ada", "session_id": "talk-7"}),
)
client.flush()
