"""Every call inside our own code may raise: what the program sees stays as it was."""

import json
from pathlib import Path

import pytest

from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.injected_faults import injecting
from tests.instrumentation.traced import dead_url, run_command, run_script
from tests.packages import python_with

EACH_CALL_ONCE = 1
ALL_FAULTS = 10_000
# What one process does in well under a minute: each call once with two kinds of exception.
A_PROCESS = 500
# A minute and more where a machine is busy.
PROCESS_S_MAX = 600

PROGRAM = """
    class OfTheProgram(Exception):
        pass

    GIVEN, RAISED = object(), OfTheProgram("of the program")

    @tool
    def gives(value, *, key="k"):
        return value

    @tool
    def fails():
        raise RAISED

    @tool
    async def gives_later(value):
        return value

    @tool
    def yields(value):
        yield value

    @tool
    async def yields_later(value):
        yield value

    async def later():
        return [await gives_later(GIVEN), *[each async for each in yields_later(GIVEN)]]

    def program():
        seen = []
        with run("assistant", user="ann", segments={"zone": "utc"}) as current:
            seen.append(gives(GIVEN) is GIVEN)
            seen.append(asyncio.run(later()) == [GIVEN, GIVEN])
            seen.append(list(yields(GIVEN)) == [GIVEN])
            try:
                fails()
            except OfTheProgram as error:
                seen.append(error is RAISED)
            judge("pass", score=1.0)
            feedback(score=1, comment="fine")
            override(field="/start", original="9", replacement="10")
            seen.append(lessons_for().text == "")
        try:
            with run("assistant"), run("inner"):
                raise RAISED
        except OfTheProgram as error:
            seen.append(error is RAISED)
        return seen
"""


@pytest.mark.parametrize(
    "faults",
    [
        EACH_CALL_ONCE,
        pytest.param(ALL_FAULTS, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)]),
    ],
)
def test_no_fault_within_our_code_reaches_the_program(faults: int, tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(), "SPANLORE_DELIVERY_URL": dead_url()}
    count = 0
    while count < faults:
        asked = str(min(faults, A_PROCESS))
        script = injecting(PROGRAM)
        ended = run_script(script, tmp_path, asked, "1", env=env, timeout_s=PROCESS_S_MAX)
        assert ended.code == 0, ended.err
        told = json.loads(ended.out)
        assert told["leaked"] == []
        assert {"CurrentRun.__init__", "Outbox.began", "Outbox.put"} <= set(told["sites"])
        count += told["count"]


# Programs of the libraries that we wrap ourselves, or whose instrumentors we amend. What they see
# of an answer is what a caller would look at.
OPENAI = """
    import openai
    client = openai.OpenAI()
    ASKED = {"model": "thinking-m", "messages": [{"role": "user", "content": "Hello."}]}

    def program():
        with run("assistant"):
            seen = [client.chat.completions.create(**ASKED).choices[0].message.content]
            for part in client.chat.completions.create(**ASKED, stream=True):
                seen.append(part.id)
            response = client.responses.create(model="m", input="Hello.")
            seen += [each.type for each in response.output]
            try:
                client.chat.completions.create(**(ASKED | {"model": "refused-m"}))
            except openai.BadRequestError as error:
                seen.append(error.status_code)
        return seen
"""
LITELLM = """
    import os
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["OPENAI_API_BASE"] = os.environ["OPENAI_BASE_URL"]
    import litellm
    litellm.suppress_debug_info = True
    MESSAGES = [{"role": "user", "content": "Hello."}]

    async def later():
        answer = await litellm.acompletion(model="openai/m", messages=MESSAGES)
        response = await litellm.aresponses(model="openai/m", input="Hello.", stream=True)
        parts = [str(event.type) async for event in response]
        return [answer.choices[0].message.content, *parts]

    def program():
        with run("assistant"):
            answer = litellm.completion(model="openai/thinking-m", messages=MESSAGES)
            seen = [answer.choices[0].message.content]
            for part in litellm.completion(model="openai/m", messages=MESSAGES, stream=True):
                seen.append(str(part.choices[0].delta.content))
            seen.append(litellm.text_completion("Hello.", "openai/m").choices[0].text)
            for part in litellm.text_completion("Hello.", "openai/m", stream=True):
                seen.append(str(part.choices[0].text))
            seen += [each.type for each in litellm.responses("Hello.", "openai/m").output]
            seen.append(len(litellm.embedding(model="openai/m", input=["Hello."]).data))
            try:
                litellm.completion(model="openai/refused-m", messages=MESSAGES)
            except litellm.BadRequestError as error:
                seen.append(error.status_code)
            seen += asyncio.run(later())
        return seen
"""
BEDROCK = """
    import boto3
    from botocore.exceptions import ClientError
    client = boto3.client("bedrock-runtime")
    MESSAGES = [{"role": "user", "content": [{"text": "Hello."}]}]
    FAILED = {"toolUseId": "t", "content": [{"text": "no"}], "status": "error"}

    def program():
        with run("assistant"):
            answer = client.converse(
                modelId="m", messages=[{"role": "user", "content": [{"toolResult": FAILED}]}]
            )
            seen = [answer["output"]["message"]["content"]]
            for event in client.converse_stream(modelId="m", messages=MESSAGES)["stream"]:
                seen.append(sorted(event))
            try:
                client.converse(modelId="refused-m", messages=MESSAGES)
            except ClientError as error:
                seen.append(error.response["Error"]["Code"])
        return seen
"""
CREWAI = """
    import os
    os.environ |= {
        "CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_TESTING": "true",
    }
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool as crew_tool

    @crew_tool("weather")
    def weather(city: str) -> str:
        \"\"\"The weather.\"\"\"
        return "sunny"

    def program():
        agent = Agent(
            role="weather", goal="Tell.", backstory="Be brief.", tools=[weather],
            llm=LLM(model="openai/gpt-4o"), max_iter=3, max_retry_limit=0,
        )
        task = Task(description="How is it?", expected_output="A word.", agent=agent)
        with run("assistant"):
            return [Crew(name="forecast", agents=[agent], tasks=[task]).kickoff().raw]
"""
CLAUDE = """
    import os
    from pathlib import Path
    os.environ |= {
        "CLAUDE_CONFIG_DIR": str(Path("claude").resolve()),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "ENABLE_TOOL_SEARCH": "false",
    }
    from claude_agent_sdk import ClaudeAgentOptions, create_sdk_mcp_server, query
    from claude_agent_sdk import tool as claude_tool

    @claude_tool("weather", "The weather.", {"city": str})
    async def weather(given):
        return {"content": [{"type": "text", "text": "sunny"}]}

    async def ask():
        options = ClaudeAgentOptions(
            model="m", tools=[], setting_sources=[], max_turns=3,
            mcp_servers={"here": create_sdk_mcp_server("here", tools=[weather])},
            allowed_tools=["mcp__here__weather"],
        )
        messages = query(prompt="How is it?", options=options)
        return [type(message).__name__ async for message in messages]

    def program():
        with run("assistant"):
            return asyncio.run(ask())
"""
GOOGLE = """
    from google import genai
    from google.genai import types
    from google.genai.errors import ClientError
    client = genai.Client()

    def weather(city: str) -> str:
        \"\"\"The weather.\"\"\"
        return "sunny"

    def ask(model, **config):
        config = types.GenerateContentConfig(**config)
        return client.models.generate_content(model=model, contents="Hello.", config=config).text

    async def later():
        answer = await client.aio.models.generate_content(model="m", contents="Hello.")
        return answer.text

    def program():
        with run("assistant"):
            seen = [ask("m", tools=[weather]), asyncio.run(later())]
            for part in client.models.generate_content_stream(model="m", contents="Hello."):
                seen.append(str(part.text))
            try:
                ask("refused-m")
            except ClientError as error:
                seen.append(error.code)
        return seen
"""
MCP = """
    from mcp import Client
    from mcp.server import MCPServer

    def weather(city: str) -> str:
        \"\"\"The weather.\"\"\"
        return "sunny"

    def fails(city: str) -> str:
        \"\"\"The weather.\"\"\"
        raise LookupError(city)

    async def ask():
        server = MCPServer("weather")
        for function in (weather, fails):
            server.tool()(function)
        async with Client(server) as client:
            well = await client.call_tool("weather", {"city": "Paris"})
            badly = await client.call_tool("fails", {"city": "Paris"})
            return [well.content[0].text, badly.is_error]

    def program():
        with run("assistant"):
            return asyncio.run(ask())
"""
# With what each must be seen to have called, and of how many calls one fails: a run of Claude
# Code's program takes more than a second.
LIBRARIES = {
    "openai": (OPENAI, ("openai==3.57.0",), {"_with_reasoning", "_noted"}, 1),
    "litellm": (LITELLM, ("litellm==1.110.2",), {"_completion", "_responses", "_OfProvider"}, 1),
    "bedrock": (BEDROCK, ("boto3==1.44.8",), {"_count_cache", "_with_error", "_noted"}, 1),
    "crewai": (CREWAI, ("crewai==1.15.30",), {"_crew", "_task", "_tool"}, 1),
    "google": (
        GOOGLE,
        ("google-genai==3.6.1",),
        {"_sent", "_Asking", "_add_earlier", "_name_call"},
        1,
    ),
    "mcp": (MCP, ("mcp==2.3.0",), {"_called", "_Called", "_made", "_span_of_call"}, 1),
    "claude": (CLAUDE, ("claude-agent-sdk==0.2.189",), {"_Turns", "_Conversation"}, 5),
}


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", LIBRARIES)
def test_no_fault_around_a_library_reaches_the_program(name: str, tmp_path: Path) -> None:
    program, packages, called, step = LIBRARIES[name]
    python = python_with(packages, tmp_path)
    path = tmp_path / "app.py"
    path.write_text(injecting(program))
    with scripted_models() as models:
        env = {
            **models.environment(),
            "OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(),
            "SPANLORE_DELIVERY_URL": dead_url(),
        }
        command = (python, str(path), str(EACH_CALL_ONCE), str(step))
        ended = run_command(*command, env=env, folder=tmp_path, timeout_s=3_000)
    assert ended.code == 0, ended.err
    told = json.loads(ended.out.splitlines()[-1])
    assert told["leaked"] == []
    assert called <= {part for site in told["sites"] for part in site.split(".")}
    print(f"{name}: {told['count']} faults at {len(told['sites'])} places")
