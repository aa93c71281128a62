"""An agent on the Claude Agent SDK, by its own program: one run a scenario, named by it."""

import asyncio
import contextlib
import os
from pathlib import Path

os.environ |= {
    "CLAUDE_CONFIG_DIR": str(Path("claude").resolve()),
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "ENABLE_TOOL_SEARCH": "false",  # else the first tool that the model is told of is that search
}

import spanlore.auto
from claude_agent_sdk import (
    AgentDefinition,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    create_sdk_mcp_server,
    query,
    tool,
)
from spanlore.instrumentation import run


@tool("weather", "The weather.", {"city": str})
async def weather(given):
    return {"content": [{"type": "text", "text": "sunny"}]}


@tool("fails", "The weather.", {"city": str})
async def fails(given):
    raise LookupError(given["city"])


def options(*tools, model="m", builtin=(), **more):
    return ClaudeAgentOptions(
        model=model,
        system_prompt="Be brief.",
        tools=list(builtin),
        mcp_servers={"here": create_sdk_mcp_server("here", tools=list(tools))} if tools else {},
        allowed_tools=[f"mcp__here__{each.name}" for each in tools],
        setting_sources=[],
        max_turns=3,
        **more,
    )


async def ask(*tools, **asked):
    async for _ in query(prompt="How is the weather?", options=options(*tools, **asked)):
        pass


async def main():
    with run("chat"):
        await ask()
    with run("tools"):
        await ask(weather)
    with run("tool error"):
        await ask(fails)
    with run("stream"):
        await ask(weather, include_partial_messages=True)
    with run("nested agent"):
        helper = AgentDefinition(
            description="Knows the weather.", prompt="Be briefer.", tools=["mcp__here__weather"]
        )
        await ask(weather, builtin=["Task"], agents={"helper": helper})
    with run("reasoning"):
        await ask(model="thinking-m")
    with run("error"), contextlib.suppress(Exception):
        await ask(model="refused-m")
    with run("retry"):
        await ask(model="busy-m")
    async with ClaudeSDKClient(options()) as client:
        with run("async"):
            for _ in range(2):
                await client.query("How is the weather?")
                async for _ in client.receive_response():
                    pass


asyncio.run(main())
