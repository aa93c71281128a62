"""What became of runs that were given a lesson, or held out of it: counts by lesson and cell.

Lessons are the context lessons that are delivered now; exposures those since their last approval.
Half and unit are a run's own, but for a user's lesson those of the session.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, RUNS_SQL
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.learning_tables import EXPOSURES, LESSONS, OVERRIDES
from spanlore.schemas.lesson_state import DELIVERED
from spanlore.schemas.store import Store

EVIDENCE_MAX = 20
UNUSED_DAYS = 30

_LESSONS_SQL = f"""
SELECT LessonId, Scope, ScopeKey, TenantId AS LessonTenant, Selector, Content, Approved,
       ApprovedVersion,
       JSONExtractString(Content, 'slot', 'tool') AS SlotTool,
       JSONExtractString(Content, 'slot', 'field') AS SlotField,
       JSONExtractString(Content, 'value') AS SlotValue
FROM (SELECT * FROM {LESSONS} ORDER BY Version DESC LIMIT 1 BY LessonId) AS lesson
INNER JOIN (
    SELECT LessonId, maxIf(Version, State = 'approved') AS ApprovedVersion,
           if(ApprovedVersion = 0, min(At), maxIf(At, State = 'approved')) AS Approved
    FROM {LESSONS} GROUP BY LessonId
) AS approval USING (LessonId)
WHERE Layer = 'context' AND State IN {tuple(sorted(DELIVERED))}
"""
# What users put in the place of what was proposed: by hand as the application says, or in words.
_CHANGED_SQL = f"""
SELECT TraceId, Tool, Field, groupArray(Replacement) AS Replacements
FROM (
    SELECT TraceId, ToolName AS Tool, Replacement,
           if(startsWith(Field, '/'), Field, concat('/', Field)) AS Field
    FROM {OVERRIDES} WHERE Actor IN ('user', '') AND Target IN ('tool_argument', '')
    UNION ALL
    SELECT TraceId, JSONExtractString(Detail, 'slot', 'tool') AS Tool,
           JSONExtractString(Detail, 'final') AS Replacement,
           JSONExtractString(Detail, 'slot', 'field') AS Field
    FROM ({FACTS_OF_RUNS_SQL}) WHERE K > 0
)
GROUP BY TraceId, Tool, Field
"""
_SESSION = "concat(TenantId, '/', UserId, '/', if(SessionId != '', SessionId, TraceId))"
_GIVEN_SQL = f"""
SELECT LessonId, Arm, Scope, run.TraceId AS TraceId, StartNs, Task, Outcome, IsFailed, Content,
       SlotTool, if(Scope = 'user', {_SESSION}, Unit) AS GivenUnit,
       bitAnd(reinterpretAsUInt8(substring(SHA256(GivenUnit), 1, 1)), 1) = 0 AS GivenDiscovers,
       if(Scope = 'user', -1, Cluster) AS GivenCluster,
       notEmpty(Replacements) AND arrayExists(
           other -> position(other, SlotValue) = 0, Replacements) AS IsContradicted,
       ifNull(run.StartedAt >= parseDateTime64BestEffortOrNull(
           JSONExtractString(Content, 'valid_until'), 9, 'UTC'), 0) AS IsOutlived,
       quantileExact(0.5)(StartNs) OVER (PARTITION BY LessonId, Arm) AS Middle
FROM (
    SELECT LessonId, TenantId AS GivenTenant, TraceId, LessonVersion,
           Arm FROM {EXPOSURES} ORDER BY Version DESC LIMIT 1 BY LessonId, TenantId, TraceId
) AS exposure
INNER JOIN ({_LESSONS_SQL}) AS lesson ON lesson.LessonId = exposure.LessonId
INNER JOIN (
    SELECT *, toUnixTimestamp64Nano(StartedAt) AS StartNs FROM ({RUNS_SQL})
    WHERE TimeUnknown = 0 AND State != 'open'
) AS run ON run.TraceId = exposure.TraceId AND run.TenantId = exposure.GivenTenant
LEFT JOIN ({_CHANGED_SQL}) AS changed
    ON changed.TraceId = exposure.TraceId AND changed.Tool = lesson.SlotTool
    AND changed.Field = lesson.SlotField
WHERE exposure.LessonVersion >= lesson.ApprovedVersion
"""
_CELLS_SQL = f"""
SELECT LessonId, Arm = '{semconv.ARM_EXPOSED}' AS IsGiven, StartNs >= Middle AS IsLate, Task,
       GivenCluster, GivenDiscovers, reinterpretAsInt64(sipHash64(GivenUnit)) AS UnitCode,
       count() AS n, sum(IsContradicted) AS contradicted, sum(IsOutlived) AS outlived,
       countIf(Outcome IN ('pass', 'fail')) AS judged, sum(IsFailed) AS failed
FROM ({_GIVEN_SQL})
GROUP BY LessonId, IsGiven, IsLate, Task, GivenCluster, GivenDiscovers, UnitCode
ORDER BY LessonId, IsGiven, IsLate, Task, UnitCode
"""
_TRACES = {
    "Contradicted": "IsContradicted",
    "Kept": "NOT IsContradicted",
    "Outlived": "IsOutlived",
    "Valid": "NOT IsOutlived",
    "Failed": "Outcome = 'fail'",
    "Passed": "Outcome = 'pass'",
}
_LATEST_TRACES = ", ".join(
    f"groupArraySortedIf({EVIDENCE_MAX})((-StartNs, TraceId), Arm = '{semconv.ARM_EXPOSED}' "
    f"AND {condition}) AS {name}"
    for name, condition in _TRACES.items()
)
_TRACES_SQL = f"""
SELECT LessonId, any(Scope) AS LessonScope, any(SlotTool) != '' AS HasSlot,
       {_LATEST_TRACES}
FROM ({_GIVEN_SQL}) GROUP BY LessonId ORDER BY LessonId
"""
_UNUSED_SQL = f"""
WITH (SELECT max(StartedAt) FROM ({RUNS_SQL}) WHERE TimeUnknown = 0) AS Newest
SELECT LessonId, any(Scope) AS LessonScope, GivenDiscovers, count() AS n,
       uniqExact(GivenUnit) AS units, groupArraySorted({EVIDENCE_MAX})((-StartNs, TraceId)) AS Runs
FROM (
    SELECT LessonId, Scope, TraceId, toUnixTimestamp64Nano(StartedAt) AS StartNs,
           if(Scope = 'user', {_SESSION}, Unit) AS GivenUnit,
           bitAnd(reinterpretAsUInt8(substring(SHA256(GivenUnit), 1, 1)), 1) = 0 AS GivenDiscovers
    FROM (
        SELECT *, arrayJoin([('user', TenantId, UserId), ('tenant', TenantId, ''),
            ('global', '', '')]) AS Place
        FROM ({RUNS_SQL})
        WHERE TimeUnknown = 0 AND State != 'open'
            AND StartedAt > Newest - INTERVAL {UNUSED_DAYS} DAY
    ) AS run
    INNER JOIN (
        SELECT LessonId, Scope, Selector,
               (Scope, LessonTenant, if(Scope = 'user', ScopeKey, '')) AS Place
        FROM ({_LESSONS_SQL})
        WHERE Approved < Newest - INTERVAL {UNUSED_DAYS} DAY AND LessonId NOT IN (
            SELECT LessonId FROM {EXPOSURES} WHERE At > Newest - INTERVAL {UNUSED_DAYS} DAY
        )
    ) AS lesson ON lesson.Place = run.Place
    WHERE Selector['agent'] IN ('', AgentName) AND Selector['task'] IN ('', TaskType)
)
GROUP BY LessonId, GivenDiscovers ORDER BY LessonId, GivenDiscovers
"""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """The runs of one lesson as columns, a row a cell; ``traces`` are some, by kind.

    ``is_given`` is False on what was held out, ``is_late`` True on the later half of either arm;
    of ``n`` runs users ``contradicted`` the lesson in so many, so many began after it had
    ``outlived`` its validity, ``judged`` have an outcome, and ``failed`` of these.
    """

    lesson_id: str
    scope: str
    has_slot: bool
    is_given: Flags
    is_late: Flags
    task: Ints
    cluster: Ints
    discovers: Flags
    unit: Ints
    n: Ints
    contradicted: Ints
    outlived: Ints
    judged: Ints
    failed: Ints
    traces: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A lesson that no run was given lately, and the runs of its scope: (discovery, other) half."""

    lesson_id: str
    scope: str
    runs: tuple[int, int]
    units: int
    traces: tuple[str, ...]


def given_of(store: Store, window: Window, *, extractor: tuple[str, str]) -> Iterator[Given]:
    """Yield the delivered lessons that any run was given. Raises StoreError.

    ``extractor`` is the name and version of the facts that hold corrections in words.
    """
    params = _params(window, extractor)
    columns = store.columns(_CELLS_SQL, params)
    ids = np.array(columns.pop("LessonId"), dtype=object)
    arrays = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    for row in store.query(_TRACES_SQL, params):
        mine = {name: values[ids == row["LessonId"]] for name, values in arrays.items()}
        yield Given(
            lesson_id=row["LessonId"],
            scope=row["LessonScope"],
            has_slot=bool(row["HasSlot"]),
            is_given=mine["IsGiven"].astype(np.bool_),
            is_late=mine["IsLate"].astype(np.bool_),
            task=mine["Task"],
            cluster=mine["GivenCluster"],
            discovers=mine["GivenDiscovers"].astype(np.bool_),
            unit=mine["UnitCode"],
            n=mine["n"],
            contradicted=mine["contradicted"],
            outlived=mine["outlived"],
            judged=mine["judged"],
            failed=mine["failed"],
            traces={name: _ids(row[name]) for name in _TRACES},
        )


def unused_of(store: Store, window: Window) -> Iterator[Unused]:
    """Yield the lessons, delivered for a month, that none of its runs was given in that month."""
    halves: dict[str, list[Mapping[str, Any]]] = {}
    for row in store.query(_UNUSED_SQL, window.params):
        halves.setdefault(row["LessonId"], []).append(row)
    for lesson_id, rows in halves.items():
        by_half = {bool(row["GivenDiscovers"]): row["n"] for row in rows}
        yield Unused(
            lesson_id=lesson_id,
            scope=rows[0]["LessonScope"],
            runs=(by_half.get(True, 0), by_half.get(False, 0)),
            units=sum(row["units"] for row in rows),
            traces=tuple(trace for row in rows for trace in _ids(row["Runs"]))[:EVIDENCE_MAX],
        )


def _params(window: Window, extractor: tuple[str, str]) -> dict[str, str]:
    return {
        **window.params,
        "extractor": extractor[0],
        "version": extractor[1],
        "prefix": "slot|",
    }


def _ids(pairs: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    return tuple(str(trace_id) for _, trace_id in pairs)
