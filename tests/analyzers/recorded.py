"""The recorded trajectories as rows of the analyzer's SQL, read without the code under test."""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def data_dir() -> Path:
    """Return the folder of recorded runs; skips the test where there is none."""
    found = Path(os.environ.get("SPANLORE_TEST_DATA", _BESIDE))
    if not found.is_dir():
        pytest.skip(f"no recorded runs at {found}; set SPANLORE_TEST_DATA")
    return found


def trajectories() -> Iterator[dict[str, Any]]:
    for path in sorted(data_dir().glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                run = json.loads(line)
                run["trace_id"] = hashlib.sha256(f"{path.name}:{number}".encode()).hexdigest()[:32]
                yield run


def answered_calls(run: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Yield (call, its tool message); a message answers the first open call with its id."""
    open_calls: list[dict[str, Any]] = []
    answers: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
    for message in run["messages"]:
        for call in message.get("tool_calls") or []:
            open_calls.append(call)
            answers.append((call, None))
        if message["role"] == "tool":
            call = next(one for one in open_calls if one["id"] == message["tool_call_id"])
            open_calls = [one for one in open_calls if one is not call]
            answers = [(one, message if one is call else had) for one, had in answers]
    yield from answers


def _rows() -> Iterator[dict[str, Any]]:
    for run in trajectories():
        for position, (call, answer) in enumerate(answered_calls(run)):
            yield {
                "TenantId": run.get("tenant_id") or "default",
                "TraceId": run["trace_id"],
                "SpanId": f"{run['trace_id'][:12]}{position:04x}",
                "StartUnixNano": position,
                "ToolName": call["function"]["name"],
                "ToolArguments": call["function"]["arguments"],
                "ToolResult": (answer or {}).get("content") or "",
                "Failed": int(bool((answer or {}).get("is_error"))),
                "StatusMessage": "",
                "ErrorType": "",
                "TaskType": run["task"]["type"],
                "TaskId": run["task"]["id"],
                "UserId": run.get("user_id") or "",
                "AgentName": run["agent"]["name"],
                "AgentVersion": run["agent"].get("version") or "",
                "Model": run.get("model") or "",
            }


@lru_cache(maxsize=1)
def recorded_rows() -> tuple[dict[str, Any], ...]:
    return tuple(_rows())


@lru_cache(maxsize=1)
def recorded_definitions() -> tuple[Any, ...]:
    seen = {json.dumps(run["tools"]) for run in trajectories() if run.get("tools")}
    return tuple(json.loads(text) for text in sorted(seen))
