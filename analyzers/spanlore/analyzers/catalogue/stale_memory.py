"""Lessons that agents are given and that no longer help: contradicted, harmful, unused, outlived.

Looks at every context lesson that is delivered, over the runs that were given it or held out of it
(``exposures``). A run contradicts a lesson with a slot where the user changed that slot to another
value, reported by the application (``overrides``) or said in words (``repeated_correction``). Told
are, each naming the lesson in ``detail["lesson_id"]``:

* ``mostly_contradicted``: users changed its value in more than half of the runs given it;
* ``rising``: they do so more often in the later half of those runs than in the earlier, by task;
* ``harmful``: runs given it fail more often than runs held out of it, by task; the posteriors of
  both arms (Beta, uniform before) and the probability that it is worse are in the detail;
* ``unused``: in the last 30 days no run of its scope was given it, though there were enough;
* ``outlived``: it was given in runs after the day that its content says it holds until.

A user's lesson is split into halves by session, any other by task, else user. Nothing is retired
here: that is what consolidation does with these findings. Cannot see: whether a run given a lesson
made use of it, harm where nothing was held out, lessons whose users no longer come (they cost
nothing), and, for lessons with a segment, which runs belong to it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spanlore.analyzers.catalogue import repeated_correction
from spanlore.analyzers.core.cells import NO_CLUSTER, Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.counting.lesson_exposures import (
    UNUSED_DAYS,
    Flags,
    Given,
    Ints,
    Unused,
    given_of,
    unused_of,
)
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "stale_memory"
VERSION = "1"
CONTRADICTED_FLOOR = 0.5
UNUSED_FLOOR = 0.95
OUTLIVED_FLOOR = 0.05
LESSON_CHARS_SHOWN = 8
_GRID = 2_001
# Which traces speak for a finding, and which against it.
_SHOWN = {
    "mostly_contradicted": ("Contradicted", "Kept"),
    "rising": ("Contradicted", "Kept"),
    "harmful": ("Failed", "Passed"),
    "outlived": ("Outlived", "Valid"),
}


def stale_memory(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at every delivered lesson over the runs of the window. Raises StoreError."""
    extractor = (repeated_correction.NAME, repeated_correction.VERSION)
    yield from stale_memory_hypotheses(
        given_of(store, window, extractor=extractor), unused_of(store, window)
    )


def stale_memory_hypotheses(
    given: Iterable[Given], unused: Iterable[Unused]
) -> Iterator[Hypothesis]:
    """Form the hypotheses about each lesson from its runs."""
    for one in given:
        if one.has_slot:
            yield _mostly_contradicted(one)
            yield _rising(one)
        if one.judged[~one.is_given].sum():
            yield _harmful(one)
        if one.outlived.sum():
            yield _outlived(one)
    yield from (_unused(one) for one in unused)


def _mostly_contradicted(one: Given) -> Hypothesis:
    return _hypothesis(
        one,
        kind="mostly_contradicted",
        says="is changed by users in most runs that are given it",
        arms=(one.is_given, np.zeros_like(one.is_given)),
        counts=(one.n, one.contradicted),
        detail={
            "n_counts": "runs that were given the lesson",
            "k_counts": "of these, those in which the user changed its slot to another value",
            "compared_with": "a share of one half",
        },
        floor=CONTRADICTED_FLOOR,
    )


def _rising(one: Given) -> Hypothesis:
    return _hypothesis(
        one,
        kind="rising",
        says="is changed by users more often than it was",
        arms=(one.is_given & one.is_late, one.is_given & ~one.is_late),
        counts=(one.n, one.contradicted),
        detail={
            "n_counts": "runs given the lesson, the later half",
            "k_counts": "of these, those in which the user changed its slot to another value",
            "compared_with": "the earlier half of the runs that were given it",
        },
    )


def _harmful(one: Given) -> Hypothesis:
    return _hypothesis(
        one,
        kind="harmful",
        says="goes with more failed runs than being held out of it",
        arms=(one.is_given, ~one.is_given),
        counts=(one.judged, one.failed),
        detail={
            "n_counts": "judged runs that were given the lesson",
            "k_counts": "of these, those that failed",
            "compared_with": "judged runs that were held out of it, as chance decided",
            "posterior": posterior(
                given=_passed_and_failed(one, one.is_given),
                held_out=_passed_and_failed(one, ~one.is_given),
            ),
        },
    )


def _outlived(one: Given) -> Hypothesis:
    return _hypothesis(
        one,
        kind="outlived",
        says="is given after the day that it holds until",
        arms=(one.is_given, np.zeros_like(one.is_given)),
        counts=(one.n, one.outlived),
        detail={
            "n_counts": "runs that were given the lesson",
            "k_counts": "of these, those that began when it had ceased to hold",
            "compared_with": f"a share of {OUTLIVED_FLOOR:.0%}",
        },
        floor=OUTLIVED_FLOOR,
    )


def posterior(*, given: tuple[int, int], held_out: tuple[int, int]) -> dict[str, Any]:
    """Return what (passed, failed) runs of both arms say of their rates, and which is worse.

    Each rate is Beta(1 + passed, 1 + failed), with its central 95 % interval. Over all tasks
    together: the adjusted comparison is the finding's effect.
    """
    arms = {"given": given, "held_out": held_out}
    rates = {name: stats.beta(1 + passed, 1 + failed) for name, (passed, failed) in arms.items()}
    rate = np.linspace(0, 1, _GRID)
    # P(given < held out) = integral of given's density times the chance that held out is above.
    worse = np.trapezoid(rates["given"].pdf(rate) * rates["held_out"].sf(rate), rate)
    return {
        **{
            name: {
                "passed": arms[name][0],
                "failed": arms[name][1],
                "rate": round(float(rates[name].mean()), 4),
                "interval": [round(float(bound), 4) for bound in rates[name].interval(0.95)],
            }
            for name in arms
        },
        "probability_worse": round(min(float(worse), 1.0), 4),
    }


def _passed_and_failed(one: Given, rows: Flags) -> tuple[int, int]:
    failed = int(one.failed[rows].sum())
    return int(one.judged[rows].sum()) - failed, failed


def _hypothesis(  # noqa: PLR0913 - one hypothesis, each part by its name
    one: Given,
    *,
    kind: str,
    says: str,
    arms: tuple[Flags, Flags],
    counts: tuple[Ints, Ints],
    detail: dict[str, Any],
    floor: float | None = None,
) -> Hypothesis:
    (subject, other), (n, k) = arms, counts
    shown, against = _SHOWN[kind]
    return Hypothesis(
        analyzer=NAME,
        key=f"{kind}|{one.lesson_id}",
        title=f"lesson {one.lesson_id[:LESSON_CHARS_SHOWN]} {says}",
        support=Support(
            n=int(n[subject].sum()),
            k=int(k[subject].sum()),
            runs=int(n[subject].sum()),
            units=len(np.unique(one.unit[subject & (k > 0)])),
        ),
        strata=Cells(
            n=_counted(n, subject),
            k=_counted(k, subject),
            other_n=_counted(n, other),
            other_k=_counted(k, other),
            discovers=one.discovers,
            factors={"task": one.task},
            cluster=one.cluster,
        ),
        adjusted_for=("task",),
        evidence=one.traces[shown],
        counter_evidence=one.traces[against],
        units_noun="session" if one.scope == "user" else "task",
        floor=floor,
        counted="run",
        detail={"kind": f"memory_{kind}", "lesson_id": one.lesson_id, **detail},
    )


def _counted(counts: Ints, rows: Flags) -> NDArray[np.float64]:
    return np.where(rows, counts, 0).astype(np.float64)


def _unused(one: Unused) -> Hypothesis:
    runs = np.array(one.runs, dtype=np.float64)
    return Hypothesis(
        analyzer=NAME,
        key=f"unused|{one.lesson_id}",
        title=f"lesson {one.lesson_id[:LESSON_CHARS_SHOWN]} is given to no run any more",
        support=Support(n=sum(one.runs), k=sum(one.runs), runs=sum(one.runs), units=one.units),
        strata=Cells(
            n=runs,
            k=runs,
            other_n=np.zeros(2),
            other_k=np.zeros(2),
            discovers=np.array([True, False]),
            factors={"task": np.zeros(2, dtype=np.int64)},
            cluster=np.full(2, NO_CLUSTER, dtype=np.int64),
        ),
        adjusted_for=(),
        evidence=one.traces,
        counter_evidence=(),
        units_noun="session" if one.scope == "user" else "task",
        floor=UNUSED_FLOOR,
        counted="run",
        detail={
            "kind": "memory_unused",
            "lesson_id": one.lesson_id,
            "n_counts": f"runs of the lesson's scope in the last {UNUSED_DAYS} days",
            "k_counts": "of these, those that were not given it",
            "compared_with": f"a share of {UNUSED_FLOOR:.0%}",
        },
    )
