from datetime import date

import pytest

from spanlore.schemas.prices import Usage, cost_of, price_of, prices

TODAY = date(2026, 11, 1)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "openai/gpt-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-20240806",
        "gpt-4o-latest",
        "gpt-4o@eu",
        "azure/openai/gpt-4o:v2",
    ],
)
def test_a_model_is_known_by_its_name_with_a_provider_a_date_or_a_tag(name: str) -> None:
    price = price_of(name, TODAY)
    assert price is not None
    assert price.model == "gpt-4o"


@pytest.mark.parametrize("name", ["", "gpt-4o-audio", "my-gpt-4o", "gpt-4ox", "GPT-4O", "gpt.4o"])
def test_another_models_name_has_no_price_of_it(name: str) -> None:
    price = price_of(name, TODAY)
    assert price is None or price.model != "gpt-4o"


def test_the_longest_name_wins() -> None:
    price = price_of("openai/gpt-4o-mini-2024-07-18", TODAY)
    assert price is not None
    assert price.model == "gpt-4o-mini"


def test_the_price_is_that_of_the_day() -> None:
    before, after, never = (
        price_of("gpt-4o", day) for day in (date(2024, 10, 1), date(2024, 10, 2), date(2024, 5, 12))
    )
    assert (before and before.input, after and after.input, never) == (5.0, 2.5, None)


def test_cached_tokens_have_their_own_price_where_there_is_one() -> None:
    [old] = [one for one in prices() if one.model == "gpt-4o" and one.cached_input is None]
    [new] = [one for one in prices() if one.model == "gpt-4o" and one.cached_input is not None]
    usage = Usage(input_tokens=600_000, cached_tokens=400_000, output_tokens=100_000)
    assert cost_of(old, usage) == pytest.approx(1.0 * old.input + 0.1 * old.output)
    assert cost_of(new, usage) == pytest.approx(
        0.6 * new.input + 0.4 * (new.cached_input or 0) + 0.1 * new.output
    )


def test_names_that_spans_make_up_are_not_all_kept() -> None:
    for number in range(10_000):
        price_of(f"made-up-{number}", TODAY)
    assert price_of.cache_info().currsize < 10_000
