"""An agent on LangChain and LangGraph: one run a scenario, named by it."""

import asyncio
import contextlib

import openai
import spanlore.auto
from langchain_core.tools import ToolException
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import ToolNode, create_react_agent
from spanlore.instrumentation import run

QUESTION = {"messages": [("user", "How is the weather?")]}


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


def says_no(city: str) -> str:
    """The weather."""
    raise ToolException(city)


def agent(*tools, **options):
    return create_react_agent(
        ChatOpenAI(model="m", **options), ToolNode(tools, handle_tool_errors=True), name="weather"
    )


working = agent(as_tool(weather))
handled = as_tool(says_no)
handled.handle_tool_error = True
model = ChatOpenAI(model="m")


async def in_async():
    with run("async"):
        await working.ainvoke(QUESTION)
    with run("async stream"):
        async for _ in model.astream("How is the weather?"):
            pass


with run("chat"):
    model.invoke([("system", "Be brief."), ("user", "How is the weather?")])
with run("stream"):
    for _ in ChatOpenAI(model="m", stream_usage=True).stream("How is the weather?"):
        pass
with run("tools"):
    working.invoke(QUESTION, {"configurable": {"thread_id": "thread"}})
with run("tool error"):
    agent(as_tool(fails)).invoke(QUESTION)
with run("tool error told to the model"):
    agent(handled).invoke(QUESTION)
with run("error"), contextlib.suppress(openai.BadRequestError):
    ChatOpenAI(model="refused-m").invoke("How is the weather?")
with run("retry"):
    ChatOpenAI(model="busy-m").invoke("How is the weather?")
asyncio.run(in_async())
