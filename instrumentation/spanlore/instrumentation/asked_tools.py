"""The calls of tools that models asked for, so that a tool which runs knows which call it is.

A function under ``@tool`` is called with its arguments and without the id that the model gave the
call; that stands in the answer before. Answers are kept by trace, as the text that is on their
span, and read when a tool runs.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

TRACES_MAX = 64
ANSWERS_MAX = 4
ANSWER_CHARACTERS_MAX = 65_536
_KIND = "tool_call"

Calls = list[dict[str, Any]]

_lock = Lock()
# By trace, the oldest first: what is read already is a list.
_answers: OrderedDict[int, list[str | Calls]] = OrderedDict()


def note(trace_id: int, messages: Any) -> None:
    """Keep an answer that asks for tools: the JSON text of its messages."""
    if not isinstance(messages, str) or f'"{_KIND}"' not in messages:
        return
    if len(messages) > ANSWER_CHARACTERS_MAX:
        return
    with _lock:
        kept = _answers.setdefault(trace_id, [])
        kept.append(messages)
        del kept[:-ANSWERS_MAX]
        _answers.move_to_end(trace_id)
        if len(_answers) > TRACES_MAX:
            _answers.popitem(last=False)


def forget(trace_id: int) -> None:
    """Let go of a trace that is over."""
    _answers.pop(trace_id, None)


def claim(trace_id: int, tool: str, arguments: Mapping[str, Any]) -> str | None:
    """Return the id of a call of this tool that was asked for last and was not claimed yet.

    It is one with these arguments; where none is, the only one of its answer.
    """
    if trace_id not in _answers:
        return None
    with _lock:
        answers = [_read(answer) for answer in _answers.get(trace_id, ())]
        _answers[trace_id] = list(answers)
        for answer in reversed(answers):
            named = [call for call in answer if call.get("name") == tool]
            alike = [call for call in named if call.get("arguments") == arguments]
            if not alike and len(named) == 1:
                alike = named
            if alike:
                return _taken(str(alike[0]["id"]), answers)
    return None


def _taken(call_id: str, answers: list[Calls]) -> str:
    """Take a call away, from every span that told of it."""
    for answer in answers:
        answer[:] = [call for call in answer if call["id"] != call_id]
    return call_id


def _read(answer: str | Calls) -> Calls:
    return list(_calls(answer)) if isinstance(answer, str) else answer


def _calls(messages: str) -> Iterator[dict[str, Any]]:
    for message in json.loads(messages):
        for part in message.get("parts", ()):
            if part.get("type") == _KIND and part.get("id"):
                yield part
