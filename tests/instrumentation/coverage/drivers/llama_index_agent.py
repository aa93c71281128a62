"""An agent on LlamaIndex: one run a scenario, named by it."""

import asyncio
import contextlib
import os

import spanlore.auto
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from spanlore.instrumentation import run


def model(name="m"):
    return OpenAILike(
        model=name,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=2,
        api_base=os.environ["OPENAI_BASE_URL"],
    )


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


async def in_async():
    with run("async"):
        await model().achat([ChatMessage("How is the weather?")])
    with run("tools"):
        await FunctionAgent(tools=[weather], llm=model(), streaming=False).run(
            "How is the weather?"
        )
    with run("tool error"):
        await FunctionAgent(tools=[fails], llm=model(), streaming=False).run("How is the weather?")


with run("chat"):
    model().chat([ChatMessage("Be brief.", role="system"), ChatMessage("How is the weather?")])
with run("stream"):
    for _ in model().stream_chat([ChatMessage("How is the weather?")]):
        pass
with run("error"), contextlib.suppress(Exception):
    model("refused-m").chat([ChatMessage("How is the weather?")])
with run("retry"):
    model("busy-m").chat([ChatMessage("How is the weather?")])
asyncio.run(in_async())
