"""Judges held against gold labels, against their own past, and against each other.

Sees, for each judge (``judge_labels``: by name; gold is human, else environment, else code): that
it passes more runs than gold does, or fewer; that it disagrees with gold more than is tolerable;
that its agreement with gold, or its pass rate on the same tasks, changed with its version or over
time; and that two judges disagree in one direction on a type of task. Every finding carries the
judge's calibration: sensitivity, specificity, kappa, corrected rates, and how many gold labels are
missing for a believable one.

Cannot see: whether gold is right; a judge without a gold label, but for its past and other judges;
gold labels that people gave to unusual runs only (``docs/judge_calibration.md``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.judges.calibration import Calibration, calibrated
from spanlore.analyzers.judges.judge_labels import (
    GOLD,
    Codes,
    Flags,
    Floats,
    JudgedRuns,
    JudgedTwice,
    judged_runs,
    judged_twice,
)
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "judge_calibration"
VERSION = "1"
DISAGREEMENT_MAX = 0.2
"""The share of runs that a judge and gold may see differently without a word."""

_FACTORS = {"task": "Task", "agent": "Agent", "model": "ModelCode", "harness": "Harness"}
_PASS_PASS, _PASS_FAIL, _FAIL_PASS, _FAIL_FAIL, _PASS_ONLY, _FAIL_ONLY = range(6)
# What one row of ``JudgedRuns.counts`` says: of each outcome, whether judge and gold pass.
_PAIRS = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))


def judge_calibration(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Yield what may be wrong with each judge. Raises StoreError."""
    for judged in judged_runs(store, window):
        yield from judge_hypotheses(judged)
    for twice in judged_twice(store, window):
        yield from pair_hypotheses(twice)


def judge_hypotheses(judged: JudgedRuns) -> Iterator[Hypothesis]:
    """Yield the hypotheses about one judge: of each version, and of the last against the rest."""
    for number, version in enumerate(judged.versions):
        where = judged.version == number
        calibration = calibrated(judged.confusion(where))
        seen = _Seen(judged, version, calibration)
        if judged.source not in GOLD and calibration.gold_missing:
            yield _gold_missing(seen, where)
        yield from _against_gold(seen, where)
        yield from _changes(seen, where & judged.late, where & ~judged.late, than="earlier")
    if len(judged.versions) > 1:
        last = judged.version == len(judged.versions) - 1
        calibration = calibrated(judged.confusion(last))
        seen = _Seen(judged, judged.versions[-1], calibration)
        yield from _changes(seen, last, ~last, than="other versions")


def pair_hypotheses(twice: JudgedTwice) -> Iterator[Hypothesis]:
    """Yield that one of two judges passes what the other fails, on a type of task, each way."""
    cells = _pairs(twice.counts, discovers=twice.discovers, units=twice.units)
    kind = plain(twice.task_type) or "no type"
    for turned in (False, True):
        lenient, strict = (plain(one) for one in twice.judges[:: -1 if turned else 1])
        alone = twice.counts[:, _FAIL_PASS if turned else _PASS_FAIL]
        yield Hypothesis(
            analyzer=NAME,
            key=f"pair|{twice.task_type}|{lenient}|{strict}",
            title=f"on tasks of {kind}, {lenient} passes runs that {strict} fails",
            support=Support(
                n=int(twice.counts.sum()),
                k=int(alone.sum()),
                runs=int(twice.counts.sum()),
                units=len(np.unique(twice.units[alone > 0])),
            ),
            strata=_turned(cells) if turned else cells,
            adjusted_for=("run",),
            evidence=twice.evidence[turned],
            counter_evidence=twice.evidence[not turned],
            counted="run",
            detail={
                "kind": "judges_disagree",
                "judges": [lenient, strict],
                "task_type": plain(twice.task_type),
                "n_counts": "runs of this type of task that both judged",
                "k_counts": f"those that {lenient} passes and {strict} fails",
                "compared_with": f"what {strict} says of the same runs",
            },
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """One version of a judge, as hypotheses speak of it."""

    judged: JudgedRuns
    version: str
    calibration: Calibration

    @property
    def name(self) -> str:
        """The judge with its version, fit to be shown."""
        source = self.judged.source
        return plain(f"{source} judge {self.version}" if self.version else f"{source} labels")

    @property
    def key(self) -> str:
        return f"{self.judged.judge}|{self.version}"

    def traces(self, *pairs: tuple[str, str], only_late: bool = False) -> tuple[str, ...]:
        """Return traces of which it said the first and gold the second of a pair."""
        found = (
            self.judged.evidence.get((self.version, late, *pair), ())
            for pair in pairs
            for late in ((True,) if only_late else (True, False))
        )
        return tuple(dict.fromkeys(trace for traces in found for trace in traces))

    def hypothesis(self, about: str, title: str, **known: Any) -> Hypothesis:
        detail = {"judge": plain(self.judged.judge), "version": plain(self.version)}
        return Hypothesis(
            analyzer=NAME,
            key=f"{about}|{self.key}",
            title=title,
            units_noun=self.judged.units_noun,
            counted="run",
            detail={
                **detail,
                **known.pop("detail"),
                "calibration": self.calibration.json(),
            },
            **known,
        )


def _gold_missing(seen: _Seen, where: Flags) -> Hypothesis:
    """Return that a version's pass rate rests on too few gold labels to be believed."""
    judged, counts = seen.judged, seen.judged.counts[where]
    units, bare = judged.places["UnitCode"][where], counts[:, _PASS_ONLY] + counts[:, _FAIL_ONLY]
    missing, needed = seen.calibration.gold_missing, seen.calibration.gold_needed
    return seen.hypothesis(
        "gold_missing",
        f"the {seen.name} has too few gold labels for a believable pass rate",
        support=_support(counts, bare, units),
        strata=_alone(counts.sum(axis=1), bare, discovers=judged.discovers[where], units=units),
        adjusted_for=(),
        floor=0.0,
        family="gold labels",  # certain, so it must not make anything else look likely
        doubt=f"{missing} more gold labels are needed: {needed - missing} of {needed}",
        looks_wanted=needed,
        evidence=seen.traces(("pass", ""), ("fail", "")),
        counter_evidence=(),
        detail={
            "kind": "judge_gold_missing",
            "n_counts": "runs that it judged",
            "k_counts": "those without a gold label",
            "compared_with": "a gold label for each",
        },
    )


def _against_gold(seen: _Seen, where: Flags) -> Iterator[Hypothesis]:
    """Yield that a version passes more runs than gold, fewer, and disagrees more than it may."""
    judged = seen.judged
    counts = judged.counts[where][:, : _FAIL_FAIL + 1]
    if not counts.sum():
        return
    units = judged.places["UnitCode"][where]
    cells = _pairs(counts, discovers=judged.discovers[where], units=units)
    ways = (
        ("lenient", "passes runs that gold fails", _PASS_FAIL, ("pass", "fail"), cells),
        ("strict", "fails runs that gold passes", _FAIL_PASS, ("fail", "pass"), _turned(cells)),
    )
    for kind, words, column, said, strata in ways:
        yield seen.hypothesis(
            kind,
            f"the {seen.name} {words}",
            support=_support(counts, counts[:, column], units),
            strata=strata,
            adjusted_for=("run",),
            evidence=seen.traces(said),
            counter_evidence=seen.traces(("pass", "pass"), ("fail", "fail")),
            detail={
                "kind": f"judge_{kind}",
                "n_counts": "runs that the judge and gold labelled",
                "k_counts": f"those that the judge {words.replace('runs that', 'and')}",
                "compared_with": "what gold says of the same runs",
            },
        )
    wrong = counts[:, _PASS_FAIL] + counts[:, _FAIL_PASS]
    yield seen.hypothesis(
        "disagrees",
        f"the {seen.name} disagrees with gold in more than {DISAGREEMENT_MAX:.0%} of runs",
        support=_support(counts, wrong, units),
        strata=_alone(counts.sum(axis=1), wrong, discovers=judged.discovers[where], units=units),
        adjusted_for=(),
        floor=DISAGREEMENT_MAX,
        evidence=seen.traces(("pass", "fail"), ("fail", "pass")),
        counter_evidence=seen.traces(("pass", "pass"), ("fail", "fail")),
        detail={
            "kind": "judge_disagrees",
            "n_counts": "runs that the judge and gold labelled",
            "k_counts": "those of which they say different things",
            "compared_with": f"a tolerable share of {DISAGREEMENT_MAX:.0%}",
        },
    )


def _changes(seen: _Seen, mine: Flags, rest: Flags, *, than: str) -> Iterator[Hypothesis]:
    """Yield that it passes more, passes less, or disagrees more with gold than before."""
    counts = seen.judged.counts
    passed = counts[:, _PASS_PASS] + counts[:, _PASS_FAIL] + counts[:, _PASS_ONLY]
    every = counts.sum(axis=1)
    wrong, gold = counts[:, _PASS_FAIL] + counts[:, _FAIL_PASS], counts[:, : _FAIL_FAIL + 1]
    drift = "version" if than == "other versions" else "time"
    words = "than its other versions" if drift == "version" else "than it did in its first half"
    ways = (
        ("passes_more", "passes more runs of the same tasks", passed, every),
        ("passes_less", "passes fewer runs of the same tasks", every - passed, every),
        ("agrees_less", "disagrees with gold more often on the same tasks", wrong, gold.sum(1)),
    )
    said = {
        "passes_more": (("pass", "fail"), ("pass", ""), ("pass", "pass")),
        "passes_less": (("fail", "pass"), ("fail", ""), ("fail", "fail")),
        "agrees_less": (("pass", "fail"), ("fail", "pass")),
    }
    against = {
        "passes_more": said["passes_less"],
        "passes_less": said["passes_more"],
        "agrees_less": (("pass", "pass"), ("fail", "fail")),
    }
    for about, title, k, n in ways:
        if not (n[mine].any() and n[rest].any()):
            continue
        yield seen.hypothesis(
            f"{drift}|{about}",
            f"the {seen.name} {title} {words}",
            support=_support(n[mine], k[mine], seen.judged.places["UnitCode"][mine]),
            strata=_apart(seen.judged, n, k, mine=mine, rest=rest),
            adjusted_for=tuple(_FACTORS),
            evidence=seen.traces(*said[about], only_late=drift == "time"),
            counter_evidence=seen.traces(*against[about], only_late=drift == "time"),
            detail={
                "kind": f"judge_{drift}_drift",
                "changed": about,
                "n_counts": "runs that it judged" + (" and gold" if k is wrong else ""),
                "k_counts": "those that it passed"
                if k is passed
                else "those that it disagrees with gold on"
                if k is wrong
                else "those that it failed",
                "compared_with": f"its labels of {than}"
                if drift == "version"
                else "the earlier half of its labels",
            },
        )


def _support(counts: Floats, k: Floats, units: Codes) -> Support:
    n = int(counts.sum())
    return Support(n=n, k=int(k.sum()), runs=n, units=len(np.unique(units[k > 0])))


def _pairs(counts: Floats, *, discovers: Flags, units: Codes) -> Cells:
    """Return one cell a run: whether the first passes it against whether the second does.

    Each run is its own stratum, so that the test is McNemar's and the effect the difference of
    the pass rates. Runs of one unit (task, else user) are a cluster: judges err alike on them.
    """
    rows, outcomes = np.nonzero(counts)
    times = counts[rows, outcomes].astype(np.int64)
    row, outcome = np.repeat(rows, times), np.repeat(outcomes, times)
    said = np.array(_PAIRS)[outcome]
    ones = np.ones(len(row))
    return Cells(
        n=ones,
        k=said[:, 0],
        other_n=ones,
        other_k=said[:, 1],
        discovers=discovers[row],
        factors={"run": np.arange(len(row), dtype=np.int64)},
        cluster=units[row],
    )


def _turned(cells: Cells) -> Cells:
    """Return the same pairs with failing as the event."""
    return Cells(
        n=cells.n,
        k=cells.n - cells.k,
        other_n=cells.other_n,
        other_k=cells.other_n - cells.other_k,
        discovers=cells.discovers,
        factors=cells.factors,
        cluster=cells.cluster,
    )


def _alone(n: Floats, k: Floats, *, discovers: Flags, units: Codes) -> Cells:
    """Return counts with nothing to compare them with but a tolerable rate."""
    nothing = np.zeros(len(n))
    return Cells(
        n=n,
        k=k,
        other_n=nothing,
        other_k=nothing,
        discovers=discovers,
        factors={"task": np.zeros(len(n), dtype=np.int64)},
        cluster=units,
    )


def _apart(judged: JudgedRuns, n: Floats, k: Floats, *, mine: Flags, rest: Flags) -> Cells:
    """Return the counts of some rows against those of others, within task, agent and so on."""
    return Cells(
        n=np.where(mine, n, 0.0),
        k=np.where(mine, k, 0.0),
        other_n=np.where(rest, n, 0.0),
        other_k=np.where(rest, k, 0.0),
        discovers=judged.discovers,
        factors={name: judged.places[column] for name, column in _FACTORS.items()},
        cluster=judged.places["Cluster"],
    )
