"""Patterns that runs show: how often each is seen, and whether the runs that show it fail more.

An analyzer that looks for patterns is a table of ``Pattern`` and an extractor. The extractor
gives, for each place that a pattern may be seen at (a tool, a model), the fact
``<pattern>|<place>`` with k = 0 or 1, and for the run ``run|<pattern>`` where it was seen at all
(``with_runs``). How often is tested against the pattern's tolerable rate, failure against runs of
the same task, agent, model and harness that do not show it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.fact_counts import (
    FACTS_OF_RUNS_SQL,
    Counted,
    facts_params,
    presence,
    rates,
)
from spanlore.analyzers.counting.seen_in import SCOPE_SQL, scope_of, seen_in
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

RUN = "run"
# A fact may say in its detail how many calls it is about: ``{"calls": 3}``.
_AFFECTED_SQL = f"""
SELECT Key, sumIf(JSONExtractUInt(Detail, 'calls'), K > 0) AS Calls, {SCOPE_SQL}
FROM ({FACTS_OF_RUNS_SQL}) GROUP BY Key
"""
_PLACE_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A thing that runs show at a place: ``{place}`` in its words is that tool or model.

    ``title`` says that it is often so; ``n_counts`` and ``k_counts`` what is looked at and what
    happened in those; ``value_is`` the unit of the facts' values; ``floor`` the tolerable share of
    runs, None where how often says nothing. ``runs`` names the runs that show it ("runs that ..."),
    "" where failure is not asked about, and ``among``, SQL over the columns of ``agent_runs``, the
    runs that could show it.
    """

    name: str
    place_is: str
    title: str
    n_counts: str
    k_counts: str
    value_is: str = ""
    floor: float | None = None
    runs: str = ""
    among: str = "1"


def with_runs(facts: Iterable[Fact]) -> Iterator[Fact]:
    """Yield the facts about places, and for each pattern that was seen one about the run.

    Its value is the sum of the values of the places where the pattern was seen.
    """
    seen: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        yield fact
        if fact.k:
            seen[fact.key.partition("|")[0]].append(fact)
    for name, where in seen.items():
        value = sum(fact.value for fact in where)
        yield Fact(key=f"{RUN}|{name}", value=value, span_id=where[0].span_id)


def place_key(name: str, place: str) -> str:
    """Return the key of a pattern at a place, cut to what a key may hold."""
    return f"{name}|{plain(place, chars_max=_PLACE_CHARS_MAX)}"


def pattern_hypotheses(
    store: Store, window: Window, analyzer: str, *, patterns: Sequence[Pattern]
) -> Iterator[Hypothesis]:
    """Count the facts of an analyzer's patterns, and form its hypotheses. Raises StoreError."""
    for pattern in patterns:
        if pattern.floor is not None:
            prefix = f"{pattern.name}|"
            params = facts_params(window, analyzer, prefix)
            places = seen_in(store, FACTS_OF_RUNS_SQL, params)
            affected = {row["Key"]: row for row in store.query(_AFFECTED_SQL, params)}
            for one in rates(store, window, analyzer, prefix=prefix):
                calls, where = affected[one.key]["Calls"], places.get(one.key, [])
                said = {"seen_in": where, "scope": scope_of(affected[one.key])}
                said |= {"calls": calls} if calls else {}
                yield rate_hypothesis(analyzer, pattern, one, said=said)
        if pattern.runs:
            for one in presence(
                store, window, analyzer, prefix=f"{RUN}|{pattern.name}", among=pattern.among
            ):
                yield outcome_hypothesis(analyzer, pattern, one)


def rate_hypothesis(
    analyzer: str, pattern: Pattern, counted: Counted, *, said: Mapping[str, Any]
) -> Hypothesis:
    """Form the hypothesis that a pattern is seen more often than may be tolerated.

    ``said`` is what else there is to tell about it.
    """
    place = counted.key.partition("|")[2]
    return _hypothesis(
        analyzer,
        counted,
        title=pattern.title.format(place=place),
        floor=pattern.floor,
        detail={
            "kind": "rate",
            "pattern": pattern.name,
            pattern.place_is: place,
            "n_counts": pattern.n_counts.format(place=place),
            "k_counts": f"of these, {pattern.k_counts.format(place=place)}",
            "compared_with": f"a tolerable rate of {pattern.floor:.0%} of runs",
            **_value(pattern, counted),
            **said,
        },
    )


def outcome_hypothesis(analyzer: str, pattern: Pattern, counted: Counted) -> Hypothesis:
    """Form the hypothesis that the runs which show a pattern fail more than comparable ones."""
    return _hypothesis(
        analyzer,
        counted,
        title=f"{pattern.runs} fail more often than others",
        floor=None,
        detail={
            "kind": "outcome",
            "pattern": pattern.name,
            "n_counts": f"judged {pattern.runs}",
            "k_counts": "of these, those judged a failure",
            "compared_with": "runs without it of the same task, agent, model and harness",
            **_value(pattern, counted),
        },
    )


def _value(pattern: Pattern, counted: Counted) -> dict[str, int]:
    """Return the sum of the facts' values; nothing where they do not say any."""
    return {pattern.value_is: round(counted.value)} if pattern.value_is and counted.value else {}


def _hypothesis(
    analyzer: str, counted: Counted, *, title: str, floor: float | None, detail: Mapping[str, Any]
) -> Hypothesis:
    kind = "outcome|" if detail["kind"] == "outcome" else ""
    return counted.hypothesis(
        analyzer=analyzer,
        key=f"{kind}{counted.key}",
        title=plain(title),
        floor=floor,
        counted="run",
        detail=detail,
    )
