"""An agent of LangChain's as LangSmith's users trace it who send their spans over OTLP."""

import contextlib

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_core.tracers.langchain import wait_for_all_tracers
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """The weather."""
    if is_down:
        raise LookupError(city)
    return "sunny"


forecaster = create_agent(
    ChatOpenAI(model="m", temperature=0.5),
    [weather],
    system_prompt="Be brief.",
    name="forecaster",
)
for is_down in (False, True):
    with contextlib.suppress(LookupError):
        forecaster.invoke(
            {"messages": [{"role": "user", "content": "How is the weather?"}]},
            {"metadata": {"user_id": "ada", "session_id": "talk-7"}},
        )
wait_for_all_tracers()
