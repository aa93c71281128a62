"""The materialized views: they derive rows from rows, so they are replaced when their SQL changes.

They hold no data of their own and are not part of the numbered migrations.
"""

from dataclasses import dataclass

from spanlore.schemas import learning_tables, otlp, otlp_metrics, semconv, tables


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view that fills the table ``target``."""

    name: str
    target: str
    select: str

    @property
    def is_way_in(self) -> bool:
        """Whether it reads an input table: what a collector loads goes through it first."""
        return any(name in self.select for name in otlp.INPUTS)

    def ddl(self) -> str:
        """Render CREATE MATERIALIZED VIEW."""
        return f"CREATE MATERIALIZED VIEW {self.name} TO {self.target} AS {self.select}"


# The exporter's DateTime ends in 2106; later spans stand at its end instead of wrapping around.
TRACE_TIME_MAX = "toDateTime(4294967295, 'UTC')"
_BEGIN = "toDateTime64(min(Start), 9, 'UTC')"
_END = (
    f"if(max(End) >= {TRACE_TIME_MAX}, toDateTime64('2262-04-11 00:00:00', 9, 'UTC'), "
    "toDateTime64(max(End), 9, 'UTC') + INTERVAL 1 SECOND)"
)
_OF_IDS = "TraceId IN %(ids)s"
_ENDS = f"FROM {tables.TRACE_TIMES} WHERE {_OF_IDS}"
# Condition for the spans of some traces (client-side parameter ``ids``) that reads no other hours.
SPANS_OF_TRACES = f"""{_OF_IDS}
    AND Timestamp >= (SELECT {_BEGIN} {_ENDS}) AND Timestamp < (SELECT {_END} {_ENDS})"""


def ends_sql(of_traces: str) -> str:
    """SQL for when the spans of some traces begin, and before when they lie (UTC, as text)."""
    return f"""SELECT toString({_BEGIN}) AS begin, toString({_END}) AS end
FROM {tables.TRACE_TIMES} WHERE {of_traces}"""


_TRACE_TIME = f"toDateTime(least(Timestamp, toDateTime64({TRACE_TIME_MAX}, 9)))"

_TRACE_TIMES_SQL = f"""SELECT
    TraceId,
    min({_TRACE_TIME}) AS Start,
    max({_TRACE_TIME}) AS End
FROM {tables.TRACES}
WHERE TraceId != ''
GROUP BY TraceId"""

# A judgement as the log record says it; ``tables.LOGS`` in, rows of ``tables.JUDGEMENTS`` out.
JUDGEMENT_COLUMNS_SQL = f"""
    TenantId,
    TraceId,
    SpanId,
    LogAttributes['{semconv.EVALUATION_NAME}'] AS Name,
    toFloat64OrNull(LogAttributes['{semconv.EVALUATION_SCORE}']) AS Score,
    lower(LogAttributes['{semconv.EVALUATION_LABEL}']) AS Label,
    LogAttributes['{semconv.EVALUATION_EXPLANATION}'] AS Explanation,
    LogAttributes['{semconv.JUDGEMENT_SOURCE}'] AS Source,
    LogAttributes['{semconv.JUDGEMENT_EVALUATOR}'] AS Evaluator,
    LogAttributes['{semconv.JUDGEMENT_ID}'] AS JudgementId,
    Timestamp AS At,
    ReceivedAt,
    LogId,
    LogSeq"""
_JUDGEMENTS_SQL = f"""SELECT {JUDGEMENT_COLUMNS_SQL}
FROM {tables.LOGS}
WHERE EventName = '{semconv.EVENT_EVALUATION}' AND TraceId != ''"""

_OVERRIDES_SQL = f"""SELECT
    TenantId,
    TraceId,
    SpanId,
    LogAttributes['{semconv.USER_ID}'] AS UserId,
    LogAttributes['{semconv.OVERRIDE_TARGET}'] AS Target,
    LogAttributes['{semconv.TOOL_NAME}'] AS ToolName,
    LogAttributes['{semconv.OVERRIDE_FIELD}'] AS Field,
    LogAttributes['{semconv.OVERRIDE_ORIGINAL}'] AS Original,
    LogAttributes['{semconv.OVERRIDE_REPLACEMENT}'] AS Replacement,
    LogAttributes['{semconv.OVERRIDE_ACTOR}'] AS Actor,
    LogAttributes['{semconv.OVERRIDE_REASON}'] AS Reason,
    LogAttributes['{semconv.OVERRIDE_ID}'] AS OverrideId,
    Timestamp AS At,
    ReceivedAt,
    LogId,
    LogSeq
FROM {tables.LOGS}
WHERE EventName = '{semconv.EVENT_OVERRIDE}' AND TraceId != ''"""

_EXPOSURES_SQL = f"""SELECT
    TenantId,
    TraceId,
    LogAttributes['{semconv.USER_ID}'] AS UserId,
    LogAttributes['{semconv.LESSON_ID}'] AS LessonId,
    toUInt64OrZero(LogAttributes['{semconv.LESSON_VERSION}']) AS LessonVersion,
    LogAttributes['{semconv.LESSON_ARM}'] AS Arm,
    Timestamp AS At,
    ReceivedAt,
    LogId,
    LogSeq
FROM {tables.LOGS}
WHERE EventName = '{semconv.EVENT_EXPOSURE}' AND TraceId != ''"""

# What a segment of the write-ahead log is inserted into: (name, DDL) of each.
INPUTS = (
    (otlp.TRACES_IN, otlp.TRACES_IN_DDL),
    (otlp.LOGS_IN, otlp.LOGS_IN_DDL),
    (otlp.METRICS_IN, otlp_metrics.METRICS_IN_DDL),
)
ALL = (
    View(f"{tables.TRACES}_from_otlp", tables.TRACES, otlp.traces_view_sql()),
    View(f"{tables.LOGS}_from_otlp", tables.LOGS, otlp.logs_view_sql()),
    *(View(f"{name}_from_otlp", name, sql) for name, sql in otlp_metrics.views_sql().items()),
    View(f"{tables.TRACE_TIMES}_mv", tables.TRACE_TIMES, _TRACE_TIMES_SQL),
    View(f"{tables.JUDGEMENTS}_from_logs", tables.JUDGEMENTS, _JUDGEMENTS_SQL),
    View(f"{learning_tables.OVERRIDES}_from_logs", learning_tables.OVERRIDES, _OVERRIDES_SQL),
    View(f"{learning_tables.EXPOSURES}_from_logs", learning_tables.EXPOSURES, _EXPOSURES_SQL),
)
