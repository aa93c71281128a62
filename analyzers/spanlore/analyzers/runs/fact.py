"""What an extractor saw in one run: the smallest thing that an analysis counts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spanlore.analyzers.runs.run_trace import RunTrace

KEY_CHARS_MAX = 512
DETAIL_CHARS_MAX = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that one run says about ``key``: it was looked at ``n`` times, happened ``k``.

    ``key`` names the thing without counts (for example ``create_event|absent|/end``) and is never
    empty; a run gives each key at most once. Of calls that look alike within a run, ``n`` and
    ``k`` count the looks that a test may treat as one each: mostly the first call of a tool.
    ``value`` is a number the thing has (tokens, milliseconds), ``detail`` a short JSON text,
    ``span_id`` the span that shows it best.
    """

    key: str
    n: int = 1
    k: int = 1
    value: float = 0.0
    detail: str = ""
    span_id: str = ""


Extract = Callable[[RunTrace], Iterable[Fact]]
