"""What an analyzer counted, before anybody asked whether it is true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spanlore.analyzers.core.cells import Cells, Stratum

__all__ = ["UNITS_MIN", "Cells", "Hypothesis", "Stratum", "Support"]

UNITS_MIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How broadly a thing was seen: counted over all calls, not only over looks.

    ``n`` is the number of subject calls, ``k`` those in which the thing happened, ``runs`` and
    ``units`` the distinct runs of the ``n`` and the distinct tasks (else users) of the ``k``.
    """

    n: int
    k: int
    runs: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A thing that may be so, with all that is needed to judge it.

    ``key`` names it without counts, so that tomorrow's hypothesis about the same thing gets the
    same finding id. ``strata`` compare the subject with what ``detail["compared_with"]`` says, the
    floor where they hold nothing else: a few strata written by hand, or cells. ``adjusted_for``
    names what the strata stand for; of those that are factors of the cells the finding names the
    ones that could be held fixed. ``units_noun`` is "task" or "user".
    ``floor`` is the tolerable rate that the subject's own rate is tested against when there is
    nothing to compare it with; None means that without a comparison there is no test.
    Evidence and counter-evidence are trace ids, most telling first.

    ``family`` names the hypotheses that Benjamini-Hochberg corrects for together; "" is that of
    all analyzers that ask nothing else (``core``). ``told`` is False for a hypothesis that was
    looked at and counts in its family, while another one says what there is to say. ``doubt`` is
    a reason, known before any test, why it is not to be confirmed; with ``looks_wanted`` it is that
    so many looks are needed. ``counted`` is the noun of what
    ``support`` counts, and ``units_min`` in how many units a thing must have happened.
    """

    analyzer: str
    key: str
    title: str
    support: Support
    strata: tuple[Stratum, ...] | Cells
    adjusted_for: tuple[str, ...]
    evidence: tuple[str, ...]
    counter_evidence: tuple[str, ...]
    units_noun: str = "task"
    floor: float | None = None
    family: str = ""
    told: bool = True
    doubt: str | None = None
    looks_wanted: int | None = None
    counted: str = "call"
    units_min: int = UNITS_MIN
    detail: Mapping[str, Any] = field(default_factory=dict)
