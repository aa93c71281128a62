"""What inference costs: a dated table of list prices, and the price of a model on a day."""

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib import resources

_PER_TOKENS = 1_000_000
# Spans may name any model: what was answered of that many is kept.
_ANSWERS_MAX = 4_096
# What may follow a model's name without making it another model: a date, a tag, a fine-tune's id.
_SUFFIX = r"(-\d{4}-?\d{2}-?\d{2}|-latest|[@:].*)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's list price from a day on, in US dollars per million tokens."""

    model: str
    since: date
    input: float
    output: float
    cached_input: float | None = None


@cache
def prices() -> tuple[Price, ...]:
    """Return the price table, the longest names and the newest days first."""
    text = (resources.files("spanlore.schemas") / "prices.toml").read_text(encoding="utf-8")
    table = [Price(**entry) for entry in tomllib.loads(text)["price"]]
    return tuple(sorted(table, key=lambda price: (-len(price.model), -price.since.toordinal())))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of inference; ``input_tokens`` are those that were not read from a cache."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int


@lru_cache(_ANSWERS_MAX)
def price_of(model: str, day: date) -> Price | None:
    """Return the price of a model on a day (UTC), None where it has none."""
    return next(
        (price for price in prices() if price.since <= day and _pattern(price).fullmatch(model)),
        None,
    )


def cost_of(price: Price, usage: Usage) -> float:
    """Return what tokens cost, in US dollars."""
    cached = price.input if price.cached_input is None else price.cached_input
    return (
        usage.input_tokens * price.input
        + usage.cached_tokens * cached
        + usage.output_tokens * price.output
    ) / _PER_TOKENS


@cache
def _pattern(price: Price) -> re.Pattern[str]:
    return re.compile(f"(.*/)?{re.escape(price.model)}{_SUFFIX}")
