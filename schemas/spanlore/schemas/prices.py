"""What inference costs: a dated table of list prices and the SQL that applies it to a span."""

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

_PER_TOKENS = 1_000_000
# What may follow a model's name without making it another model: a date, a tag, a fine-tune's id.
_SUFFIX = r"(-\\d{4}-?\\d{2}-?\\d{2}|-latest|[@:].*)?"


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


def cost_sql(*, model: str, at: str, input_tokens: str, output_tokens: str, cached: str) -> str:
    """Return SQL for a span's cost in US dollars; NULL where its model has no price at that time.

    The arguments are SQL expressions. Cached tokens are a part of the input tokens.
    """
    branches = []
    for price in prices():
        pattern = f"^(.*/)?{re.escape(price.model)}{_SUFFIX}$".replace("\\-", "-")
        pattern = pattern.replace("\\.", "[.]")
        cached_price = price.input if price.cached_input is None else price.cached_input
        hit = f"match({model}, '{pattern}') AND {at} >= toDateTime('{price.since} 00:00:00', 'UTC')"
        known_cached = f"least(ifNull({cached}, 0), {input_tokens})"
        amount = (
            f"(({input_tokens} - {known_cached}) * {price.input} + {known_cached} * {cached_price}"
            f" + {output_tokens} * {price.output}) / {_PER_TOKENS}"
        )
        branches.append(f"{hit}, {amount}")
    return f"multiIf({', '.join(branches)}, NULL)"
