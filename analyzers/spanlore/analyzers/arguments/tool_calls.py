"""The calls of one tool in all runs, as columns: what is counted, whatever their number.

Nothing here grows by more than some thirty bytes a call: the runs stand once for all tools, equal
forms and error texts once for all calls, and what takes more (``Particulars``) is read when asked
for, and passes by.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.arguments.argument_form import word_of
from spanlore.analyzers.arguments.call_particulars import Kind, Particulars
from spanlore.analyzers.arguments.calling_runs import Numbered, Runs
from spanlore.analyzers.core.cells import Codes, Flags

VALUES_MAX = 8  # different texts at a path, for them to be told apart
PATHS_MAX = 500  # of which the texts are told apart
_NOT_KNOWN = -1
# (kind, failing calls only) -> (run, position in it, particulars)
ReadParticulars = Callable[[Kind, bool], Iterator[tuple[int, int, Particulars]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words at one path: what they are, and for each call a bit for each that stands there."""

    words: Sequence[str | None]
    given: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls:
    """All calls of one tool, ordered by run and position in it; columns of one length.

    ``errors`` numbers the error texts (``error`` is -1 on a call that succeeded), ``forms`` the
    forms of arguments (``form`` is -1 where they are no object). ``words`` maps a path to the texts
    there, where there are few. ``particulars`` reads the rest.
    """

    name: str
    runs: Runs
    run: Codes
    position: Codes
    error: Codes
    errors: Sequence[str]
    form: Codes
    forms: Sequence[Any]
    words: Mapping[str, Words]
    read: ReadParticulars

    @property
    def failed(self) -> Flags:
        """Which calls failed."""
        return self.error >= 0

    @property
    def discovers(self) -> Flags:
        """Which calls belong to the discovery half."""
        return self.runs.discovers[self.run]

    def forms_of(self, calls: Flags) -> list[tuple[Any, int]]:
        """Return each form that some of these calls have, with how many have it."""
        mine = self.form[calls]
        counts = np.bincount(mine[mine >= 0], minlength=len(self.forms))
        return [(form, int(n)) for form, n in zip(self.forms, counts, strict=True) if n]

    def particulars(self, kind: Kind, *, failing: bool) -> Iterator[tuple[int, Particulars]]:
        """Yield (number of the call, its particulars of a kind), perhaps of failing calls alone."""
        places = self.run << _POSITION_BITS | self.position
        for run, position, one in self.read(kind, failing):
            place = run << _POSITION_BITS | position
            call = int(np.searchsorted(places, place))
            if call < len(places) and places[call] == place:
                yield call, one


_POSITION_BITS = 24


@dataclass(slots=True)
class _PathTexts:
    """The texts seen at a path; of too many none is told apart any more."""

    numbers: dict[str, int] = field(default_factory=dict)
    given: "array[int]" = field(default_factory=lambda: array("B"))
    many: bool = False

    def add(self, call: int, texts: Sequence[str]) -> None:
        if self.many:
            return
        bits = 0
        for text in texts:
            bits |= 1 << self.numbers.setdefault(text, len(self.numbers))
        if len(self.numbers) > VALUES_MAX:
            self.many, self.numbers, self.given = True, {}, array("B")
            return
        self.given.extend(bytes(call - len(self.given)))
        self.given.append(bits)


class ToolCallsBuilder:
    """Takes the calls of one tool in any order, and returns them as columns."""

    def __init__(self, name: str, runs: Runs, read: ReadParticulars) -> None:
        self._name, self._runs, self._read = name, runs, read
        self._columns = {name: array("q") for name in ("run", "position", "error", "form")}
        self._errors, self._forms = Numbered(), Numbered()
        self._texts: dict[str, _PathTexts] = {}

    def add(
        self,
        run: int,
        position: int,
        *,
        error: str | None,
        form: str,
        texts: Mapping[str, Sequence[str]],
    ) -> None:
        """Add a call: ``form`` is the JSON text of its arguments' form, "" for none."""
        columns = self._columns
        call = len(columns["run"])
        columns["run"].append(run)
        columns["position"].append(position)
        columns["error"].append(_NOT_KNOWN if error is None else self._errors.of(error))
        columns["form"].append(self._forms.of(form) if form else _NOT_KNOWN)
        for path, several in texts.items():
            at = self._texts.get(path)
            if at is None and len(self._texts) < PATHS_MAX:
                at = self._texts[path] = _PathTexts()
            if at is not None:
                at.add(call, several)

    def built(self) -> ToolCalls:
        """Return the calls added."""
        columns = {name: np.array(values, dtype=np.int64) for name, values in self._columns.items()}
        order = np.lexsort((columns["position"], columns["run"]))
        return ToolCalls(
            name=self._name,
            runs=self._runs,
            run=columns["run"][order],
            position=columns["position"][order],
            error=columns["error"][order],
            errors=[str(text) for text in self._errors.names()],
            form=columns["form"][order],
            forms=[json.loads(text) for text in self._forms.names()],
            words={
                path: Words(
                    words=[word_of(text) for text in at.numbers],
                    given=_padded(at.given, len(order))[order],
                )
                for path, at in sorted(self._texts.items())
                if not at.many
            },
            read=self._read,
        )


def _padded(given: "array[int]", calls: int) -> NDArray[np.uint8]:
    whole = np.zeros(calls, dtype=np.uint8)
    whole[: len(given)] = given
    return whole
