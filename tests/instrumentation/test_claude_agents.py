"""Agents of the Claude Agent SDK that go on when the turn that began them is over."""

from pathlib import Path

import pytest

from spanlore.schemas import semconv
from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.traced import collector, run_script, values
from tests.packages import python_with

MODEL = "background-m"
SCRIPT = f"""
    import asyncio, os
    from pathlib import Path

    os.environ |= {{
        "CLAUDE_CONFIG_DIR": str(Path("claude").resolve()),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "ENABLE_TOOL_SEARCH": "false",
    }}
    import spanlore.auto
    from claude_agent_sdk import (
        AgentDefinition, ClaudeAgentOptions, create_sdk_mcp_server, query, tool
    )
    from spanlore.instrumentation import run

    @tool("weather", "The weather.", {{"city": str}})
    async def weather(given):
        return {{"content": [{{"type": "text", "text": "sunny"}}]}}

    async def main():
        weathers = ["mcp__here__weather"]
        helper = AgentDefinition(description="Knows.", prompt="Be briefer.", tools=weathers)
        options = ClaudeAgentOptions(
            model="{MODEL}", tools=["Task"], allowed_tools=weathers, agents={{"helper": helper}},
            mcp_servers={{"here": create_sdk_mcp_server("here", tools=[weather])}},
            setting_sources=[], max_turns=5,
        )
        with run("assistant"):
            async for _ in query(prompt="How is the weather?", options=options):
                pass

    asyncio.run(main())
"""


@pytest.mark.slow
def test_what_an_agent_in_the_background_does_is_told_and_the_turn_that_its_end_begins(
    tmp_path: Path,
) -> None:
    python = python_with(("claude-agent-sdk==0.2.189",), tmp_path)
    with scripted_models() as models, collector() as there:
        env = {**models.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_script(SCRIPT, tmp_path, env=env, python=python)
        assert ended.code == 0, ended.err
        spans = {span.span_id: span for span in there.spans()}
    calls = [span for span in spans.values() if span.name == f"chat {MODEL}"]
    assert len(calls) == sum(asked.model == MODEL for asked in models.asked)
    assert all(semconv.OUTPUT_MESSAGES in values(call.attributes) for call in calls)
    (helper,) = [span for span in spans.values() if span.name == "invoke_agent helper"]
    assert spans[helper.parent_span_id].name == "execute_tool Agent"
    assert {span.name for span in spans.values() if span.parent_span_id == helper.span_id} == {
        f"chat {MODEL}",
        "execute_tool mcp__here__weather",
    }
    assert not [span.name for span in spans.values() if span.status.code]
