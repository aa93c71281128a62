"""What one run says of its tool calls, small enough to be kept of every run.

Each call gives a fact ``call|<tool>|<position in the run>``: whether it failed, the form of its
arguments (``argument_form``), the texts that tell values apart, and its error text. What takes
more than the call itself (``call_particulars``) is a fact ``error|...``, ``total|...`` or
``source|...`` of the same call, where there is something to say.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from spanlore.analyzers.arguments.argument_form import form_of, texts_of
from spanlore.analyzers.arguments.call_particulars import particulars_json, particulars_of_run
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX, Fact
from spanlore.analyzers.runs.run_trace import RunTrace

NAME = "tool_calls"
VERSION = "1"
CALL = "call"
POSITION_DIGITS = 7
_TOOL_CHARS_MAX = 480


def key_of(kind: str, tool: str, position: int) -> str:
    """Return the key of a call's fact; the tool is what stands between kind and position."""
    return f"{kind}|{tool[:_TOOL_CHARS_MAX]}|{position:0{POSITION_DIGITS}}"


def tool_call_facts(run: RunTrace) -> Iterator[Fact]:
    """Yield what a run says of its tool calls."""
    yield from call_facts(run.calls)


def call_facts(calls: Sequence[Call]) -> Iterator[Fact]:
    """Yield the facts of a run's calls, which are in the order they were made."""
    for position, call in enumerate(calls):
        yield Fact(
            key=key_of(CALL, call.tool, position),
            n=1,
            k=int(call.error is not None),
            value=position,
            detail=call_json(call),
            span_id=call.span_id,
        )
    for position, kind, particulars in particulars_of_run(calls):
        call = calls[position]
        yield Fact(
            key=key_of(kind, call.tool, position),
            n=1,
            k=int(call.error is not None),
            value=position,
            detail=particulars_json(particulars, chars_max=DETAIL_CHARS_MAX),
            span_id=call.span_id,
        )


def call_json(call: Call) -> str:
    """Return a call's form, texts and error; texts, then the form, are left out if too long."""
    known: dict[str, Any] = {}
    if call.error is not None:
        known["error"] = call.error.text
    if isinstance(call.arguments, dict):
        known |= {"form": form_of(call.arguments), "texts": texts_of(call.arguments)}
    for name in ("texts", "form", "error"):
        text = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
        if len(text) <= DETAIL_CHARS_MAX:
            return text
        known.pop(name, None)
    return "{}"
