"""The arms of a harness lesson: how often its tool's calls fail as they did before the change.

A run was given the lesson when the tool definitions that its spans carry say what the lesson's
patch says. It is compared with the runs of the same tool before the first such run: nobody drew
lots, so that what else changed then counts as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.arguments.predicate import says_so
from spanlore.analyzers.arguments.tool_failure import failed_so
from spanlore.analyzers.evaluation.effect_arms import PASSED, Arms, EffectRun
from spanlore.analyzers.evaluation.lesson_part import parts_of
from spanlore.analyzers.runs.calls import Call, parsed
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.runs.tool_schema import schema_of, tool_of
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import NOT_REVOKED
from spanlore.schemas.store import Store
from spanlore.schemas.tables import HARNESS_PARTS, KIND_TOOL_DEFINITIONS, LATEST_RUN, RUNS
from spanlore.schemas.types import Lesson

METRIC = "tool_error"

DEFINITIONS_SQL = f"""
SELECT Hash, argMax(Content, At) AS Content
FROM {HARNESS_PARTS}
WHERE Kind = '{KIND_TOOL_DEFINITIONS}'
GROUP BY Hash
"""

RUNS_SQL = f"""
SELECT TraceId, ToolDefinitionsHash, Outcome, StartedAt FROM (
    SELECT TraceId, TenantId, State, ToolDefinitionsHash, Outcome, StartedAt
    FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN}
)
WHERE State != 'open' AND ToolDefinitionsHash != '' AND ({{tenant:String}} IN ('', TenantId))
"""

FIRST_SEEN_SQL = f"""
SELECT TraceId FROM (
    SELECT TraceId, StartedAt, ToolDefinitionsHash, TenantId
    FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN}
)
WHERE ToolDefinitionsHash IN {{hashes:Array(String)}} AND ({{tenant:String}} IN ('', TenantId))
ORDER BY StartedAt, TraceId
LIMIT 1
"""


def harness_seen(store: Store, lesson: Lesson) -> str | None:
    """Return the trace id of the first run whose tool definitions say what the lesson's patch says.

    None where there is none: the change is not rolled out yet. Raises StoreError.
    """
    hashes = _hashes(store, lesson)
    if not hashes:
        return None
    params = {"hashes": hashes, "tenant": lesson.tenant}
    return next((str(row["TraceId"]) for row in store.query(FIRST_SEEN_SQL, params)), None)


def harness_arms(store: Store, lesson: Lesson) -> Arms:
    """Return the arms of a lesson whose content names a tool. Raises StoreError."""
    parts = parts_of(lesson)
    tools = sorted({str(part["tool"]) for part in parts})
    by_run = {
        calls[0].trace_id: _calling(calls, parts)
        for every in calls_by_run(store, Window(), tools)
        if (calls := [call for call in every if call.tool in tools])
    }
    rows = [
        row for row in store.query(RUNS_SQL, {"tenant": lesson.tenant}) if row["TraceId"] in by_run
    ]
    hashes = set(_hashes(store, lesson))
    given = [row for row in rows if row["ToolDefinitionsHash"] in hashes]
    first = min((row["StartedAt"] for row in given), default=None)
    others = [row for row in rows if row["ToolDefinitionsHash"] not in hashes]
    earlier = [row for row in others if first is None or row["StartedAt"] < first]
    named = " or ".join(tools)
    return Arms(
        metric=METRIC,
        event_words=f"a call of {named} failed the way the lesson is about",
        compared_with="before",
        exposed=[_run(row, by_run[row["TraceId"]]) for row in given],
        other=[_run(row, by_run[row["TraceId"]]) for row in earlier],
        clusters_are="users (tasks, or runs, where none are known)",
        detail={
            "runs_are": f"runs that called {named}, and whose tool definitions are recorded",
            "runs_left_out": len(others) - len(earlier),
            "runs_left_out_are": "those that had the old definitions still after the first run "
            "with the new",
            "runs_without_definitions": len(by_run.keys() - {row["TraceId"] for row in rows}),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calling:
    """What is kept of a run that called the tool."""

    user: str
    unit: str
    stratum: str
    event: bool


def _calling(calls: Sequence[Call], parts: Sequence[Any]) -> _Calling:
    first = calls[0]
    return _Calling(
        user=first.user,
        unit=first.unit,
        stratum=first.task,
        event=any(
            call.tool == part["tool"] and failed_so(part["failure"], call)
            for part in parts
            for call in calls
        ),
    )


def _run(row: Mapping[str, Any], calling: _Calling) -> EffectRun:
    return EffectRun(
        trace_id=row["TraceId"],
        user=calling.user,
        cluster=calling.user or calling.unit,
        stratum=calling.stratum,
        event=calling.event,
        passed=PASSED.get(row["Outcome"]),
    )


def _hashes(store: Store, lesson: Lesson) -> list[str]:
    """Return the hashes of the tool definitions that say all that the lesson's patch says."""
    parts = parts_of(lesson)
    if not parts:
        return []
    return sorted(
        str(row["Hash"])
        for row in store.query(DEFINITIONS_SQL)
        if all(_is_said(parsed(row["Content"]), part) for part in parts)
    )


def _is_said(definitions: Any, part: Mapping[str, Any]) -> bool:
    """Whether a list of tool definitions says a part's sentences and holds its constraint."""
    entries = definitions if isinstance(definitions, list) else []
    tools = [tool for tool in map(tool_of, entries) if tool and tool["name"] == part["tool"]]
    predicate = part["predicate"]
    return any(
        all(any(sentence in text for text in _texts(tool)) for sentence in part["says"])
        and (not (predicate or {}).get("in_patch") or says_so(predicate, schema_of(tool)))
        for tool in tools
    )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a tool's definition."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
