"""Recorded runs to import: the demo's agent at work, played out here as trajectories."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from spanlore.demo import TOOLS
from spanlore.demo.faults import CONFOUNDED, TIMEOUTS, TIMEOUTS_IN_PLANNING
from spanlore.demo.model import Reply, reply
from spanlore.demo.office import Office, OfficeError
from spanlore.demo.users import Request, requests

SEED = 11
_BEGIN = datetime(2026, 1, 5, 7, tzinfo=UTC)
_APART = timedelta(minutes=31)
_STEP = timedelta(milliseconds=700)
_TOOLS: list[dict[str, Any]] = json.loads(TOOLS.read_text(encoding="utf-8"))


def write_recording(path: Path) -> Path:
    """Write one run a line; the same bytes every time."""
    lines = (json.dumps(_run(request)) for request in requests(1, seed=SEED))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _run(request: Request) -> dict[str, Any]:
    meeting, started_at = request.meeting, _BEGIN + request.number * _APART
    planning = meeting.task_type == CONFOUNDED.task_type
    office = Office(
        Random(f"{SEED}/{request.number}"), timeouts=TIMEOUTS_IN_PLANNING if planning else TIMEOUTS
    )
    messages = list(_messages(request, office, started_at))
    stands = len(office.invited) == meeting.people
    return {
        "run_id": f"meeting-{request.number:04d}",
        "task": {"type": meeting.task_type, "id": meeting.task_id},
        "agent": {"name": "meeting-assistant", "version": "1.4.0"},
        "model": "gpt-4o",
        "user_id": request.user.user_id,
        "tenant_id": request.user.tenant,
        "started_at": _text(started_at),
        "ended_at": messages[-1]["timestamp"],
        "outcome": {"label": "pass" if stands else "fail", "source": "environment"},
        "tools": _TOOLS,
        "messages": messages,
    }


def _messages(request: Request, office: Office, now: datetime) -> Iterator[dict[str, Any]]:
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "You arrange meetings."},
        {"role": "user", "content": request.text, "timestamp": _text(now)},
    ]
    yield from said
    answer = Reply()
    while answer.text is None:
        answer = reply({"messages": said, "tools": _TOOLS}, seed=SEED)
        fresh = list(_turn(answer, office, len(said)))
        for message in fresh:
            now += _STEP
            message["timestamp"] = _text(now)
        yield from fresh
        said += fresh


def _turn(answer: Reply, office: Office, position: int) -> Iterator[dict[str, Any]]:
    """Yield what the model says and what the tools answer."""
    calls = [
        {
            "id": f"call_{position}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for number, call in enumerate(answer.calls)
    ]
    usage = {"prompt_tokens": 500 + 40 * position, "completion_tokens": 30}
    yield {"role": "assistant", "content": answer.text, "tool_calls": calls, "usage": usage}
    for call, wanted in zip(calls, answer.calls, strict=True):
        try:
            result, failed = json.dumps(office.call(wanted.name, wanted.arguments)), {}
        except OfficeError as error:
            result, failed = str(error), {"is_error": True}
        yield {"role": "tool", "tool_call_id": call["id"], "content": result, **failed}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
