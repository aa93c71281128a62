"""How often the interval of a judge-corrected pass rate holds the truth, with 30 gold labels.

Worlds of known truth over a grid: the share of runs that pass, how often the judge is right on
passes and on fails, and how many runs it judged. In each world some runs, drawn blindly, get a
gold label. An interval that is not given (of a judge no better than chance) is counted apart.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.statistics import wilson_interval
from spanlore.analyzers.judges.calibration import (
    Confusion,
    Rate,
    kappa,
    prediction_powered,
    rogan_gladen,
)

GOLD_LABELS = 30
GOAL = 0.93
RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
RIGHT_ON_PASSES = (0.6, 0.8, 0.95, 1.0)
RIGHT_ON_FAILS = (0.3, 0.6, 0.8, 0.95, 1.0)
UNLABELLED = (300, 3000)

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One point of the grid."""

    rate: float
    sensitivity: float
    specificity: float
    unlabelled: int

    @property
    def kappa(self) -> float | None:
        """The true kappa; None where judge or truth always say the same."""
        shares = self.shares
        judge, truth = shares[0] + shares[1], shares[0] + shares[2]
        chance = judge * truth + (1 - judge) * (1 - truth)
        return (shares[0] + shares[3] - chance) / (1 - chance) if chance < 1 else None

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """How many runs are passed rightly, passed wrongly, failed wrongly, failed rightly."""
        fails = 1 - self.rate
        return (
            self.rate * self.sensitivity,
            fails * (1 - self.specificity),
            self.rate * (1 - self.sensitivity),
            fails * self.specificity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """How often a method's interval held the truth at one place, and how wide it was.

    ``given`` is the share of worlds in which there was an interval; the others are of those.
    """

    place: Place
    method: str
    given: float
    coverage: float
    width: float


def judge_coverage(
    seed: int, worlds: int, *, gold: int = GOLD_LABELS, unlabelled: Sequence[int] = UNLABELLED
) -> list[Covered]:
    """Return coverage and width of each method at each place, over ``worlds`` worlds a place."""
    random = np.random.default_rng(seed)
    found: list[Covered] = []
    for values in product(RATES, RIGHT_ON_PASSES, RIGHT_ON_FAILS, unlabelled):
        place = Place(
            rate=values[0], sensitivity=values[1], specificity=values[2], unlabelled=values[3]
        )
        labelled = random.multinomial(gold, place.shares, size=worlds)
        rest = random.multinomial(place.unlabelled, place.shares, size=worlds)
        counts = [_counts(mine, others) for mine, others in zip(labelled, rest, strict=True)]
        found += _covered(place, counts)
    return found


def is_below(one: Covered, worlds: int) -> bool:
    """Whether a coverage is below the goal by more than three standard errors of the simulation."""
    error = math.sqrt(GOAL * (1 - GOAL) / (worlds * one.given))
    return one.coverage < GOAL - 3 * error


def _counts(labelled: Counts, rest: Counts) -> Confusion:
    return Confusion(
        pass_pass=int(labelled[0]),
        pass_fail=int(labelled[1]),
        fail_pass=int(labelled[2]),
        fail_fail=int(labelled[3]),
        pass_only=int(rest[0] + rest[1]),
        fail_only=int(rest[2] + rest[3]),
    )


def _covered(place: Place, worlds: list[Confusion]) -> Iterator[Covered]:
    methods: dict[str, tuple[float, list[Rate | None]]] = {
        "prediction_powered": (place.rate, [prediction_powered(one) for one in worlds]),
        "rogan_gladen": (place.rate, [rogan_gladen(one) for one in worlds]),
        "gold_alone": (place.rate, [_gold_alone(_labelled(one)) for one in worlds]),
    }
    if place.kappa is not None:
        methods["kappa"] = (place.kappa, [_kappa(_labelled(one)) for one in worlds])
    for method, (truth, rates) in methods.items():
        given = [one.interval for one in rates if one is not None]
        if given:
            yield Covered(
                place=place,
                method=method,
                given=len(given) / len(worlds),
                coverage=sum(low <= truth <= high for low, high in given) / len(given),
                width=sum(high - low for low, high in given) / len(given),
            )


def _labelled(counts: Confusion) -> Confusion:
    """Return the part with gold labels: few tables are different, so what is said of it is kept."""
    return replace(counts, pass_only=0, fail_only=0)


@cache
def _kappa(counts: Confusion) -> Rate | None:
    return kappa(counts)


@cache
def _gold_alone(counts: Confusion) -> Rate:
    passed = counts.pass_pass + counts.fail_pass
    return Rate(value=passed / counts.gold, interval=wilson_interval(passed, counts.gold))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2000, help="worlds at each place")
    parser.add_argument("--gold", type=int, default=GOLD_LABELS)
    parser.add_argument("--seed", type=int, default=20261125)
    options = parser.parse_args()
    found = judge_coverage(options.seed, options.worlds, gold=options.gold)
    print(
        f"seed {options.seed}, {options.gold} gold labels, {options.worlds} worlds at each place; "
        f"goal: prediction_powered covers >= {GOAL} at every place (below it: by three standard "
        "errors of the simulation)\n"
    )
    print("| method | places | coverage: mean | least | at | places below goal | width | given |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for method in dict.fromkeys(one.method for one in found):
        mine = [one for one in found if one.method == method]
        least = min(mine, key=lambda one: one.coverage)
        print(
            f"| {method} | {len(mine)} | {_mean(one.coverage for one in mine):.3f} "
            f"| {least.coverage:.3f} | {least.place.rate}, {least.place.sensitivity}, "
            f"{least.place.specificity}, {least.place.unlabelled} "
            f"| {sum(is_below(one, options.worlds) for one in mine)} "
            f"| {_mean(one.width for one in mine):.3f} | {_mean(one.given for one in mine):.2f} |"
        )


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main()
