"""From hypotheses to findings: the one place that decides what may be believed.

A hypothesis becomes a confirmed finding when all of this holds, else it is held back with the
first thing that failed as its reason:

1. support: at least 20 subject calls or calls in 5 distinct runs; the thing happened at least 5
   times, in at least 3 distinct tasks (users where no run names a task; more where the hypothesis
   asks for more);
2. discovery half: two-sided Cochran-Mantel-Haenszel p, adjusted by Benjamini-Hochberg over every
   hypothesis of its family (all analyzers, also those that lack support and those that are not
   told), q <= 0.1, with the subject's rate the greater;
3. confirmation half (other tasks): the same test, one-sided, p <= 0.05;
4. over everything: the Mantel-Haenszel risk difference over the strata is at least one
   percentage point, and the test within strata points the same way (one-sided p <= 0.05).

The false discovery rate of step 2 alone is what Benjamini-Hochberg promises (10 %); step 3 lets
a false discovery pass once in twenty, so that together they stay near half a percent of the null
hypotheses that reach step 2. ``tests/analyzers/test_shuffled_labels.py`` measures it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.finding_order import (
    NO_EFFECT,
    NOT_COMPARABLE,
    NOT_CONFIRMED,
    TOO_FEW,
    in_order,
)
from spanlore.analyzers.halves import in_discovery_half
from spanlore.analyzers.hypothesis import Hypothesis, Stratum
from spanlore.analyzers.statistics import (
    Contrast,
    Table,
    false_discovery_q,
    pooled,
    rate_above,
    stratified_contrast,
    wilson_interval,
)
from spanlore.schemas.types import Finding

Q_MAX = 0.1
P_CONFIRM_MAX = 0.05
EFFECT_MIN = 0.01
CALLS_MIN = 20
RUNS_MIN = 5
EVENTS_MIN = 5
EVIDENCE_TRACES_MAX = 20
_ID_HEX_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """A hypothesis with its test on each half and over everything."""

    hypothesis: Hypothesis
    discovery: Contrast
    confirmation: Contrast
    overall: Contrast


def findings_of(hypotheses: Sequence[Hypothesis]) -> list[Finding]:
    """Judge all hypotheses of one analysis together; the findings come ``in_order``.

    What never happened is tested, because it was looked for, but gives no finding. The result
    depends on the set of hypotheses alone, not on their order.
    """
    ordered = sorted(hypotheses, key=lambda one: (one.analyzer, one.key))
    discovered = [_contrast(hypothesis, _halves(hypothesis)[0]) for hypothesis in ordered]
    q_values = _q_values(ordered, [contrast.p for contrast in discovered])
    return in_order(
        _finding(_examine(hypothesis, discovery), q)
        for hypothesis, discovery, q in zip(ordered, discovered, q_values, strict=True)
        if hypothesis.support.k > 0 and hypothesis.told
    )


def finding_id(analyzer: str, key: str) -> str:
    """Return the id of a finding: of what it says, never of how often it was seen."""
    return hashlib.sha256(f"{analyzer}\x00{key}".encode()).hexdigest()[:_ID_HEX_DIGITS]


def _q_values(hypotheses: Sequence[Hypothesis], p_values: Sequence[float]) -> list[float]:
    """Correct the p values of the discovery half, each family by itself."""
    families: dict[str, list[int]] = {}
    for position, hypothesis in enumerate(hypotheses):
        families.setdefault(hypothesis.family, []).append(position)
    q_values = [1.0] * len(hypotheses)
    for positions in families.values():
        corrected = false_discovery_q([p_values[position] for position in positions])
        for position, q in zip(positions, corrected, strict=True):
            q_values[position] = q
    return q_values


def _examine(hypothesis: Hypothesis, discovery: Contrast) -> _Examined:
    return _Examined(
        hypothesis=hypothesis,
        discovery=discovery,
        confirmation=_contrast(hypothesis, _halves(hypothesis)[1]),
        overall=_contrast(hypothesis, hypothesis.strata),
    )


def _halves(hypothesis: Hypothesis) -> tuple[list[Stratum], list[Stratum]]:
    """Return the strata to discover on, and those to confirm on."""
    halves: tuple[list[Stratum], list[Stratum]] = ([], [])
    for stratum in hypothesis.strata:
        discovers = stratum.discovers
        if discovers is None:
            discovers = in_discovery_half(stratum.unit)
        halves[not discovers].append(stratum)
    return halves


def _contrast(hypothesis: Hypothesis, strata: Sequence[Stratum]) -> Contrast:
    tables = _by_name(strata)
    total = pooled(tables)
    alone = sum(one.table.other_n for one in hypothesis.strata) == 0
    if not (alone and hypothesis.floor is not None):
        return stratified_contrast(tables)
    two_sided, above = rate_above(total.k, total.n, floor=hypothesis.floor)
    effect, interval = None, None
    if total.n:
        low, high = wilson_interval(total.k, total.n)
        effect = total.k / total.n - hypothesis.floor
        interval = (low - hypothesis.floor, high - hypothesis.floor)
    return Contrast(
        p=two_sided,
        p_greater=above,
        odds_ratio=None,
        odds_ratio_interval=None,
        effect=effect,
        interval=interval,
        stratified=False,
        informative=0,
    )


def _by_name(strata: Sequence[Stratum]) -> list[Table]:
    """Add up the pieces of each stratum: without a task, its units are single users or runs."""
    pieces: dict[str, list[Table]] = {}
    for stratum in strata:
        pieces.setdefault(stratum.name, []).append(stratum.table)
    return [pooled(pieces[name]) for name in sorted(pieces)]


def _finding(one: _Examined, q: float) -> Finding:
    hypothesis = one.hypothesis
    held_back, reason = _why_held_back(one, q) or (None, None)
    return Finding(
        finding_id=finding_id(hypothesis.analyzer, hypothesis.key),
        analyzer=hypothesis.analyzer,
        title=hypothesis.title,
        n=hypothesis.support.n,
        k=hypothesis.support.k,
        effect=_rounded(one.overall.effect),
        interval=_rounded_pair(one.overall.interval),
        p=one.discovery.p,
        q=q,
        adjusted_for=hypothesis.adjusted_for if one.overall.stratified else (),
        confirmed=reason is None,
        evidence=hypothesis.evidence[:EVIDENCE_TRACES_MAX],
        counter_evidence=hypothesis.counter_evidence[:EVIDENCE_TRACES_MAX],
        detail={
            **hypothesis.detail,
            "key": hypothesis.key,
            "held_back": held_back,
            **_counts(one),
            **_test_detail(one),
        },
        reason=reason,
    )


def _counts(one: _Examined) -> dict[str, Any]:
    """Say what was counted: over all calls, and over the looks that the tests rest on."""
    looks = pooled([stratum.table for stratum in one.hypothesis.strata])
    support = one.hypothesis.support
    rate = wilson_interval(support.k, support.n) if support.n else None
    return {
        "rate": round(support.k / support.n, 4) if support.n else None,
        "rate_interval": _listed(rate),
        "runs_looked_at": support.runs,
        "units_affected": support.units,
        "units_noun": one.hypothesis.units_noun,
        "looks": _looks(one.hypothesis, looks),
        "effect_unadjusted": _rounded(_unadjusted(looks)),
    }


def _looks(hypothesis: Hypothesis, looks: Table) -> dict[str, float]:
    if hypothesis.counted != "call":
        return {"n": round(looks.n, 3), "k": round(looks.k, 3)}
    return {
        "calls": looks.n,
        "failing_calls": looks.k,
        "compared_calls": looks.other_n,
        "compared_failing_calls": looks.other_k,
    }


def _test_detail(one: _Examined) -> dict[str, Any]:
    return {
        "effect_is": _effect_words(one),
        "informative_strata": one.overall.informative,
        "odds_ratio": _rounded(one.overall.odds_ratio),
        "odds_ratio_interval": _listed(one.overall.odds_ratio_interval),
        "p_overall": one.overall.p,
        "p_confirmation": one.confirmation.p_greater,
    }


def _effect_words(one: _Examined) -> str | None:
    if one.overall.effect is None:
        return None
    if not one.overall.stratified:
        tolerable = f"a tolerable rate of {one.hypothesis.floor:.0%}"
        return f"rate over looks, minus {one.hypothesis.detail.get('floor_is', tolerable)}"
    against = one.hypothesis.detail.get("compared_with", "what it is compared with")
    return (
        f"Mantel-Haenszel risk difference within {_strata_words(one.hypothesis)}: "
        f"rate over looks, minus the rate over looks for {against}"
    )


def _unadjusted(looks: Table) -> float | None:
    return looks.k / looks.n - looks.other_k / looks.other_n if looks.compares else None


def _strata_words(hypothesis: Hypothesis) -> str:
    return "one " + ", ".join(hypothesis.adjusted_for or (hypothesis.units_noun,))


_Why = tuple[str, str]  # one of HELD_BACK, and the reason in words


def _why_held_back(one: _Examined, q: float) -> _Why | None:
    """Return the first condition that does not hold, None when all do."""
    if (few := _too_few(one.hypothesis)) is not None:
        return TOO_FEW, few
    if (apart := _not_comparable(one)) is not None:
        return NOT_COMPARABLE, apart
    if one.hypothesis.doubt is not None:
        return NO_EFFECT, one.hypothesis.doubt
    effect = one.overall.effect or 0.0
    if effect < EFFECT_MIN:
        what = "no effect worth naming" if effect > -EFFECT_MIN else "not more often but less"
        return NO_EFFECT, f"{what}: {effect:+.3f}{_within(one)} (p={one.overall.p:.3g})"
    reason = _not_shown(one, q, effect) or _not_confirmed(one)
    return None if reason is None else (NOT_CONFIRMED, reason)


def _too_few(hypothesis: Hypothesis) -> str | None:
    support, noun, counted = hypothesis.support, hypothesis.units_noun, hypothesis.counted
    seen = f"{_count(support.k, counted)} in {_count(support.units, noun)}"
    if support.k < EVENTS_MIN or support.units < hypothesis.units_min:
        return f"too few: {seen}; needs {EVENTS_MIN} {counted}s in {hypothesis.units_min} {noun}s"
    if support.n < CALLS_MIN and support.runs < RUNS_MIN:
        looked = f"{_count(support.n, counted)} in {_count(support.runs, 'run')}"
        return f"too few: {looked} to look at; needs {CALLS_MIN} {counted}s or {RUNS_MIN} runs"
    return None


def _not_comparable(one: _Examined) -> str | None:
    """Return a reason where neither strata nor a tolerable rate give anything to compare with."""
    if one.overall.stratified or one.overall.effect is not None:
        return None
    where = _strata_words(one.hypothesis)
    return f"not comparable: no calls of both kinds with both results within {where}"


def _not_shown(one: _Examined, q: float, effect: float) -> str | None:
    overall, discovery = one.overall, one.discovery
    if overall.p_greater > P_CONFIRM_MAX:
        return f"not shown: {effect:+.3f}{_within(one)}, but p={overall.p:.3g}"
    if q > Q_MAX:
        return f"q={q:.3g} above {Q_MAX} on the discovery half"
    if discovery.p_greater > P_CONFIRM_MAX:
        return f"the discovery half points the other way (p={discovery.p_greater:.3g})"
    return None


def _within(one: _Examined) -> str:
    return f" within {_strata_words(one.hypothesis)}" if one.overall.stratified else ""


def _not_confirmed(one: _Examined) -> str | None:
    confirmation = one.confirmation
    if confirmation.p_greater > P_CONFIRM_MAX:
        return f"not confirmed on the other half (p={confirmation.p_greater:.3g})"
    if one.overall.stratified and not confirmation.stratified:
        return "not confirmed on the other half (nothing there to compare within)"
    return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _rounded_pair(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if pair is None else (round(pair[0], 6), round(pair[1], 6))


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    """Return a pair as JSON has it: details go through the store and must come back the same."""
    return None if pair is None else [round(bound, 6) for bound in pair]
