"""One fault, one hypothesis: what names the same failing calls of a tool is said once.

A missing key, an unknown key in its place and the error text that follows are one fault seen
three times. Tested apart they would fill the family that Benjamini-Hochberg corrects for with
copies, and give three findings with three lessons. So hypotheses about one tool are the same when
the calls in which the thing happened are nearly the same: Jaccard index at least ``SAME_MIN``
with the one that says most. Which one that is (``Candidate.rank``) and what is the same never
looks at a test's result; the merging comes before any test.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis

SAME_MIN = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A hypothesis, the calls in which the thing happened, and how much it says.

    ``happened`` has a bit for each failing call of the tool, set where the thing happened in it.
    The lowest ``rank`` says most; equal ranks go by the hypothesis's key.
    """

    hypothesis: Hypothesis
    happened: int
    rank: tuple[int, int]


def one_a_fault(candidates: Iterable[Candidate]) -> Iterator[Hypothesis]:
    """Yield one hypothesis for each set of failing calls, whatever the order of the candidates.

    What was merged into it stands in ``detail["also"]``, with counts; the error text of a merged
    template becomes its ``detail["template"]``. What never happened is merged with nothing.
    """
    groups: list[list[Candidate]] = []
    for one in sorted(candidates, key=lambda one: (one.rank, one.hypothesis.key)):
        same = (group for group in groups if _jaccard(group[0], one) >= SAME_MIN)
        group = next(same, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    yield from map(_merged, groups)


def _jaccard(one: Candidate, other: Candidate) -> float:
    either = (one.happened | other.happened).bit_count()
    return (one.happened & other.happened).bit_count() / either if either else 0.0


def _merged(group: list[Candidate]) -> Hypothesis:
    first, *rest = group
    detail = {**first.hypothesis.detail, "also": [_also(one, first) for one in rest]}
    for one in rest:
        if "template" in one.hypothesis.detail:
            detail.setdefault("template", one.hypothesis.detail["template"])
    return replace(first.hypothesis, detail=detail)


def _also(one: Candidate, first: Candidate) -> dict[str, Any]:
    return {
        "title": one.hypothesis.title,
        "n": one.hypothesis.support.n,
        "k": one.hypothesis.support.k,
        "k_in_common": (one.happened & first.happened).bit_count(),
    }
