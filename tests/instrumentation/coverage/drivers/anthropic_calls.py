"""An agent on Anthropic's SDK: one run a scenario, named by it."""

import asyncio
import contextlib

import anthropic
import spanlore.auto
from spanlore.instrumentation import run, tool

client, later = anthropic.Anthropic(), anthropic.AsyncAnthropic()
MESSAGES = [{"role": "user", "content": "How is the weather?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}]
CALL = {"max_tokens": 64, "messages": MESSAGES}


@tool
def weather(city):
    if failing:
        raise LookupError(city)
    return "sunny"


def agent():
    answer = client.messages.create(model="m", system="Be brief.", tools=TOOLS, **CALL)
    (call,) = answer.content
    block = {"type": "tool_result", "tool_use_id": call.id}
    try:
        block["content"] = weather(**call.input)
    except LookupError as error:
        block |= {"content": repr(error), "is_error": True}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [block]},
    ]
    client.messages.create(model="m", max_tokens=64, messages=messages, tools=TOOLS)


async def in_async():
    with run("async"):
        await later.messages.create(model="m", **CALL)
    with run("async stream"):
        async with later.messages.stream(model="m", **CALL) as answer:
            await answer.get_final_message()
    with run("async retry"):
        await later.messages.create(model="busy-async", **CALL)


with run("chat"):
    client.messages.create(model="m", system="Be brief.", **CALL)
with run("stream"), client.messages.stream(model="m", **CALL) as given:
    given.get_final_message()
with run("abandoned stream"):
    for _ in client.messages.create(model="m", stream=True, **CALL):
        break
failing = False
with run("tools"):
    agent()
failing = True
with run("tool error"):
    agent()
with run("reasoning"):
    client.messages.create(model="thinking-m", **CALL)
with run("error"), contextlib.suppress(anthropic.BadRequestError):
    client.messages.create(model="refused-m", **CALL)
with run("retry"):
    client.messages.create(model="busy-m", **CALL)
asyncio.run(in_async())
