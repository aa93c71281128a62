"""Of smolagents: the runs of its tools, which the instrumentor does not trace."""

from typing import Any

from smolagents import Tool

from spanlore.instrumentation.recovery.amending import around
from spanlore.instrumentation.tool_call import Call

_ANSWER = "final_answer"  # no tool, but how the agent answers


def recover() -> None:
    """Amend the call of a tool."""
    around(Tool, "__call__", _traced)


def _traced(
    tool: Any, *args: Any, sanitize_inputs_outputs: bool = False, **kwargs: Any
) -> Call | None:
    del sanitize_inputs_outputs  # smolagents' own, no argument of the tool
    if tool.name == _ANSWER:
        return None
    return Call(tool.name, tool.forward, args, kwargs, library="smolagents")
