"""The statements that the plugin's trace view and trace search make of their options.

Written after what grafana/clickhouse-datasource 4.x generates (src/data/sqlGenerator.ts,
generateTraceIdQuery and generateTraceSearchQuery, as its own tests state them).
"""

from collections.abc import Mapping
from typing import Any

_TAGS = "arrayMap(key -> map('key', key, 'value',{0}[key]), mapKeys({0})) as {1}"
_FIELDS = "arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes))"


def _columns(options: Mapping[str, Any]) -> dict[str, str]:
    return {one["hint"]: f'"{one["name"]}"' for one in options["columns"]}


def _table(options: Mapping[str, Any], suffix: str = "") -> str:
    return f'"{options["database"]}"."{options["table"]}{suffix}"'


def trace_view(options: Mapping[str, Any], trace_id: str) -> str:
    """One trace by its id, through the table that knows when traces were."""
    column = _columns(options)
    events, links = (
        f'"{options["meta"][f"trace{name}ColumnPrefix"]}"' for name in ("Events", "Links")
    )
    logs = (
        "arrayMap((name, timestamp, attributes) -> tuple(name, "
        f"toString(toUnixTimestamp64Milli(timestamp)), {_FIELDS})"
        "::Tuple(name String, timestamp String, fields Array(Map(String, String))), "
        f"{events}.Name, {events}.Timestamp, {events}.Attributes)"
    )
    references = (
        f"arrayMap((traceID, spanID, attributes) -> tuple(traceID, spanID, {_FIELDS})"
        "::Tuple(traceID String, spanID String, tags Array(Map(String, String))), "
        f"{links}.TraceId, {links}.SpanId, {links}.Attributes)"
    )
    selected = [
        f"{column['trace_id']} as traceID",
        f"{column['trace_span_id']} as spanID",
        f"{column['trace_parent_span_id']} as parentSpanID",
        f"{column['trace_service_name']} as serviceName",
        f"{column['trace_operation_name']} as operationName",
        f"multiply(toUnixTimestamp64Nano({column['time']}), 0.000001) as startTime",
        f"multiply({column['trace_duration_time']}, 0.000001) as duration",
        _TAGS.format(column["trace_tags"], "tags"),
        _TAGS.format(column["trace_service_tags"], "serviceTags"),
        f"if({column['trace_status_code']} IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) as statusCode",
        f"{logs} AS logs",
        f"{references} AS references",
        f"{column['trace_kind']} as kind",
        f"{column['trace_status_message']} as statusMessage",
    ]
    times = _table(options, "_trace_id_ts")
    return (
        f"WITH '{trace_id}' as trace_id, "
        f"(SELECT min(Start) FROM {times} WHERE TraceId = trace_id) as trace_start, "
        f"(SELECT max(End) + 1 FROM {times} WHERE TraceId = trace_id) as trace_end "
        f"SELECT {', '.join(selected)} FROM {_table(options)} WHERE traceID = trace_id "
        f"AND {column['time']} >= trace_start AND {column['time']} <= trace_end LIMIT 1000"
    )


def trace_search(options: Mapping[str, Any]) -> str:
    """Root spans of the time range, newest first, with the search's filters as they begin."""
    column = _columns(options)
    return (
        f"SELECT {column['trace_id']} as traceID, {column['trace_service_name']} as serviceName, "
        f"{column['trace_operation_name']} as operationName, {column['time']} as startTime, "
        f"multiply({column['trace_duration_time']}, 0.000001) as duration "
        f"FROM {_table(options)} WHERE ( Timestamp >= $__fromTime AND Timestamp <= $__toTime ) "
        "AND ( ParentSpanId = '' ) AND ( Duration > 0 ) "
        "ORDER BY Timestamp DESC, Duration DESC LIMIT 1000"
    )
