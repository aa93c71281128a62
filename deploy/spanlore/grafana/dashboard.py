"""The dashboard "spanlore": what agents did, what it cost, what was learned, what is stored."""

from typing import Any, Final

from spanlore.grafana import health_queries, queries
from spanlore.grafana.builder import (
    SCHEMA_VERSION,
    Panel,
    datasource_variable,
    query_variable,
    rows_of_panels,
    thresholds,
    trace_link,
)

UID: Final = "spanlore"
DATASOURCE_UID: Final = "spanlore"

# What the plugin's trace view shows of ``otel_traces``, by the plugin's name for it.
TRACE_COLUMNS: Final = {
    "time": "Timestamp",
    "trace_id": "TraceId",
    "trace_span_id": "SpanId",
    "trace_parent_span_id": "ParentSpanId",
    "trace_service_name": "ServiceName",
    "trace_operation_name": "SpanName",
    "trace_duration_time": "Duration",
    "trace_tags": "SpanAttributes",
    "trace_service_tags": "ResourceAttributes",
    "trace_status_code": "StatusCode",
    "trace_status_message": "StatusMessage",
    "trace_kind": "SpanKind",
}

# Success has no absolute good: red where more fails than passes.
_SUCCESS: Final = ((None, "red"), (0.5, "orange"), (0.8, "green"))
_ERRORS: Final = ((None, "green"), (0.05, "orange"), (0.2, "red"))
_RATE: Final = {"unit": "percentunit", "decimals": 1}
_FROM_ZERO: Final = {"min": 0}
_ZERO_TO_ONE: Final = {"min": 0, "max": 1}
_COLORED: Final = {"custom.cellOptions": {"type": "color-text"}}
_OUTCOME_COLORS: Final = {"pass": "green", "fail": "red", "not judged": "text"}
_STATE_COLORS: Final = {"sealed": "green", "open": "blue", "stalled": "orange"}


def _bars(colors: dict[str, str]) -> dict[str, Any]:
    return {name: {"color": {"mode": "fixed", "fixedColor": one}} for name, one in colors.items()}


_BARS: Final = {
    **_FROM_ZERO,
    "custom": {
        "drawStyle": "bars",
        "fillOpacity": 70,
        "lineWidth": 0,
        "stacking": {"mode": "normal"},
    },
}
_LINES: Final = {"custom": {"drawStyle": "line", "showPoints": "auto", "spanNulls": True}}
_LEGEND: Final = {
    "legend": {"showLegend": True, "placement": "bottom", "displayMode": "list", "calcs": []},
    "tooltip": {"mode": "multi", "sort": "none"},
}
_ONE_NUMBER: Final = {
    "reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""},
    "colorMode": "value",
    "graphMode": "none",
    "textMode": "value",
}
_NUMBERS: Final = {**_ONE_NUMBER, "textMode": "value_and_name"}
_EACH_ROW: Final = {
    **_NUMBERS,
    "reduceOptions": {"calcs": ["lastNotNull"], "values": True, "fields": "/^n$/"},
}
_TABLE: Final = {"showHeader": True, "cellHeight": "sm"}
_MISSING: Final = {"noValue": "–"}
_PLAIN: Final = ((None, "text"),)
_KNOWN: Final = {queries.KNOWN: {"unit": "percentunit", "decimals": 0}}

_RUNS: Final = (
    Panel(
        title="Runs",
        kind="stat",
        description="Runs that began in the time range; one without times counts when it came.",
        queries=[queries.RUNS],
        width=4,
        height=4,
        steps=_PLAIN,
        options=_ONE_NUMBER,
    ),
    Panel(
        title="Success",
        kind="stat",
        description="Passed runs as a share of the runs that were judged pass or fail.",
        queries=[queries.SUCCESS],
        width=4,
        height=4,
        unit="percentunit",
        steps=_SUCCESS,
        defaults={"decimals": 1},
        options=_ONE_NUMBER,
    ),
    Panel(
        title="Judged",
        kind="stat",
        description="Share of the runs that have a verdict: the success rate speaks for these.",
        queries=[queries.JUDGED],
        width=3,
        height=4,
        unit="percentunit",
        steps=((None, "orange"), (0.5, "text")),
        options=_ONE_NUMBER,
    ),
    Panel(
        title="Tool errors",
        kind="stat",
        description="Failed tool calls as a share of all tool calls.",
        queries=[queries.TOOL_ERRORS],
        width=4,
        height=4,
        unit="percentunit",
        steps=_ERRORS,
        defaults={"decimals": 1},
        options=_ONE_NUMBER,
    ),
    Panel(
        title="Tokens",
        kind="stat",
        description="Input and output tokens, and for which share of the runs both were reported.",
        queries=[queries.TOKENS],
        width=4,
        height=4,
        steps=_PLAIN,
        defaults=_MISSING,
        fields=_KNOWN,
        options=_NUMBERS,
    ),
    Panel(
        title="Cost",
        kind="stat",
        description="US dollars by the price table, and for which share of the runs it is known.",
        queries=[queries.COST],
        width=5,
        height=4,
        unit="currencyUSD",
        steps=_PLAIN,
        defaults=_MISSING,
        fields=_KNOWN,
        options=_NUMBERS,
    ),
    Panel(
        title="Runs by outcome",
        kind="timeseries",
        description="Runs by when they began, and what they were judged to be.",
        queries=[queries.OUTCOMES_OVER_TIME],
        width=12,
        defaults=_BARS,
        fields=_bars(_OUTCOME_COLORS),
        options=_LEGEND,
    ),
    Panel(
        title="Success over time",
        kind="timeseries",
        description="Passed runs as a share of the judged ones; few runs make it jump.",
        queries=[queries.SUCCESS_OVER_TIME],
        width=12,
        unit="percentunit",
        defaults={**_LINES, **_ZERO_TO_ONE},
        options=_LEGEND,
    ),
    Panel(
        title="Duration of a run",
        kind="timeseries",
        description="Percentiles of run duration, of runs whose times are known.",
        queries=[queries.DURATION_OVER_TIME],
        width=12,
        unit="ms",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
    Panel(
        title="Tool errors over time",
        kind="timeseries",
        description="Failed tool calls as a share of the calls of the runs that began then.",
        queries=[queries.TOOL_ERRORS_OVER_TIME],
        width=12,
        unit="percentunit",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
    Panel(
        title="Tokens over time",
        kind="timeseries",
        description="Tokens of the runs that began then, where the source reported them.",
        queries=[queries.TOKENS_OVER_TIME],
        width=12,
        defaults=_BARS,
        options=_LEGEND,
    ),
    Panel(
        title="Cost over time",
        kind="timeseries",
        description="US dollars of the runs that began then, where model and tokens are known.",
        queries=[queries.COST_OVER_TIME],
        width=12,
        unit="currencyUSD",
        defaults=_BARS,
        options=_LEGEND,
    ),
    Panel(
        title="Tools",
        kind="table",
        description="Every tool that the runs called, those with most errors first.",
        queries=[queries.TOOLS],
        width=24,
        defaults=_MISSING,
        fields={
            "Error rate": {**_RATE, **thresholds(_ERRORS), **_COLORED},
            "Duration p50": {"unit": "ms"},
            "Duration p95": {"unit": "ms"},
        },
        options=_TABLE,
    ),
    Panel(
        title="Agents and harnesses",
        kind="table",
        description="Runs by agent, model and harness: what one changed shows in its own line.",
        queries=[queries.HARNESSES],
        width=24,
        defaults=_MISSING,
        fields={
            "Success": {**_RATE, **thresholds(_SUCCESS), **_COLORED},
            "Tool errors": {**_RATE, **thresholds(_ERRORS), **_COLORED},
            "Cost": {"unit": "currencyUSD"},
        },
        options=_TABLE,
    ),
    Panel(
        title="Latest runs",
        kind="table",
        description="The newest hundred runs; a trace id opens the run in the trace view.",
        queries=[queries.RECENT_RUNS],
        width=24,
        height=12,
        defaults=_MISSING,
        fields={
            "Trace": {"links": [trace_link(TRACE_COLUMNS)], "custom.width": 280},
            "Duration": {"unit": "ms"},
            "Cost": {"unit": "currencyUSD"},
            "Outcome": {
                "mappings": [
                    {
                        "type": "value",
                        "options": {
                            "pass": {"color": "green", "index": 0},
                            "fail": {"color": "red", "index": 1},
                            "": {"text": "not judged", "index": 2},
                        },
                    }
                ],
                **_COLORED,
            },
        },
        options=_TABLE,
    ),
)
_LEARNING: Final = (
    Panel(
        title="Flywheel",
        kind="stat",
        description="From runs to measured effects, of all that is stored: no filter applies.",
        queries=[queries.FLYWHEEL],
        width=24,
        height=4,
        steps=_PLAIN,
        options=_EACH_ROW,
    ),
    Panel(
        title="Lessons",
        kind="table",
        description="Lessons as they stand, with the unwanted events a run of their last effect.",
        queries=[queries.LESSONS],
        width=24,
        defaults=_MISSING,
        fields={
            "Lesson": {"custom.width": 420},
            **{
                name: {"decimals": 3}
                for name in ("With it", "Without it", "Difference from", "Difference to")
            },
        },
        options=_TABLE,
    ),
)
_COLLECTOR: Final = (
    Panel(
        title="Last span received",
        kind="stat",
        description="When the newest span of the time range came in.",
        queries=[queries.LAST_RECEIVED],
        width=4,
        unit="dateTimeFromNow",
        steps=_PLAIN,
        options={
            **_ONE_NUMBER,
            "reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": "/.*/"},
        },
    ),
    Panel(
        title="Received",
        kind="timeseries",
        description="Rows stored by when they came; what was refused or waits in the log is in "
        "`spanlore status`.",
        queries=[queries.SPANS_RECEIVED, queries.LOGS_RECEIVED],
        width=10,
        defaults=_BARS,  # where nothing came is a gap, not a line across it
        options=_LEGEND,
    ),
    Panel(
        title="Until a run is sealed",
        kind="timeseries",
        description="Time from a run's last span coming in to its row here: loading plus sealing.",
        queries=[queries.SEALING_DELAY],
        width=6,
        unit="s",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
    Panel(
        title="States of runs",
        kind="stat",
        description="Runs received in the time range; a stalled one's root is missing or open.",
        queries=[queries.RUN_STATES],
        width=4,
        steps=_PLAIN,
        fields=_bars(_STATE_COLORS),
        options=_NUMBERS,
    ),
)


_HEALTH: Final = (
    Panel(
        title="Taken and not taken",
        kind="timeseries",
        description="What the collector counted between two exports of its own metrics.",
        queries=[health_queries.TAKEN],
        width=6,
        defaults=_BARS,
        options=_LEGEND,
    ),
    Panel(
        title="Time to acknowledge",
        kind="timeseries",
        description="From a request read to its durable answer; bounds of the histogram's buckets.",
        queries=[health_queries.ACKNOWLEDGED],
        width=6,
        unit="s",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
    Panel(
        title="Age of what waits",
        kind="timeseries",
        description="Since the oldest record in the log came, and since the oldest unsealed one "
        "was loaded.",
        queries=[health_queries.WAITING],
        width=6,
        unit="s",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
    Panel(
        title="Memory of the collector",
        kind="timeseries",
        description="Resident memory; a new process begins low.",
        queries=[health_queries.MEMORY],
        width=6,
        unit="bytes",
        defaults={**_LINES, **_FROM_ZERO},
        options=_LEGEND,
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as the JSON that Grafana loads."""
    variables = (
        query_variable(name, queries.variable_values(name), label=name.capitalize())
        for name in queries.VARIABLES
    )
    return {
        "uid": UID,
        "title": "spanlore",
        "description": "Runs of AI agents, and what was learned from them.",
        "tags": ["spanlore", "agents", "opentelemetry"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "",
        "timezone": "",
        "templating": {"list": [datasource_variable(DATASOURCE_UID), *variables]},
        "annotations": {"list": []},
        "links": [],
        "panels": rows_of_panels(
            {
                "Runs": _RUNS,
                "Learning": _LEARNING,
                "Collector": _COLLECTOR,
                "Collector health (with --self-metrics-endpoint self)": _HEALTH,
            },
        ),
    }
