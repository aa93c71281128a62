"""A run as text for a model to read: one JSON object a line, so that no message can fake another.

What is shown is what the agent read and did. Left out are who the user was, the run's outcome and
what others judged of it.
"""

import json
from collections.abc import Iterator
from typing import Any

from spanlore.analyzers.models.question import Quoted
from spanlore.analyzers.runs.run_trace import Message, RunTrace

RUN_CHARACTERS_MAX = 60_000
TEXT_CHARACTERS_MAX = 6_000
# Of a run that is too long, this share is its beginning; the rest is its end.
_HEAD_SHARE = 0.25


def quoted_run(run: RunTrace) -> tuple[Quoted, ...]:
    """Return what a model is shown of a run, at most about ``RUN_CHARACTERS_MAX`` characters."""
    lines = [_line(one) for one in (_conversation(run) or _calls(run))]
    shown = [
        Quoted(name="agent instructions", text=_cut(run.instructions)),
        Quoted(name="run", text="\n".join(_within_budget(lines))),
    ]
    return tuple(one for one in shown if one.text)


def _conversation(run: RunTrace) -> list[dict[str, Any]]:
    return [entry for message in run.messages for entry in _entries(message)]


def _entries(message: Message) -> Iterator[dict[str, Any]]:
    if message.text:
        yield {"role": message.role, "text": _cut(message.text)}
    for request in message.requests:
        arguments = request.arguments_text if request.arguments is None else request.arguments
        yield {"role": message.role, "calls": request.name, "arguments": _short(arguments)}
    for answer in message.answers:
        yield {"role": "tool", "answers": _cut(answer.text)}


def _calls(run: RunTrace) -> list[dict[str, Any]]:
    """Return the tool calls of a run whose conversation was not recorded."""
    return [
        {
            "calls": call.tool,
            "arguments": _short(call.arguments),
            "failed": call.error is not None,
            "answers": _cut(call.result),
        }
        for call in run.calls
    ]


def _short(arguments: Any) -> Any:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return arguments if len(text) <= TEXT_CHARACTERS_MAX else _cut(text)


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    half = TEXT_CHARACTERS_MAX // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]} [... {left_out} characters left out ...] {text[-half:]}"


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _within_budget(lines: list[str]) -> list[str]:
    """Leave out the middle of what is too long, and say how much."""
    if sum(map(len, lines)) <= RUN_CHARACTERS_MAX:
        return lines
    head = _fitting(lines, round(RUN_CHARACTERS_MAX * _HEAD_SHARE))
    rest = lines[len(head) :]
    tail = _fitting(rest[::-1], RUN_CHARACTERS_MAX - sum(map(len, head)))[::-1]
    left_out = len(lines) - len(head) - len(tail)
    return [*head, _line({"left_out": f"{left_out} messages"}), *tail]


def _fitting(lines: list[str], characters: int) -> list[str]:
    fitting: list[str] = []
    for line in lines:
        characters -= len(line)
        if characters < 0:
            break
        fitting.append(line)
    return fitting
