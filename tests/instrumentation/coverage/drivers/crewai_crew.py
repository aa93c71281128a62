"""A crew on CrewAI: one run a scenario, named by it."""

import asyncio
import contextlib
import os

os.environ |= {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
}

import spanlore.auto
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from spanlore.instrumentation import run

BY_LITELLM = os.environ.get("CREWAI_BY_LITELLM") == "true"


@tool("weather")
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


@tool("fails")
def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


def crew(*tools, model="gpt-4o", **options):
    agent = Agent(
        role="weather",
        goal="Tell of the weather.",
        backstory="Be brief.",
        tools=list(tools),
        llm=LLM(model=f"openai/{model}", is_litellm=BY_LITELLM, **options),
        max_iter=3,
        max_retry_limit=0,
    )
    task = Task(description="How is the weather?", expected_output="A word.", agent=agent)
    return Crew(name="forecast", agents=[agent], tasks=[task], verbose=False)


async def in_async():
    with run("async"):
        await crew().kickoff_async()


with run("chat"):
    crew().kickoff()
with run("stream"):
    crew(stream=True).kickoff()
with run("tools"):
    crew(weather).kickoff()
with run("tool error"):
    crew(fails).kickoff()
with run("error"), contextlib.suppress(Exception):
    crew(model="gpt-refused").kickoff()
with run("retry"):
    crew(model="gpt-busy").kickoff()
asyncio.run(in_async())
