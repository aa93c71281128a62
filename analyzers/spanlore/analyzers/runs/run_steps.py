"""A run as the steps its agent took, and the rule for the step that most likely decided a failure.

A step is a tool call, or an answer in words. The rule, the first that applies: the first call that
failed; the last call that may have changed something; the last answer; the last step.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.tool_effect import changes_state, key_part

STEPS_MAX = 100
_FLAGS = ("failed", "changes", "repeats")

Reason = Literal["error", "change", "answer", "last"]
REASONS: Mapping[Reason, str] = {
    "error": "the first call that failed",
    "change": "the last call that may have changed something",
    "answer": "the last answer",
    "last": "the last step",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step: ``tool`` is "" for an answer; ``asked_in`` is the model call that asked for it.

    ``repeats`` says that the run made the same call before.
    """

    span_id: str
    tool: str
    failed: bool = False
    changes: bool = False
    repeats: bool = False
    asked_in: str = ""

    def is_at(self, span_id: str) -> bool:
        """Whether a span is this step, or the model call that asked for it."""
        return span_id in (self.span_id, self.asked_in)


def steps_of(run: RunTrace) -> list[Step]:
    """Return the agent's own steps in the order of time."""
    requested: dict[str, deque[str]] = defaultdict(deque)
    placed: list[tuple[int, Step]] = []
    for model_call in run.model_calls:
        requests = [one for message in model_call.output for one in message.requests]
        for request in requests:
            requested[request.call_id].append(model_call.span_id)
        if not requests and any(message.text for message in model_call.output):
            placed.append((model_call.start_ns, Step(span_id=model_call.span_id, tool="")))
    made: set[str] = set()
    for call in run.calls:
        asked = requested[call.call_id].popleft() if requested.get(call.call_id) else ""
        if call.asked_by:
            continue
        same = json.dumps([call.tool, call.arguments], sort_keys=True)
        step = Step(
            span_id=call.span_id,
            tool=key_part(call.tool),
            failed=call.error is not None,
            changes=changes_state(call.tool),
            repeats=same in made,
            asked_in=asked,
        )
        made.add(same)
        placed.append((call.start_ns, step))
    return [step for _, step in sorted(placed, key=lambda one: one[0])]


def suspect_by_rule(steps: Sequence[Step]) -> tuple[int, Reason] | None:
    """Return the position of the suspected step and why it is it; None of no steps."""
    if not steps:
        return None
    failed = [at for at, step in enumerate(steps) if step.failed]
    changed = [at for at, step in enumerate(steps) if step.changes]
    answered = [at for at, step in enumerate(steps) if not step.tool]
    if failed:
        return failed[0], "error"
    if changed:
        return changed[-1], "change"
    return (answered[-1], "answer") if answered else (len(steps) - 1, "last")


def steps_text(steps: Iterable[Step]) -> str:
    """Write steps down as short JSON; of a run of very many the last ones."""
    kept = list(steps)[-STEPS_MAX:]
    while True:
        text = _text(kept)
        if len(text) <= DETAIL_CHARS_MAX or not kept:
            return text
        kept = kept[len(kept) // 4 + 1 :]


def steps_of_text(text: str) -> list[Step]:
    """Read what ``steps_text`` wrote."""
    written: dict[str, Any] = json.loads(text)
    return [
        Step(
            span_id=span_id,
            tool=written["tools"][tool],
            asked_in=asked_in,
            **{name: bool(flags >> bit & 1) for bit, name in enumerate(_FLAGS)},
        )
        for tool, flags, span_id, asked_in in written["steps"]
    ]


def _text(steps: Sequence[Step]) -> str:
    tools = {tool: at for at, tool in enumerate(dict.fromkeys(step.tool for step in steps))}
    rows = [
        [
            tools[step.tool],
            sum(getattr(step, name) << bit for bit, name in enumerate(_FLAGS)),
            step.span_id,
            step.asked_in,
        ]
        for step in steps
    ]
    return json.dumps({"tools": list(tools), "steps": rows}, separators=(",", ":"))
