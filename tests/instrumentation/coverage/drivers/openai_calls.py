"""An agent on OpenAI's SDK: one run a scenario, named by it."""

import asyncio
import contextlib
import json

import openai
import spanlore.auto
from spanlore.instrumentation import run, tool

client, later = openai.OpenAI(), openai.AsyncOpenAI()
QUESTION = {"role": "user", "content": "How is the weather?"}
MESSAGES = [{"role": "system", "content": "Be brief."}, QUESTION]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]


@tool
def weather(city):
    if city == "Paris" and failing:
        raise LookupError(city)
    return "sunny"


def agent():
    messages = list(MESSAGES)
    answer = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls
    try:
        result = weather(**json.loads(call.function.arguments))
    except LookupError as error:
        result = repr(error)
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    client.chat.completions.create(model="m", messages=messages, tools=TOOLS)


async def in_async():
    with run("async"):
        await later.chat.completions.create(model="m", messages=MESSAGES)
    with run("async stream"):
        usage = {"include_usage": True}
        answer = await later.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, stream_options=usage
        )
        async for _ in answer:
            pass
    with run("async retry"):
        await later.chat.completions.create(model="busy-async", messages=MESSAGES)


with run("chat"):
    client.chat.completions.create(model="m", messages=MESSAGES, temperature=0.5)
with run("stream"):
    for _ in client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ):
        pass
with run("abandoned stream"):
    for _ in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
        break
failing = False
with run("tools"):
    agent()
failing = True
with run("tool error"):
    agent()
with run("reasoning in chat"):
    client.chat.completions.create(model="thinking-m", messages=MESSAGES)
if hasattr(client, "responses"):  # versions from before it was there are supported too
    with run("reasoning"):
        client.responses.create(model="thinking-m", input="How is the weather?")
    with run("responses"):
        client.responses.create(model="m", instructions="Be brief.", input=[QUESTION])
    with run("responses stream"):
        for _ in client.responses.create(model="m", input="How is the weather?", stream=True):
            pass
with run("error"), contextlib.suppress(openai.BadRequestError):
    client.chat.completions.create(model="refused-m", messages=MESSAGES)
with run("retry"):
    client.chat.completions.create(model="busy-m", messages=MESSAGES)
with run("embeddings"):
    client.embeddings.create(model="m", input="sunny", encoding_format="float")
asyncio.run(in_async())
