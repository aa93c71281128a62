"""The SQL of the panels on the collector's own metrics (collector/docs/self-metrics.md).

They are in the store where the collector runs with `--self-metrics-endpoint self`.
Counts run from a process's start, and each process is a series of its own, so what came in a time
is the difference of two points of one series. A point that was stored twice makes none.
"""

from collections.abc import Mapping
from typing import Final

from spanlore.schemas import metric_tables, semconv

_PREFIX: Final = "spanlore.collector."
_ACKS: Final = f"{_PREFIX}receiver.ack.duration"
_OLDEST: Final = f"{_PREFIX}log.oldest_age"
_UNSEALED: Final = f"{_PREFIX}sealer.oldest_age"
_MEMORY: Final = "process.memory.usage"
_COUNTED: Final = {
    f"{_PREFIX}receiver.accepted_spans": "spans accepted",
    f"{_PREFIX}receiver.rejected_spans": "spans rejected",
    f"{_PREFIX}exporter.quarantined_spans": "spans quarantined",
    f"{_PREFIX}receiver.refused_requests": "requests refused",
}
# Every metric that a panel shows.
SHOWN: Final = (_ACKS, _OLDEST, _UNSEALED, _MEMORY, *_COUNTED)


def _points(columns: str, table: str, *names: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"SELECT TimeUnix, {columns}\n    FROM {table}\n    WHERE $__timeFilter(TimeUnix) "
        f"AND ServiceName = '{semconv.COLLECTOR_SERVICE}' AND MetricName IN ({listed})"
    )


def _before(column: str) -> str:
    """SQL for a column's value one point before; of the first point its own."""
    return (
        f"lagInFrame({column}, 1, {column}) OVER (PARTITION BY MetricName, Series "
        "ORDER BY TimeUnixNano ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    )


def _highest(table: str, named: Mapping[str, str]) -> str:
    """SQL for the highest value of some metrics in each interval."""
    columns = ", ".join(
        f"maxIf(Value, MetricName = '{metric}') AS \"{name}\"" for metric, name in named.items()
    )
    return f"""SELECT $__timeInterval(TimeUnix) AS time, {columns}
FROM (
    {_points("MetricName, Value", table, *named)}
)
GROUP BY time ORDER BY time"""


_INCREASES = ", ".join(
    f"sumIf(increase, MetricName = '{metric}') AS \"{name}\"" for metric, name in _COUNTED.items()
)
TAKEN = f"""SELECT $__timeInterval(TimeUnix) AS time, {_INCREASES}
FROM (
    {_points(f"MetricName, Value - {_before('Value')} AS increase", metric_tables.SUM, *_COUNTED)}
)
GROUP BY time ORDER BY time"""
WAITING = _highest(
    metric_tables.GAUGE, {_OLDEST: "oldest in the log", _UNSEALED: "oldest not sealed"}
)
MEMORY = _highest(metric_tables.SUM, {_MEMORY: "memory"})


def _bound(share: float) -> str:
    """SQL for the upper bound of the bucket that a percentile is in."""
    at = f"arrayFirstIndex(below -> below >= {share} * below_all, arrayCumSum(counts))"
    return f"bounds[least({at}, length(bounds))]"


_NEW_ACKS = (
    "ExplicitBounds, arrayMap((now, before) -> toInt64(now) - toInt64(before), "
    f"BucketCounts, {_before('BucketCounts')}) AS new"
)
ACKNOWLEDGED = f"""SELECT time, {_bound(0.5)} AS "p50 within", {_bound(0.99)} AS "p99 within"
FROM (
    SELECT $__timeInterval(TimeUnix) AS time, sumForEach(new) AS counts,
        arraySum(counts) AS below_all, any(ExplicitBounds) AS bounds
    FROM (
    {_points(_NEW_ACKS, metric_tables.HISTOGRAM, _ACKS)}
    )
    GROUP BY time
    HAVING below_all > 0
)
ORDER BY time"""
