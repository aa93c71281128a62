"""Where a call's arguments came from: what an earlier tool returned, or the user's words."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.runs.json_paths import Scalar, scalars
from spanlore.analyzers.runs.run_trace import RunTrace

SHARE_MIN = 0.6
RESULT_SCALARS_MAX = 2_000
_CHARS_MIN = 3
_SMALL_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Source:
    """A producer of values: the field at ``path`` of what ``tool`` returned, the user where ""."""

    tool: str
    path: str


USER = Source(tool="", path="")
# (tool called, path of its argument) -> the source
Slots = dict[tuple[str, str], Source]
# (tool called, path of its argument, its source): one argument of one call
Sourced = tuple[str, str, Source | None]


def usual_sources(runs: Iterable[Iterable[Sourced]], tools: Iterable[str]) -> Slots:
    """Return for each argument of these tools the source it has in most of the runs' calls.

    In three of five at least of all calls that give the argument; others are left out. ``runs``
    are the arguments of each run (``sourced``).
    """
    wanted = frozenset(tools)
    given: Counter[tuple[str, str]] = Counter()
    votes: dict[tuple[str, str], Counter[Source]] = {}
    for run in runs:
        for tool, path, source in run:
            if tool in wanted:
                given[tool, path] += 1
                if source is not None:
                    votes.setdefault((tool, path), Counter())[source] += 1
    slots = {}
    for argument in sorted(votes):
        source, count = min(votes[argument].items(), key=lambda one: (-one[1], one[0]))
        if count >= SHARE_MIN * given[argument]:
            slots[argument] = source
    return slots


def sourced(run: RunTrace) -> Iterator[Sourced]:
    """Yield each argument of each call of the agent with its source, None where it has none."""
    said = "\n".join(one.text for one in run.messages if one.role == "user").casefold()
    returned: dict[str, Source] = {}
    for call in run.calls:
        if not call.asked_by and isinstance(call.arguments, dict):
            for path, value in scalars(call.arguments):
                text = _telling(value)
                if text is None:
                    continue
                spoken = USER if text in said else None
                yield call.tool, path, returned.get(text, spoken)
        result = parsed(call.result) if call.error is None else None
        for number, (path, value) in enumerate(scalars(result)):
            if number >= RESULT_SCALARS_MAX:
                break
            text = _telling(value)
            if text is not None:
                returned[text] = Source(tool=call.tool, path=path)


def _telling(value: Scalar) -> str | None:
    """Return a value that hardly stands in two places by chance as text, None for any other."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return value.casefold() if len(value) >= _CHARS_MIN else None
    return str(value) if abs(value) >= _SMALL_MAX else None
