"""An agent on Pydantic AI: one run a scenario, named by it."""

import asyncio
import contextlib

import spanlore.auto
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError, ModelRetry, UnexpectedModelBehavior
from spanlore.instrumentation import run


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


def asks_again(city: str) -> str:
    """The weather."""
    raise ModelRetry(city)


def agent(*tools, model="m"):
    return Agent(f"openai-chat:{model}", name="weather", instructions="Be brief.", tools=tools)


async def in_async():
    with run("async"):
        await agent(weather).run("How is the weather?")
    with run("async stream"):
        async with agent().run_stream("How is the weather?") as answer:
            await answer.get_output()
    with run("async retry"):
        await agent(model="busy-m").run("How is the weather?")


with run("chat"):
    agent().run_sync("How is the weather?")
with run("tools"):
    agent(weather).run_sync("How is the weather?")
with run("tool error"), contextlib.suppress(LookupError):
    agent(fails).run_sync("How is the weather?")
with run("tool error told to the model"), contextlib.suppress(UnexpectedModelBehavior):
    agent(asks_again).run_sync("How is the weather?")
with run("reasoning in chat"):
    agent(model="thinking-m").run_sync("How is the weather?")
with run("error"), contextlib.suppress(ModelHTTPError):
    agent(model="refused-m").run_sync("How is the weather?")
asyncio.run(in_async())
