"""What one run says of proposals: the calls of each tool, as far as slots and revisions go.

Whether a call was revised may show in the next run of the session only, so that what is kept is
not the choice but what it takes: when each call was made, how often the user had spoken by then,
which arguments differ from another call's, and what they give to slots. The calls of a tool are a
fact ``calls|<tool>|0``; where one fact does not hold them all, ``calls|<tool>|1`` goes on.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.arguments.call_facts import key_of
from spanlore.analyzers.preferences.slot_changes import Given, given_by
from spanlore.analyzers.preferences.slot_values import Slot
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX, Fact
from spanlore.analyzers.runs.run_trace import RunTrace

NAME = "slot_choices"
VERSION = "1"
CALLS = "calls"
_SEGMENTS_CHARS_MAX = 1_000
_CALLS_CHARS_MAX = DETAIL_CHARS_MAX - _SEGMENTS_CHARS_MAX - 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposingCall:
    """One call of a tool: its start (Unix nanoseconds), and how often the user had spoken.

    ``given`` is what its arguments give, None where they are no JSON object or it failed.
    """

    start_ns: int
    turn: int
    failed: bool
    given: Given | None


def slot_facts(run: RunTrace) -> Iterator[Fact]:
    """Yield the facts of a run; ``value`` is how many facts hold the calls of that tool."""
    by_tool: dict[str, list[str]] = {}
    failed: dict[str, int] = {}
    for call in run.calls:
        made = ProposingCall(
            start_ns=call.start_ns,
            turn=bisect_right(run.user_turns, call.start_ns),
            failed=call.error is not None,
            given=given_by(call.tool, call.arguments) if call.error is None else None,
        )
        by_tool.setdefault(call.tool, []).append(_text(made))
        failed[call.tool] = failed.get(call.tool, 0) + made.failed
    segments = json.dumps(dict(sorted(run.segments.items())), ensure_ascii=False)
    if len(segments) > _SEGMENTS_CHARS_MAX:
        segments = "{}"
    for tool, texts in by_tool.items():
        pieces = list(_pieces(texts))
        for number, piece in enumerate(pieces):
            yield Fact(
                key=key_of(CALLS, tool, number),
                n=len(texts),
                k=failed[tool],
                value=len(pieces),
                detail=f'{{"segments":{segments},"calls":[{",".join(piece)}]}}',
            )


def calls_in(details: Sequence[str], tool: str) -> tuple[dict[str, str], list[ProposingCall]]:
    """Read the segments of a run and its calls of a tool from all of their facts, in order."""
    read = [json.loads(detail) for detail in details]
    calls = [_call(one, tool) for said in read for one in said["calls"]]
    return read[0]["segments"], calls


def _text(call: ProposingCall) -> str:
    """Return a call as a JSON array; slots that make it too long are left out, the last first."""
    values = list(call.given.values.items()) if call.given else []
    keys: Mapping[str, str] = call.given.keys if call.given else {}
    said: list[Any] = [call.start_ns, call.turn, int(call.failed)]
    if call.given is None:
        return json.dumps(said)
    while True:
        parts = [[slot.field, slot.part, text] for slot, text in values]
        text = json.dumps([*said, keys, parts], ensure_ascii=False, separators=(",", ":"))
        if len(text) <= _CALLS_CHARS_MAX:
            return text
        if not values:
            return json.dumps(said)
        values = values[: len(values) // 2]


def _call(said: Sequence[Any], tool: str) -> ProposingCall:
    start_ns, turn, failed, *given = said
    return ProposingCall(
        start_ns=start_ns,
        turn=turn,
        failed=bool(failed),
        given=Given(
            keys=given[0], values={Slot(tool, field, part): text for field, part, text in given[1]}
        )
        if given
        else None,
    )


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    piece: list[str] = []
    length = 0
    for text in texts:
        if piece and length + len(text) + 1 > _CALLS_CHARS_MAX:
            yield piece
            piece, length = [], 0
        piece.append(text)
        length += len(text) + 1
    yield piece
