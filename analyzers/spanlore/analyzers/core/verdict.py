"""What may be believed of a hypothesis: one word, a sentence why, and the looks it would take.

The first that holds is the verdict: support lacks (``underpowered``), nothing can be compared
(``not_comparable``), nothing or hardly anything of the crude effect is left once all is held
fixed (``confounded``, which ``guard`` decides), the analyzer itself doubts it, or what there may
be is less than is worth naming (``no_effect``); then what is not shown, or not confirmed on the
other half, is ``underpowered`` where it has fewer looks than would show it with 80 % power or
nobody can say how many those are, and ``inconclusive`` where it has as many.
"""

import math
from dataclasses import dataclass
from typing import Literal

from spanlore.analyzers.core.examined import Examined
from spanlore.analyzers.core.guard import ALL, EFFECT_MIN, Guard, points
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.core.power import looks_needed
from spanlore.schemas.types import Verdict

Q_MAX = 0.1
P_CONFIRM_MAX = 0.05
CALLS_MIN = 20
RUNS_MIN = 5
EVENTS_MIN = 5
# Fewer strata that inform say too little of how effects and errors go on with more looks.
STRATA_TO_PROJECT_MIN = 3
LOOKS_NEEDED_MAX = 1_000_000
_P_SHOWN_MIN = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A verdict; ``reason`` is None exactly where it is "confirmed"."""

    verdict: Verdict
    reason: str | None = None
    n_needed: int | None = None


def ruling_of(one: Examined, q: float, *, alpha: float) -> Ruling:
    """Return the verdict on a hypothesis.

    ``alpha`` is the two-sided p that Benjamini-Hochberg would have let one more hypothesis of the
    family pass with, on the discovery half.
    """
    return (
        _unsupported(one, alpha)
        or _not_comparable(one)
        or _confounded(one)
        or _doubted(one.hypothesis)
        or _not_worth_naming(one, alpha)
        or _not_confirmed(one, q, alpha=alpha)
        or Ruling(verdict="confirmed")
    )


def strata_words(one: Examined) -> str:
    """Name what the comparison is within: "one task, agent"."""
    held = [name for name in one.adjusted_for if name not in one.covariates]
    within = "one " + ", ".join(held or (one.hypothesis.units_noun,))
    return f"{within}, with {' and '.join(one.covariates)} fitted" if one.covariates else within


def p_words(p: float) -> str:
    """Return a p value as it is told: one that is no longer a number is below what is."""
    return f"p<{_P_SHOWN_MIN:.0e}" if p < _P_SHOWN_MIN else f"p={p:.3g}"


def _unsupported(one: Examined, alpha: float) -> Ruling | None:
    few = _too_few(one.hypothesis)
    if few is None:
        return None
    if _nothing_left(one):
        return _no_effect(one)
    needed = _needed(one, alpha)
    if isinstance(needed, int):
        return Ruling(verdict="underpowered", reason=few, n_needed=max(_for_support(one), needed))
    enough = needed == "enough"
    return Ruling(
        verdict="underpowered", reason=few, n_needed=_for_support(one) or None if enough else None
    )


def _for_support(one: Examined) -> int:
    """Return the looks in which as much would be seen as is asked for, at the rate seen so far."""
    support, units_min = one.hypothesis.support, one.hypothesis.units_min
    if not support.k:
        return 0
    lacking = max(EVENTS_MIN / support.k, units_min / max(support.units, 1))
    if support.runs < RUNS_MIN:
        lacking = max(lacking, CALLS_MIN / support.n)
    return math.ceil(one.looks.n * lacking) if lacking > 1 else 0


def _too_few(hypothesis: Hypothesis) -> str | None:
    support, noun, counted = hypothesis.support, hypothesis.units_noun, hypothesis.counted
    seen = f"{_count(support.k, counted)} in {_count(support.units, noun)}"
    if support.k < EVENTS_MIN or support.units < hypothesis.units_min:
        return f"too few: {seen}; needs {EVENTS_MIN} {counted}s in {hypothesis.units_min} {noun}s"
    if support.n < CALLS_MIN and support.runs < RUNS_MIN:
        looked = f"{_count(support.n, counted)} in {_count(support.runs, 'run')}"
        return f"too few: {looked} to look at; needs {CALLS_MIN} {counted}s or {RUNS_MIN} runs"
    return None


def _not_comparable(one: Examined) -> Ruling | None:
    """Rule where neither strata nor a tolerable rate give anything to compare with."""
    if not one.overall.stratified and one.overall.effect is None:
        within = "one " + ", ".join(one.hypothesis.adjusted_for or (one.hypothesis.units_noun,))
        reason = f"not comparable: no {one.hypothesis.counted}s of both kinds with both results"
        return Ruling(verdict="not_comparable", reason=f"{reason} within {within}")
    if one.guard is not None and one.guard.inseparable:
        other = " or ".join(one.guard.inseparable)
        reason = f"not comparable: it hardly ever shares the {other} with what it is compared with"
        return Ruling(verdict="not_comparable", reason=f"{reason}, so either may be the cause")
    return None


def _confounded(one: Examined) -> Ruling | None:
    guard = one.guard
    if guard is None or guard.culprit is None:
        return None
    crude, left = guard.crude.effect or 0.0, guard.by[guard.culprit].effect or 0.0
    becomes = "turns into" if guard.culprit in guard.flips else "shrinks to"
    return Ruling(
        verdict="confounded",
        reason=f"confounded by {_factor_words(one, guard)}: {points(crude)} over everything "
        f"{becomes} {points(left)} once that is held fixed",
    )


def _factor_words(one: Examined, guard: Guard) -> str:
    if guard.culprit != ALL:
        return str(guard.culprit)
    return " and ".join(one.adjusted_for) + " together"


def _doubted(hypothesis: Hypothesis) -> Ruling | None:
    if hypothesis.doubt is None:
        return None
    wanted = hypothesis.looks_wanted
    verdict: Verdict = "no_effect" if wanted is None else "underpowered"
    return Ruling(verdict=verdict, reason=hypothesis.doubt, n_needed=wanted)


def _not_worth_naming(one: Examined, alpha: float) -> Ruling | None:
    """Rule on an effect that is none as far as it was seen."""
    effect = one.overall.effect or 0.0
    if effect >= EFFECT_MIN:
        return None
    if _nothing_left(one):
        return _no_effect(one)
    high = one.overall.interval[1] if one.overall.interval else effect
    what = "below one point" if _small(one) else "not shown"
    return _undecided(
        one,
        f"{what}: {points(effect)}{_within(one)} ({p_words(one.overall.p)}), "
        f"as much as {points(high)} is possible{_shrinks(one)}",
        alpha,
    )


def _small(one: Examined) -> bool:
    """Whether there is an effect, but not one worth naming."""
    return (one.overall.effect or 0.0) > 0 and one.overall.p_greater <= P_CONFIRM_MAX


def _nothing_left(one: Examined) -> bool:
    """Whether the interval leaves no room for an effect worth naming."""
    return one.overall.interval is not None and one.overall.interval[1] < EFFECT_MIN


def _no_effect(one: Examined) -> Ruling:
    effect, p = one.overall.effect or 0.0, one.overall.p
    what = "below one point" if _small(one) else "no effect worth naming"
    if effect <= -EFFECT_MIN and p / 2 <= P_CONFIRM_MAX:  # one-sided for "less"
        what = "not more often but less"
    said = f"{what}: {points(effect)}{_within(one)} ({p_words(p)})"
    return Ruling(verdict="no_effect", reason=said)


def _not_confirmed(one: Examined, q: float, *, alpha: float) -> Ruling | None:
    overall, effect = one.overall, points(one.overall.effect or 0.0)
    if overall.p_greater > P_CONFIRM_MAX:
        said = f"not shown: {effect}{_within(one)}, but {p_words(overall.p)}{_shrinks(one)}"
        return _undecided(one, said, alpha)
    if (unheld := _shrunk_by_what_is_not_held(one)) or (unheld := _half_missing(one)):
        return Ruling(verdict="underpowered", reason=unheld)
    reason = _not_discovered(one, q) or _not_on_the_other_half(one)
    return None if reason is None else _undecided(one, reason, alpha)


def _undecided(one: Examined, reason: str, alpha: float) -> Ruling:
    needed = _needed(one, alpha)
    if needed == "enough":
        return Ruling(verdict="inconclusive", reason=reason)
    known = needed if isinstance(needed, int) else None
    return Ruling(verdict="underpowered", reason=reason, n_needed=known)


def _shrinks(one: Examined) -> str:
    guard = one.guard
    if guard is None or guard.whole not in guard.vanishes:
        return ""
    return f"; {points(guard.crude.effect or 0.0)} over everything shrinks to that"


def _shrunk_by_what_is_not_held(one: Examined) -> str | None:
    guard = one.guard
    if guard is None or not guard.unsettled:
        return None
    name = guard.unsettled[0]
    return (
        f"not shown with the {name} held fixed: {points(guard.crude.effect or 0.0)} over "
        f"everything shrinks to {points(guard.by[name].effect or 0.0)} "
        f"({p_words(guard.by[name].p)})"
    )


def _half_missing(one: Examined) -> str | None:
    """Say where one of the halves cannot answer at all."""
    if not one.in_both_halves:
        return f"all its {one.hypothesis.units_noun}s fall in one half"
    if not one.overall.stratified:
        return None
    if not one.discovery.stratified:
        return "nothing to compare within on the discovery half"
    if not one.confirmation.stratified:
        return "not confirmed on the other half (nothing there to compare within)"
    return None


def _not_discovered(one: Examined, q: float) -> str | None:
    if q > Q_MAX:
        return f"q={q:.3g} above {Q_MAX} on the discovery half"
    if one.discovery.p_greater > P_CONFIRM_MAX:
        return f"the discovery half points the other way ({p_words(one.discovery.p_greater)})"
    return None


def _not_on_the_other_half(one: Examined) -> str | None:
    if one.confirmation.p_greater > P_CONFIRM_MAX:
        return f"not confirmed on the other half ({p_words(one.confirmation.p_greater)})"
    return None


def _needed(one: Examined, alpha: float) -> int | Literal["enough", "unknown"]:
    """Return the looks that would show the effect, or that it has as many, or that none can say.

    Nobody can where the effect points the other way, where fewer than three strata inform, and
    where it would take more than a million looks.
    """
    effect, error = one.overall.effect, one.overall.standard_error
    few = one.overall.stratified and one.overall.informative < STRATA_TO_PROJECT_MIN
    if effect is None or not error or few or round(effect, 6) < 0:
        return "unknown"
    needed = looks_needed(
        max(effect, EFFECT_MIN), standard_error=error, looks=one.looks.n, alpha=alpha
    )
    if needed <= one.looks.n:
        return "enough"
    return needed if needed <= LOOKS_NEEDED_MAX else "unknown"


def _within(one: Examined) -> str:
    return f" within {strata_words(one)}" if one.overall.stratified else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
