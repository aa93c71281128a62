"""The SQL of the panels, with the macros and variables of Grafana's ClickHouse plugin.

All of it reads documented tables alone, one row a run and one row a span: the store folds
versions and duplicates only when it merges. Names of result columns are what people see.
"""

from typing import Final

from spanlore.schemas import learning_tables, lesson_state, semconv, tables
from spanlore.schemas.effect_records import LATEST_EFFECTS_SQL
from spanlore.schemas.lesson_records import LATEST_LESSONS_SQL

VARIABLES: Final = {"tenant": "TenantId", "agent": "AgentName", "user": "UserId"}

# A run whose source gave no times stands at the time it was received.
_BEGAN: Final = "if(TimeUnknown, LastReceivedAt, StartedAt)"
_VARIABLE_VALUES_MAX: Final = 1_000
_RUNS_SHOWN_MAX: Final = 100
_ROWS_SHOWN_MAX: Final = 50


def _chosen(*names: str) -> str:
    """SQL for the variables' choices, each of which may be All."""
    tests = (
        f"$__conditionalAll({VARIABLES[name]} IN (${{{name}:singlequote}}), ${name})"
        for name in names
    )
    return " AND ".join(tests)


def _latest_runs(time: str, *chosen: str) -> str:
    """SQL for the latest version of the runs whose ``time`` is in range, with it as ``Time``.

    Only runs with a version in the range are sorted; whether the latest one is in it too is asked
    again afterwards. Macros are given a name: some versions of the plugin split an expression at
    its commas.
    """
    return f"""SELECT *, {time} AS Time
    FROM (
        SELECT * FROM {tables.RUNS}
        WHERE TraceId IN (
            WITH {time} AS Time SELECT TraceId FROM {tables.RUNS} WHERE $__timeFilter(Time)
        )
        {tables.LATEST_RUN}
    )
    WHERE $__timeFilter(Time) AND {_chosen(*chosen)}"""


_RUNS: Final = _latest_runs(_BEGAN, *VARIABLES)
_RUNS_RECEIVED: Final = _latest_runs("LastReceivedAt", "tenant")

_JUDGED: Final = "Outcome IN ('pass', 'fail')"
_SUCCESS: Final = f"countIf(Outcome = 'pass') / nullIf(countIf({_JUDGED}), 0)"
_TOOL_ERROR_RATE: Final = "sum(ToolErrors) / nullIf(sum(ToolCalls), 0)"
_TOKENS: Final = "(InputTokens + OutputTokens)"
# Result column: the share of runs that a sum over them is about.
KNOWN: Final = "Known for"


def _known(value: str) -> str:
    return f'countIf(isNotNull({value})) / nullIf(count(), 0) AS "{KNOWN}"'


def _of_runs(columns: str, rest: str = "") -> str:
    return f"SELECT {columns}\nFROM (\n    {_RUNS}\n)\n{rest}".rstrip()


def _over_time(columns: str, where: str = "") -> str:
    return _of_runs(
        f"$__timeInterval(Time) AS time, {columns}", f"{where}\nGROUP BY time ORDER BY time"
    )


def variable_values(name: str) -> str:
    """SQL for what may be chosen in a variable: what runs of the time range have."""
    column = VARIABLES[name]
    return (
        f"WITH {_BEGAN} AS Time SELECT DISTINCT {column} FROM {tables.RUNS} "
        f"WHERE {column} != '' AND $__timeFilter(Time) "
        f"ORDER BY {column} LIMIT {_VARIABLE_VALUES_MAX}"
    )


RUNS = _of_runs('count() AS "Runs"')
SUCCESS = _of_runs(f'{_SUCCESS} AS "Success"')
JUDGED = _of_runs(f'countIf({_JUDGED}) / nullIf(count(), 0) AS "Judged"')
TOKENS = _of_runs(f'sumOrNull({_TOKENS}) AS "Tokens", {_known(_TOKENS)}')
COST = _of_runs(f'sumOrNull(CostUsd) AS "Cost", {_known("CostUsd")}')
TOOL_ERRORS = _of_runs(f'{_TOOL_ERROR_RATE} AS "Tool errors"')

OUTCOMES_OVER_TIME = _over_time(
    "countIf(Outcome = 'pass') AS \"pass\", countIf(Outcome = 'fail') AS \"fail\", "
    f'countIf(NOT {_JUDGED}) AS "not judged"'
)
SUCCESS_OVER_TIME = _over_time(f'{_SUCCESS} AS "success"', f"WHERE {_JUDGED}")
DURATION_OVER_TIME = _over_time(
    'quantile(0.5)(DurationMs) AS "p50", quantile(0.95)(DurationMs) AS "p95", '
    'quantile(0.99)(DurationMs) AS "p99"',
    "WHERE TimeUnknown = 0",
)
TOKENS_OVER_TIME = _over_time(
    'sumOrNull(InputTokens) AS "input", sumOrNull(OutputTokens) AS "output"'
)
COST_OVER_TIME = _over_time('sumOrNull(CostUsd) AS "cost"')
TOOL_ERRORS_OVER_TIME = _over_time(f'{_TOOL_ERROR_RATE} AS "tool errors"', "WHERE ToolCalls > 0")

RECENT_RUNS = _of_runs(
    'Time AS "Time", TraceId AS "Trace", AgentName AS "Agent", UserId AS "User", '
    "concat(TaskType, if(TaskId = '', '', concat('/', TaskId))) AS \"Task\", "
    'Model AS "Model", Outcome AS "Outcome", if(TimeUnknown, NULL, DurationMs) AS "Duration", '
    'Steps AS "Steps", ToolCalls AS "Tool calls", ToolErrors AS "Tool errors", '
    f'{_TOKENS} AS "Tokens", CostUsd AS "Cost"',
    f"ORDER BY Time DESC, TraceId LIMIT {_RUNS_SHOWN_MAX}",
)
HARNESSES = _of_runs(
    'AgentName AS "Agent", Model AS "Model", substring(HarnessHash, 1, 8) AS "Harness", '
    f'count() AS "Runs", {_SUCCESS} AS "Success", {_TOOL_ERROR_RATE} AS "Tool errors", '
    f"sumOrNullIf({_TOKENS}, Outcome = 'pass') "
    f"/ nullIf(countIf(Outcome = 'pass' AND isNotNull({_TOKENS})), 0) "
    'AS "Tokens a passed run", sumOrNull(CostUsd) AS "Cost", '
    'min(Time) AS "First seen", max(Time) AS "Last seen"',
    f'GROUP BY AgentName, Model, "Harness" ORDER BY "Runs" DESC LIMIT {_ROWS_SHOWN_MAX}',
)

# Spans of the runs in view and of no other tenant's, read from the hours of those runs alone. What
# several spans tell is one call, with the time of the outermost; it failed if that did or the last.
TOOLS = f"""WITH runs AS (
    {_RUNS}
)
SELECT ToolName AS "Tool", count() AS "Calls", countIf(said.1) AS "Errors",
    countIf(said.1) / count() AS "Error rate",
    quantile(0.5)(known_ms) AS "Duration p50", quantile(0.95)(known_ms) AS "Duration p95",
    topKIf(1)(said.2, said.1)[1] AS "Most frequent error"
FROM (
    SELECT ToolName, argMin(if(TimeUnknown, NULL, Duration / 1e6), is_again) AS known_ms,
        argMax(
            (failed, if(StatusMessage = '', ErrorType, substring(StatusMessage, 1, 120))),
            (failed AND NOT is_again, Timestamp)
        ) AS said
    FROM (
        SELECT TraceId, SpanId, Timestamp, ToolName, Duration, TimeUnknown, ErrorType,
            StatusMessage, StatusCode = 'Error' OR ErrorType != '' AS failed
        FROM {tables.TRACES}
        WHERE Op = '{semconv.OP_EXECUTE_TOOL}'
            AND Timestamp >= (SELECT min(StartedAt) FROM runs)
            AND Timestamp <= (SELECT max(EndedAt) FROM runs)
            AND (TraceId, TenantId) IN (
                SELECT TraceId, arrayJoin([toString(TenantId), '{semconv.DEFAULT_TENANT}'])
                FROM runs
            )
        {tables.LATEST_SPAN}
    ) AS span
    LEFT JOIN (
        SELECT TraceId, told.1 AS SpanId, told.2 AS outermost, true AS is_again
        FROM (SELECT TraceId, arrayJoin(DuplicateOf) AS told FROM runs)
    ) AS again USING (TraceId, SpanId)
    GROUP BY ToolName, TraceId, if(is_again, outermost, SpanId)
)
GROUP BY ToolName
ORDER BY "Errors" DESC, "Calls" DESC
LIMIT {_ROWS_SHOWN_MAX}"""


def _stage(number: int, name: str, sql: str) -> str:
    return f"SELECT {number} AS position, '{name}' AS stage, ({sql}) AS n"


_LATEST_OUTCOMES: Final = f"SELECT Outcome FROM {tables.RUNS} {tables.LATEST_RUN}"

# As `spanlore status` counts, of all that is stored: a lesson of today rests on runs of last month.
_STAGES: Final = {
    "runs": f"SELECT uniqExact(TraceId) FROM {tables.RUNS}",
    "judged": f"SELECT countIf({_JUDGED}) FROM ({_LATEST_OUTCOMES})",
    "findings confirmed": f"SELECT uniqExact(FindingId) FROM {learning_tables.FINDINGS} "
    "WHERE Confirmed",
    "lessons": f"SELECT uniqExact(LessonId) FROM {learning_tables.LESSONS}",
    "in force": f"SELECT countIf(State IN {tuple(sorted(lesson_state.DELIVERED))}) "
    f"FROM ({LATEST_LESSONS_SQL.strip()})",
    "runs given one": f"SELECT uniqExact(TraceId) FROM {learning_tables.EXPOSURES} "
    f"WHERE Arm = '{semconv.ARM_EXPOSED}'",
    "effects measured": f"SELECT uniqExact(LessonId) FROM {learning_tables.EFFECTS}",
    "improved": f"SELECT countIf(Verdict = 'improved') FROM ({LATEST_EFFECTS_SQL.strip()})",
}
FLYWHEEL = (
    "SELECT stage, n FROM (\n    "
    + "\n    UNION ALL ".join(
        _stage(number, name, sql) for number, (name, sql) in enumerate(_STAGES.items())
    )
    + "\n)\nORDER BY position"
)
LESSONS = f"""SELECT lesson.At AS "Changed", lesson.State AS "State", lesson.Layer AS "Layer",
    lesson.Scope AS "Scope", lesson.ScopeKey AS "Holds for", lesson.Title AS "Lesson",
    effect.Verdict AS "Effect", effect.Metric AS "Measured by",
    effect.ExposedRate AS "With it", effect.OtherRate AS "Without it",
    effect.IntervalLow AS "Difference from", effect.IntervalHigh AS "Difference to"
FROM ({LATEST_LESSONS_SQL.strip()}) AS lesson
LEFT JOIN ({LATEST_EFFECTS_SQL.strip()}) AS effect ON lesson.LessonId = effect.LessonId
WHERE $__conditionalAll(lesson.TenantId IN (${{tenant:singlequote}}, ''), $tenant)
ORDER BY "Changed" DESC, lesson.LessonId
LIMIT {_ROWS_SHOWN_MAX}"""


def _received(table: str, name: str) -> str:
    return (
        f'SELECT $__timeInterval(ReceivedAt) AS time, count() AS "{name}"\nFROM {table}\n'
        f"WHERE $__timeFilter(ReceivedAt) AND {_chosen('tenant')}\nGROUP BY time ORDER BY time"
    )


SPANS_RECEIVED = _received(tables.TRACES, "spans")
LOGS_RECEIVED = _received(tables.LOGS, "log records")
LAST_RECEIVED = (
    f'SELECT max(ReceivedAt) AS "Last span"\nFROM {tables.TRACES}\n'
    f"WHERE $__timeFilter(ReceivedAt) AND {_chosen('tenant')}\nHAVING count() > 0"
)
SEALING_DELAY = f"""SELECT $__timeInterval(Time) AS time,
    quantile(0.5)(delay_s) AS "p50", quantile(0.95)(delay_s) AS "p95", max(delay_s) AS "longest"
FROM (
    SELECT Time,
        (toUnixTimestamp64Nano(SealedAt) - toUnixTimestamp64Nano(LastReceivedAt)) / 1e9 AS delay_s
    FROM (
    {_RUNS_RECEIVED}
    )
    WHERE State = 'sealed'
)
GROUP BY time ORDER BY time"""
RUN_STATES = f"""SELECT countIf(State = 'sealed') AS "sealed", countIf(State = 'open') AS "open",
    countIf(State = 'stalled') AS "stalled"
FROM (
    {_RUNS_RECEIVED}
)"""
