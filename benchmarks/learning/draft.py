"""A made-up run before it is written down: easy to change, and then rendered as one line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from learning.world import Line

CHARACTERS_A_TOKEN = 4
_DEFINITION_TOKENS = 60  # of one tool
_MS = timedelta(milliseconds=1)


@dataclass(slots=True, kw_only=True)
class Step:
    """A tool call and its answer; ``arguments`` and ``result`` are JSON values, or text as it is.

    ``model_ms`` is how long the model took to ask for it, ``took_ms`` how long the tool took.
    """

    tool: str
    arguments: Any
    result: Any
    error: bool = False
    took_ms: float = 100.0
    model_ms: float = 800.0
    output_tokens: int = 40
    finish_reason: str = "tool_calls"


@dataclass(slots=True, kw_only=True)
class Draft:
    """A run: who asks for what, the steps, the answer, and how it came out.

    ``after`` are (what the user says then, the steps, the answer) of later turns. ``random`` is
    the run's own: what a world draws from it changes no other run.
    """

    number: int
    random: Random
    task_type: str
    task_id: str
    user: str
    tenant: str
    agent: str
    version: str
    model: str
    started: datetime
    instructions: str
    tools: list[dict[str, Any]]
    asks: str
    steps: list[Step]
    answer: str
    outcome: str | None
    judged_by: str = "environment"
    answer_tokens: int = 60
    answer_ms: float = 900.0
    finish_reason: str = "stop"
    after: list[tuple[str, list[Step], str]] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return f"run-{self.number:05}"

    def at(self, tool: str) -> int:
        """Return the position of the first step with this tool. Raises StopIteration."""
        return next(at for at, step in enumerate(self.steps) if step.tool == tool)

    def has(self, tool: str) -> bool:
        return any(step.tool == tool for step in self.steps)

    def line(self) -> Line:
        """Write the run down as a line of the trajectory format."""
        clock = _Clock(self.started)
        messages = list(_messages(self, clock))
        return {
            "run_id": self.run_id,
            "task": {"type": self.task_type, "id": self.task_id},
            "agent": {"name": self.agent, "version": self.version},
            "model": self.model,
            "user_id": self.user,
            "tenant_id": self.tenant,
            "started_at": self.started.isoformat(),
            "ended_at": clock.now.isoformat(),
            "tools": [{"type": "function", "function": tool} for tool in self.tools],
            "messages": messages,
            **({"outcome": _outcome(self.outcome, self.judged_by)} if self.outcome else {}),
            **self.members,
        }


@dataclass(slots=True)
class _Clock:
    now: datetime
    read: int = 0  # characters the next model call reads

    def stamped(self, message: dict[str, Any], after_ms: float) -> dict[str, Any]:
        self.now += after_ms * _MS
        self.read += len(json.dumps(message))
        return {**message, "timestamp": self.now.isoformat()}


def _messages(draft: Draft, clock: _Clock) -> Iterator[dict[str, Any]]:
    yield clock.stamped({"role": "system", "content": draft.instructions}, 0)
    numbers = iter(range(1000))
    turns = [(draft.asks, draft.steps, draft.answer), *draft.after]
    for said, steps, answer in turns:
        yield clock.stamped({"role": "user", "content": said}, 5)
        for step in steps:
            yield from _step(draft, step, call_id=f"call-{next(numbers)}", clock=clock)
        usage = _usage(draft, clock, draft.answer_tokens)
        message = {"role": "assistant", "content": answer}
        yield {
            **clock.stamped(message, draft.answer_ms),
            "usage": usage,
            "finish_reason": draft.finish_reason,
        }


def _step(draft: Draft, step: Step, *, call_id: str, clock: _Clock) -> Iterator[dict[str, Any]]:
    usage = _usage(draft, clock, step.output_tokens)
    call = {"name": step.tool, "arguments": _text(step.arguments)}
    asked = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": call}],
    }
    yield {
        **clock.stamped(asked, step.model_ms),
        "usage": usage,
        "finish_reason": step.finish_reason,
    }
    answered = {"role": "tool", "tool_call_id": call_id, "content": _text(step.result)}
    flag = {"is_error": True} if step.error else {}
    yield clock.stamped({**answered, "name": step.tool, **flag}, step.took_ms)


def _usage(draft: Draft, clock: _Clock, output_tokens: int) -> dict[str, int]:
    defined = _DEFINITION_TOKENS * len(draft.tools)
    return {
        "prompt_tokens": defined + clock.read // CHARACTERS_A_TOKEN,
        "completion_tokens": output_tokens,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _outcome(label: str, source: str) -> dict[str, Any]:
    return {"label": label, "score": float(label == "pass"), "source": source}
