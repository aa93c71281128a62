"""What became of a proposal: the same tool called again, changed, after the user had spoken.

An agent's first call of a tool that works is its proposal. A later call of the same tool, in the
same run or in the next one of the session, revises it when

* the user spoke in between (a run that follows in a session was begun by its user);
* both calls worked, and none between them failed: a change after an error is a correction;
* it is the same act: some argument is the same, and at most a third of them differ (one, where
  there are few). A second meeting, with another title at another time, is a proposal of its own,
  and a tool that takes an id alone is asked about another thing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spanlore.analyzers.preferences.slot_values import NO_VALUE, Slot, values_of

CHANGED_SHARE_MAX = 1 / 3
# A session may last for months; what is said an hour later is not about the last call.
NEXT_RUN_NS_MAX = 3_600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a call's arguments give: a digest of each of them ("" for null), and slots' values."""

    keys: Mapping[str, str]
    values: Mapping[Slot, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call as far as revisions go: ``run`` counts the session's runs, ``turn`` the user's words.

    ``given`` is None where the arguments are no JSON object.
    """

    trace_id: str
    run: int
    turn: int
    start_ns: int
    given: Given | None
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A proposal and what stood in the end: the first call of a run, and its last revision.

    ``corrected`` says that a revision came after an error, so that nobody knows whose it was.
    """

    first: ToolCall
    last: ToolCall
    failed_since: bool = False
    corrected: bool = False

    def values(self) -> dict[Slot, tuple[str, str]]:
        """Return slot -> (proposed, final); the final one is ``NO_VALUE`` if it was taken away."""
        proposed, final = (one.given.values if one.given else {} for one in (self.first, self.last))
        return {slot: (text, final.get(slot, NO_VALUE)) for slot, text in proposed.items()}


def given_by(tool: str, arguments: Any) -> Given | None:
    """Return what a call's arguments give, None where they are no JSON object."""
    if not isinstance(arguments, Mapping):
        return None
    keys = {str(key): _digest(value) for key, value in arguments.items()}
    return Given(keys=keys, values=values_of(tool, arguments))


def settled_of(calls: Iterable[ToolCall]) -> list[Settled]:
    """Return one proposal for each run of a session that made one.

    ``calls`` are those of one tool in one session, in the order they were made.
    """
    made: list[Settled] = []
    for call in calls:
        latest = made[-1] if made else None
        if latest is not None and call.failed:
            made[-1] = replace(latest, failed_since=True)
        elif latest is not None and _revises(latest.last, call):
            corrected = latest.corrected or latest.failed_since
            made[-1] = replace(latest, last=call, failed_since=False, corrected=corrected)
        elif not call.failed and (latest is None or latest.first.run != call.run):
            made.append(Settled(first=call, last=call))
    return made


def _revises(before: ToolCall, call: ToolCall) -> bool:
    if call.run == before.run:
        spoke = call.turn > before.turn
    else:
        spoke = call.run == before.run + 1 and call.start_ns - before.start_ns < NEXT_RUN_NS_MAX
    return spoke and _is_same_act(before.given, call.given)


def _is_same_act(before: Given | None, after: Given | None) -> bool:
    if before is None or after is None:
        return False
    keys = before.keys.keys() | after.keys.keys()
    changed = sum(before.keys.get(key, "") != after.keys.get(key, "") for key in keys)
    return 1 <= changed <= max(1, int(len(keys) * CHANGED_SHARE_MAX)) and changed < len(keys)


def _digest(value: Any) -> str:
    """Return what tells one value from another; 1 and 1.0 are the same, null is as if left out."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
