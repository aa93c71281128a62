"""An agent on the OpenAI Agents SDK: one run a scenario, named by it."""

import asyncio
import contextlib

import openai
import spanlore.auto
from agents import Agent, Runner, function_tool
from agents.tracing.processors import default_exporter
from spanlore.instrumentation import run

default_exporter().export = list  # nothing goes to OpenAI


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


def agent(*tools, model="m"):
    return Agent(
        name="weather",
        instructions="Be brief.",
        model=model,
        tools=[function_tool(each) for each in tools],
    )


async def in_async():
    with run("async"):
        await Runner.run(agent(weather), "How is the weather?")
    with run("async stream"):
        answer = Runner.run_streamed(agent(), "How is the weather?")
        async for _ in answer.stream_events():
            pass
    with run("async retry"):
        await Runner.run(agent(model="busy-m"), "How is the weather?")


with run("chat"):
    Runner.run_sync(agent(), "How is the weather?")
with run("tools"):
    Runner.run_sync(agent(weather), "How is the weather?")
with run("tool error"):
    Runner.run_sync(agent(fails), "How is the weather?")
with run("reasoning"):
    Runner.run_sync(agent(model="thinking-m"), "How is the weather?")
with run("error"), contextlib.suppress(openai.BadRequestError):
    Runner.run_sync(agent(model="refused-m"), "How is the weather?")
asyncio.run(in_async())
