"""An agent on Google's GenAI SDK: one run a scenario, named by it."""

import asyncio
import contextlib

import spanlore.auto
from google import genai
from google.genai import errors, types
from spanlore.instrumentation import run

retrying = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=2, initial_delay=0.01))
client = genai.Client()
QUESTION = "How is the weather?"


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


def ask(model="m", **config):
    return client.models.generate_content(
        model=model, contents=QUESTION, config=types.GenerateContentConfig(**config)
    )


async def in_async():
    with run("async"):
        await client.aio.models.generate_content(model="m", contents=QUESTION)
    with run("async stream"):
        answer = await client.aio.models.generate_content_stream(model="m", contents=QUESTION)
        async for _ in answer:
            pass


with run("chat"):
    ask(system_instruction="Be brief.", temperature=0.5)
with run("stream"):
    for _ in client.models.generate_content_stream(model="m", contents=QUESTION):
        pass
with run("tools"):
    ask(tools=[weather])
with run("tool error"):
    ask(tools=[fails])
with run("reasoning"):
    ask("thinking-m")
with run("error"), contextlib.suppress(errors.ClientError):
    ask("refused-m")
with run("retry"):
    ask("busy-m", http_options=retrying)
with run("embeddings"):
    client.models.embed_content(model="m", contents="sunny")
asyncio.run(in_async())
