"""An agent on LiteLLM: one run a scenario, named by it."""

import asyncio
import contextlib
import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched
os.environ["OPENAI_API_BASE"] = os.environ["OPENAI_BASE_URL"]  # as older versions call it

import spanlore.auto
import litellm
from spanlore.instrumentation import run, tool

QUESTION = {"role": "user", "content": "How is the weather?"}
MESSAGES = [{"role": "system", "content": "Be brief."}, QUESTION]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
USAGE = {"include_usage": True}


@tool
def weather(city):
    if failing:
        raise LookupError(city)
    return "sunny"


def agent(model):
    messages = list(MESSAGES)
    answer = litellm.completion(model=model, messages=messages, tools=TOOLS, max_tokens=64)
    (call,) = answer.choices[0].message.tool_calls
    try:
        result = weather(**json.loads(call.function.arguments))
    except LookupError as error:
        result = repr(error)
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    litellm.completion(model=model, messages=messages, tools=TOOLS, max_tokens=64)


async def in_async():
    with run("async"):
        await litellm.acompletion(model="openai/m", messages=MESSAGES)
    with run("async stream"):
        answer = await litellm.acompletion(
            model="anthropic/m", messages=MESSAGES, stream=True, stream_options=USAGE
        )
        async for _ in answer:
            pass
    with run("async responses"):
        await litellm.aresponses(model="openai/m", input="How is the weather?")
        answer = await litellm.aresponses(
            model="openai/m", input="How is the weather?", stream=True
        )
        async for _ in answer:
            pass
    with run("async text"):
        await litellm.atext_completion(model="openai/m", prompt="How is the weather?")
    with run("async retry"):
        await litellm.acompletion(model="openai/busy-async", messages=MESSAGES, num_retries=2)


with run("chat"):
    litellm.completion("openai/m", MESSAGES, temperature=0.5)
    litellm.completion("anthropic/m", MESSAGES, max_tokens=64)
with run("stream"):
    for _ in litellm.completion(
        model="openai/m", messages=MESSAGES, stream=True, stream_options=USAGE
    ):
        pass
    for _ in litellm.completion(model="anthropic/thinking-m", messages=MESSAGES, stream=True):
        pass
with run("responses"):
    litellm.responses("How is the weather?", "openai/m", instructions="Be brief.", temperature=0.5)
    litellm.responses(
        input=[QUESTION], model="openai/thinking-m", tools=[{"type": "function", **FUNCTION}]
    )
    litellm.responses(model="anthropic/m", input="How is the weather?")
with run("responses stream"):
    for _ in litellm.responses(model="openai/m", input="How is the weather?", stream=True):
        pass
with run("text"):
    litellm.text_completion("How is the weather?", "openai/m", max_tokens=64)
    litellm.text_completion(model="anthropic/m", prompt=["How is the weather?"], max_tokens=64)
with run("text stream"):
    for model in ("openai/m", "anthropic/m"):
        for _ in litellm.text_completion(
            model=model, prompt="How is the weather?", stream=True, stream_options=USAGE
        ):
            pass
with run("abandoned stream"):
    for _ in litellm.completion(model="openai/m", messages=MESSAGES, stream=True):
        break
failing = False
with run("tools"):
    agent("anthropic/m")
failing = True
with run("tool error"):
    agent("openai/m")
with run("reasoning in chat"):
    litellm.completion(model="openai/thinking-m", messages=MESSAGES)
    litellm.completion(model="anthropic/thinking-m", messages=MESSAGES, max_tokens=64)
with run("error"), contextlib.suppress(litellm.BadRequestError):
    litellm.completion(model="anthropic/refused-m", messages=MESSAGES, max_tokens=64)
with run("retry"):
    litellm.completion(model="openai/busy-m", messages=MESSAGES, num_retries=2)
with run("embeddings"):
    litellm.embedding(model="openai/m", input=["sunny"])
asyncio.run(in_async())
