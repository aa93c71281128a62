"""From hypotheses to findings: the one place that decides what may be believed.

A hypothesis becomes a confirmed finding when all of this holds, else it is held back with the
first thing that failed as its reason:

1. support: at least 20 subject calls or calls in 5 distinct runs; the thing happened at least 5
   times, in at least 3 distinct tasks (users where no run names a task; more where the hypothesis
   asks for more);
2. guard: the effect neither flips nor vanishes once task, agent, model, harness and judge are held
   fixed together, and can be told apart from each of them (``guard``);
3. discovery half: the two-sided p where the subject's rate is the greater, else 1, adjusted for
   all of them (``adjustment``) and by Benjamini-Hochberg over every hypothesis of its family (all
   analyzers, also those that lack support and those that are not told), q <= 0.1;
4. confirmation half (other tasks): the same test, one-sided, p <= 0.05;
5. over everything: the risk difference within strata is at least one percentage point, and the
   test points the same way (one-sided p <= 0.05).

The false discovery rate of step 3 alone is what Benjamini-Hochberg promises (10 %). Where the
halves share nothing, step 4 lets a false discovery pass once in twenty, so that together they stay
near half a percent of the discoveries; ``tests/analyzers/core/test_shuffled_labels.py`` measures
it.
Halves are of tasks, and users who have tasks in both make them alike: 25 users with habits of
their own, over 60 tasks, had 2.8 % of null hypotheses that were tested alone confirmed, where
independent halves promise a quarter of a percent. A rate without a comparison is everybody's only
as far as ``detail["guard"]`` does not say whose it is (``carried``). The words for what is held
back are in ``verdict``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from spanlore.analyzers.core.examined import Examined, examined, significant
from spanlore.analyzers.core.finding_order import in_order
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.core.statistics import Table, false_discovery_q, wilson_interval
from spanlore.analyzers.core.verdict import P_CONFIRM_MAX, Q_MAX, ruling_of, strata_words
from spanlore.schemas.types import Finding

EVIDENCE_TRACES_MAX = 20
_ID_HEX_DIGITS = 32


def findings_of(hypotheses: Iterable[Hypothesis]) -> list[Finding]:
    """Test and judge all hypotheses of one analysis together; see ``judged``.

    Each is reduced to its tests as it comes, so that the cells of one alone are in memory.
    """
    return judged(examined(one) for one in hypotheses)


def judged(every: Iterable[Examined]) -> list[Finding]:
    """Judge all tested hypotheses of one analysis together; the findings come ``in_order``.

    What never happened is tested, because it was looked for, but gives no finding. The result
    depends on the set of hypotheses alone, not on their order.
    """
    tested = sorted(every, key=lambda one: (one.hypothesis.analyzer, one.hypothesis.key))
    corrected = _corrected(tested)
    return in_order(
        _finding(one, q, alpha=alpha)
        for one, (q, alpha) in zip(tested, corrected, strict=True)
        if one.hypothesis.support.k > 0 and one.hypothesis.told
    )


def finding_id(analyzer: str, key: str) -> str:
    """Return the id of a finding: of what it says, never of how often it was seen."""
    return hashlib.sha256(f"{analyzer}\x00{key}".encode()).hexdigest()[:_ID_HEX_DIGITS]


def _corrected(tested: Sequence[Examined]) -> list[tuple[float, float]]:
    """Return q and the p that one more would pass with, each family by itself."""
    families: dict[str, list[int]] = {}
    for position, one in enumerate(tested):
        families.setdefault(one.hypothesis.family, []).append(position)
    corrected = [(1.0, P_CONFIRM_MAX)] * len(tested)
    for positions in families.values():
        q_values = false_discovery_q([tested[position].p_more for position in positions])
        passed = sum(q <= Q_MAX for q in q_values)
        alpha = min(Q_MAX * (passed + 1) / len(positions), P_CONFIRM_MAX)
        for position, q in zip(positions, q_values, strict=True):
            corrected[position] = (q, alpha)
    return corrected


def _finding(one: Examined, q: float, *, alpha: float) -> Finding:
    hypothesis, ruling = one.hypothesis, ruling_of(one, q, alpha=alpha)
    return Finding(
        finding_id=finding_id(hypothesis.analyzer, hypothesis.key),
        analyzer=hypothesis.analyzer,
        title=hypothesis.title,
        n=hypothesis.support.n,
        k=hypothesis.support.k,
        effect=_rounded(one.overall.effect),
        interval=_rounded_pair(one.overall.interval),
        p=one.p,
        q=q,
        adjusted_for=one.adjusted_for,
        confirmed=ruling.verdict == "confirmed",
        evidence=hypothesis.evidence[:EVIDENCE_TRACES_MAX],
        counter_evidence=hypothesis.counter_evidence[:EVIDENCE_TRACES_MAX],
        detail={
            **hypothesis.detail,
            "key": hypothesis.key,
            **_counts(one),
            **_test_detail(one),
        },
        reason=ruling.reason,
        verdict=ruling.verdict,
        n_needed=ruling.n_needed,
    )


def _counts(one: Examined) -> dict[str, Any]:
    """Say what was counted: over all calls, and over the looks that the tests rest on."""
    support = one.hypothesis.support
    return {
        "rate": round(support.k / support.n, 4) if support.n else None,
        "rate_interval": _listed(_rate_interval(one)),
        "runs_looked_at": support.runs,
        "units_affected": support.units,
        "units_noun": one.hypothesis.units_noun,
        "looks": _looks(one),
        "expected_by_chance": _expected(one),
        "effect_unadjusted": _rounded(_unadjusted(one.looks)),
    }


def _rate_interval(one: Examined) -> tuple[float, float] | None:
    """Return the interval of the rate over all calls, of as many calls as there are looks.

    Calls of one run are alike and say no more than its looks, of which those of one user may be
    alike as well.
    """
    support = one.hypothesis.support
    looks = one.looks.n
    if one.overall.method == "binomial":
        looks /= one.overall.design_effect
    if not (support.n and looks):
        return None
    share = min(looks / support.n, 1.0)
    return wilson_interval(share * support.k, share * support.n)


def _looks(one: Examined) -> dict[str, float]:
    looks = one.looks
    if one.hypothesis.counted != "call":
        return {"n": round(looks.n, 3), "k": round(looks.k, 3)}
    return {
        "calls": looks.n,
        "failing_calls": looks.k,
        "compared_calls": looks.other_n,
        "compared_failing_calls": looks.other_k,
    }


def _expected(one: Examined) -> float | None:
    """Return how many of the looks' events were to be expected if nothing is there."""
    if one.overall.effect is None:
        return None
    return round(one.looks.k - one.overall.excess, 1)


def _test_detail(one: Examined) -> dict[str, Any]:
    return {
        "effect_is": _effect_words(one),
        "method": one.overall.method,
        "fitted": list(one.covariates),
        "design_effect": round(one.overall.design_effect, 3),
        "informative_strata": one.overall.informative,
        "odds_ratio": _rounded(one.overall.odds_ratio),
        "odds_ratio_interval": _listed(one.overall.odds_ratio_interval),
        "p_overall": significant(one.overall.p),
        "p_confirmation": significant(one.confirmation.p_greater),
        **_guard_detail(one),
    }


def _guard_detail(one: Examined) -> dict[str, Any]:
    if one.carried is None:
        return {"guard": None if one.guard is None else one.guard.json()}
    guard = one.carried.json(one.hypothesis.detail)
    return {
        "guard": guard,
        "carried_by": guard["carried_by"],
        "holds_for": guard["holds_for"],
    }


def _effect_words(one: Examined) -> str | None:
    if one.overall.effect is None:
        return None
    against = one.hypothesis.detail.get("compared_with", "what it is compared with")
    if not one.overall.stratified:
        return f"rate over looks, minus {against}"
    what = "linear" if one.covariates else "Mantel-Haenszel"
    return (
        f"{what} risk difference within {strata_words(one)}: "
        f"rate over looks, minus the rate over looks for {against}"
    )


def _unadjusted(looks: Table) -> float | None:
    if not (looks.n and looks.other_n):
        return None
    return looks.k / looks.n - looks.other_k / looks.other_n


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _rounded_pair(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if pair is None else (round(pair[0], 6), round(pair[1], 6))


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    """Return a pair as JSON has it: details go through the store and must come back the same."""
    return None if pair is None else [round(bound, 6) for bound in pair]
