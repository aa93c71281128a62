"""The choices made for one slot, as columns: some thirty bytes a choice, however many there are."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.cells import Codes, Flags
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.preferences.slot_values import NO_VALUE, Slot

Indexes = NDArray[np.intp]
# (tenant, user, segments in the order of their names)
Cell = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The choices of known users for one slot, in the order their runs started.

    ``cell`` numbers who made a choice, in ``cells``; ``user`` the user alone, in ``users``.
    ``session`` numbers the sessions; a run without one is its own.
    ``proposed`` and ``final`` are digests of texts, equal where the texts are: of values that were
    overridden, and of those that stood in their place, ``texts`` holds what they are of.
    """

    slot: Slot
    cells: Sequence[Cell]
    users: Sequence[tuple[str, str]]
    cell: Codes
    user: Codes
    session: Codes
    proposed: Codes
    final: Codes
    explicit: Flags
    run: Codes
    trace_ids: Sequence[str]
    texts: Mapping[int, str]

    @property
    def overridden(self) -> Flags:
        """Which choices the user did not leave as proposed."""
        different: Flags = self.proposed != self.final
        return different

    def ended_with(self, value: str) -> Flags:
        """Which choices the user ended with a value, proposed or not."""
        same: Flags = self.final == digest(value)
        return same

    def looks(self, value: str) -> Flags:
        """Which choices say something about a value: not those it was proposed for and stood in."""
        other: Flags = self.proposed != digest(value)
        return self.overridden | other


class ChoicesBuilder:
    """Takes choices of any slots in any order; those of nobody in particular are left out.

    How many people made them is unknown.
    """

    def __init__(self) -> None:
        self._runs: dict[str, int] = {}
        self._starts: list[int] = []
        self._sessions: dict[tuple[str, str, str], int] = {}
        self._session_of_run = array("q")
        self._slots: dict[Slot, _Rows] = {}

    def add(self, choice: SlotChoice) -> None:
        """Add a choice."""
        if not choice.user:
            return
        run = self._runs.setdefault(choice.trace_id, len(self._runs))
        if run == len(self._starts):
            self._starts.append(choice.start_ns)
            session = (choice.tenant, choice.user, choice.session or choice.trace_id)
            self._session_of_run.append(self._sessions.setdefault(session, len(self._sessions)))
        rows = self._slots.get(choice.slot)
        if rows is None:
            rows = self._slots[choice.slot] = _Rows()
        rows.add(choice, run)

    def built(self) -> Iterator[Choices]:
        """Yield the choices slot by slot, in the order of the slots."""
        trace_ids = list(self._runs)
        order = sorted(range(len(trace_ids)), key=lambda at: (self._starts[at], trace_ids[at]))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        ordered = [trace_ids[at] for at in order]
        sessions = np.array(self._session_of_run, dtype=np.int64)[order]
        for slot in sorted(self._slots):
            yield self._slots[slot].built(slot, place=place, sessions=sessions, trace_ids=ordered)


@dataclass(slots=True)
class _Rows:
    """The choices of one slot as they are added."""

    cells: dict[Cell, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    cell: "array[int]" = field(default_factory=lambda: array("q"))
    run: "array[int]" = field(default_factory=lambda: array("q"))
    proposed: "array[int]" = field(default_factory=lambda: array("q"))
    final: "array[int]" = field(default_factory=lambda: array("q"))
    explicit: "array[int]" = field(default_factory=lambda: array("B"))

    def add(self, choice: SlotChoice, run: int) -> None:
        cell = (choice.tenant, choice.user, tuple(sorted(choice.segments.items())))
        proposed, final = digest(choice.proposed), digest(choice.final)
        if choice.overridden:
            self.texts[proposed], self.texts[final] = choice.proposed, choice.final
        self.cell.append(self.cells.setdefault(cell, len(self.cells)))
        self.run.append(run)
        self.proposed.append(proposed)
        self.final.append(final)
        self.explicit.append(choice.explicit)

    def built(
        self, slot: Slot, *, place: Codes, sessions: Codes, trace_ids: Sequence[str]
    ) -> Choices:
        run = place[np.array(self.run, dtype=np.int64)]
        order = np.argsort(run, kind="stable")
        users: dict[tuple[str, str], int] = {}
        user_of = [users.setdefault(cell[:2], len(users)) for cell in self.cells]
        cell = np.array(self.cell, dtype=np.int64)[order]
        return Choices(
            slot=slot,
            cells=list(self.cells),
            users=list(users),
            cell=cell,
            user=np.array(user_of, dtype=np.int64)[cell],
            session=sessions[run[order]],
            proposed=np.array(self.proposed, dtype=np.int64)[order],
            final=np.array(self.final, dtype=np.int64)[order],
            explicit=np.array(self.explicit, dtype=np.bool_)[order],
            run=run[order],
            trace_ids=trace_ids,
            texts={**self.texts, digest(NO_VALUE): NO_VALUE},
        )


def digest(text: str) -> int:
    """Return what stands for a text within this process: equal for equal texts alone."""
    return hash(text)
