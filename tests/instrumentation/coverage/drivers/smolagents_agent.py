"""An agent on smolagents: one run a scenario, named by it."""

import contextlib

import spanlore.auto
from smolagents import OpenAIServerModel, Tool, ToolCallingAgent
from spanlore.instrumentation import run


class Weather(Tool):
    name = "weather"
    description = "The weather."
    inputs = {"city": {"type": "string", "description": "Where."}}
    output_type = "string"

    def forward(self, city: str) -> str:
        return "sunny"


class Fails(Weather):
    name = "fails"

    def forward(self, city: str) -> str:
        raise LookupError(city)


def ask(*tools, model="m"):
    agent = ToolCallingAgent(
        tools=list(tools), model=OpenAIServerModel(model), max_steps=2, verbosity_level=0
    )
    with contextlib.suppress(Exception):
        agent.run("How is the weather?")


with run("tools"):
    ask(Weather())
with run("tool error"):
    ask(Fails())
with run("error"):
    ask(model="refused-m")
with run("retry"):
    ask(Weather(), model="busy-m")
