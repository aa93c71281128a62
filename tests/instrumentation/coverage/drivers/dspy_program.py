"""A program on DSPy: one run a scenario, named by it."""

import contextlib
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched

import spanlore.auto
import dspy
from spanlore.instrumentation import run


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def model(name="m"):
    return dspy.LM(f"openai/{name}", cache=False, num_retries=2)


with run("chat"):
    model()(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How is the weather?"},
        ]
    )
with run("tool alone"):
    dspy.Tool(weather)(city="Paris")
with run("error"), contextlib.suppress(Exception):
    model("refused-m")("How is the weather?")
