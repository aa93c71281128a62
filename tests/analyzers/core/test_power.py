"""Against the power that statsmodels gives at the number of looks asked for."""

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from spanlore.analyzers.core.power import looks_needed

ALPHA = 0.01


@pytest.mark.parametrize("effect", [0.02, 0.1, 0.3])
def test_each_half_has_the_power_of_a_z_test(effect: float) -> None:
    deviation, looks = 0.45, 100
    needed = looks_needed(
        effect, standard_error=deviation * (2 / looks) ** 0.5, looks=looks, alpha=ALPHA
    )
    test = NormalIndPower()
    size = {"effect_size": effect / deviation, "nobs1": needed / 2}
    discovery = test.power(**size, alpha=ALPHA / 2, alternative="larger")
    confirmation = test.power(**size, alpha=0.05, alternative="larger")
    assert discovery * confirmation == pytest.approx(0.8, abs=0.02 if effect > 0.2 else 0.001)


@pytest.mark.parametrize(("rate", "other"), [(0.3, 0.2), (0.06, 0.02), (0.55, 0.45)])
def test_two_rates_are_told_apart_with_80_percent_power(rate: float, other: float) -> None:
    variance = rate * (1 - rate) + other * (1 - other)
    needed = looks_needed(
        rate - other, standard_error=(variance / 50) ** 0.5, looks=50, alpha=ALPHA
    )
    size = {"diff": rate - other, "prop2": other, "nobs1": needed / 2, "return_results": False}
    discovery = power_proportions_2indep(**size, alpha=ALPHA / 2, alternative="larger")
    confirmation = power_proportions_2indep(**size, alpha=0.05, alternative="larger")
    assert discovery * confirmation == pytest.approx(0.8, abs=0.02)


def test_it_does_not_matter_from_how_many_looks_one_reckons() -> None:
    few, many = (
        looks_needed(0.1, standard_error=0.5 / looks**0.5, looks=looks, alpha=ALPHA)
        for looks in (20, 2000)
    )
    assert few == pytest.approx(many, abs=1)


def test_half_the_effect_needs_four_times_the_looks() -> None:
    whole, half = (
        looks_needed(effect, standard_error=0.05, looks=100, alpha=ALPHA) for effect in (0.1, 0.05)
    )
    assert half == pytest.approx(4 * whole, abs=4)


def test_simulated_halves_show_the_effect_four_times_in_five() -> None:
    seed, rounds, rate, other = 20261122, 4000, 0.3, 0.2
    variance = rate * (1 - rate) + other * (1 - other)
    needed = looks_needed(rate - other, standard_error=variance**0.5, looks=1, alpha=ALPHA)
    random = np.random.default_rng(seed)
    half = needed // 2
    rates = random.binomial(half, [[rate], [other]], size=(2, rounds, 2, 1))[..., 0] / half
    z = (rates[..., 0] - rates[..., 1]) / np.sqrt((rates * (1 - rates)).sum(axis=-1) / half)
    shown = np.mean((z[0] > 2.5758) & (z[1] > 1.6449))
    print(f"seed {seed}: {needed} looks show it in {shown:.1%}")
    assert 0.77 < shown < 0.83
