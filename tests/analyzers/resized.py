"""Made-up runs of a tool that takes a size: as text it refuses it, whole numbers it likes."""

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from spanlore.analyzers.catalogue.tool_argument_misuse import misuse_hypotheses
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.schemas.types import Finding

SAID = "Error: a size is a whole number, got '{}'"
TEXT_SHARE = 0.3
OTHER_ERRORS_SHARE = 0.03
# What the agent's definition says of the tool before any lesson.
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "resize",
            "description": "Resize it.",
            "parameters": {
                "type": "object",
                "properties": {"size": {"description": "How big"}},
                "required": ["size"],
            },
        },
    }
]


def resized(
    seed: int, *, tasks: int = 40, runs: int = 10, null_share: float = 0.0
) -> Iterator[dict[str, Any]]:
    """Yield rows of ``TOOL_CALLS_SQL``: an agent that fails tries again with the right size.

    ``null_share`` of the good calls in tasks of the confirmation half give no size but null.
    """
    random = Random(seed)
    for task in range(tasks):
        for run in range(runs):
            slow = random.random() < OTHER_ERRORS_SHARE
            yield row(task, run, 0, tool="look", said="timeout" if slow else "")
            size = random.randrange(100)
            held_out = not in_discovery_half(f"t/{task}")
            position = 1
            if random.random() < TEXT_SHARE:
                for _ in range(random.choice((1, 1, 3))):
                    yield row(task, run, position, size=f"{size} px", said=SAID.format(size))
                    position += 1
            wrong = random.random() < OTHER_ERRORS_SHARE
            empty = held_out and random.random() < null_share
            yield row(
                task, run, position, size=None if empty else size, said="timeout" if wrong else ""
            )


def row(task: int, run: int, position: int, **call: Any) -> dict[str, Any]:
    said = call.get("said", "")
    return {
        "TenantId": "default",
        "TraceId": f"{task:016x}{run:016x}",
        "SpanId": f"{task:06x}{run:06x}{position:04x}",
        "StartUnixNano": position,
        "ToolName": call.get("tool", "resize"),
        "ToolArguments": json.dumps({"size": call["size"]} if "size" in call else {}),
        "ToolResult": said or "{}",
        "Failed": int(bool(said)),
        "StatusMessage": "",
        "ErrorType": "",
        "TaskType": "t",
        "TaskId": str(task),
        "UserId": "",
        "AgentName": "a",
        "AgentVersion": "1",
        "Model": "m",
    }


def confirmed(
    rows: Iterable[dict[str, Any]], definitions: Iterable[Any] = (TOOLS,)
) -> list[Finding]:
    return [one for one in findings_of(list(misuse_hypotheses(rows, definitions))) if one.confirmed]
