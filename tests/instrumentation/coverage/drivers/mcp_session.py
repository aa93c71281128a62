"""An MCP client and its server, each a process: one run a scenario, named by it."""

import asyncio
import contextlib
import os
import sys

import spanlore.auto
from mcp import Client, StdioServerParameters, stdio_client
from mcp.server import MCPServer
from spanlore.instrumentation import run

server = MCPServer("weather")


@server.tool()
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


@server.tool()
def fails(city: str) -> str:
    """The weather."""
    raise LookupError(city)


async def client():
    here = StdioServerParameters(
        command=sys.executable, args=[__file__, "server"], env=dict(os.environ)
    )
    async with Client(stdio_client(here)) as session:
        with run("tools"):
            await session.call_tool("weather", {"city": "Paris"})
        with run("tool error"), contextlib.suppress(Exception):
            await session.call_tool("fails", {"city": "Paris"})


if "server" in sys.argv:
    server.run()
else:
    asyncio.run(client())
