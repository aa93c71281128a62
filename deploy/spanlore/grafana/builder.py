"""A dashboard as Grafana reads it: panels in a grid of 24 columns, queries, thresholds, links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from spanlore.schemas import tables

DATASOURCE_TYPE: Final = "grafana-clickhouse-datasource"
# The plugin whose query model this is, and the dashboard schema of the Grafana it needs.
PLUGIN_VERSION: Final = "4.20.0"
SCHEMA_VERSION: Final = 39
DATASOURCE: Final = {"type": DATASOURCE_TYPE, "uid": "${datasource}"}

_GRID_COLUMNS: Final = 24
# Few enough that a rate in one of them is of many runs.
_POINTS_MAX: Final = 60
_FORMATS: Final = {"timeseries": 0, "table": 1}

Json = Mapping[str, Any]
Steps = Sequence[tuple[float | None, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; ``kind`` is Grafana's panel type and ``queries`` are its SQL, in order.

    ``unit`` is a Grafana unit id; ``fields`` are properties by result column (units, links …).
    ``steps`` are thresholds (from, colour), the first from None.
    """

    title: str
    kind: Literal["stat", "table", "timeseries"]
    description: str
    queries: Sequence[str]
    width: int
    height: int = 8
    unit: str = "short"
    steps: Steps = ()
    defaults: Json = field(default_factory=dict)
    fields: Mapping[str, Json] = field(default_factory=dict)
    options: Json = field(default_factory=dict)

    def json(self, panel_id: int, *, x: int, y: int) -> dict[str, Any]:
        """Render the panel at its place."""
        query_type = "timeseries" if self.kind == "timeseries" else "table"
        return {
            "id": panel_id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {
                "defaults": {"unit": self.unit, **thresholds(self.steps), **self.defaults},
                "overrides": [
                    {
                        "matcher": {"id": "byName", "options": name},
                        "properties": [
                            {"id": key, "value": value} for key, value in wanted.items()
                        ],
                    }
                    for name, wanted in self.fields.items()
                ],
            },
            "options": dict(self.options),
            "maxDataPoints": _POINTS_MAX,
            "targets": [
                _target(sql, query_type, ref_id=chr(ord("A") + number))
                for number, sql in enumerate(self.queries)
            ],
        }


def thresholds(steps: Steps) -> dict[str, Any]:
    """Give the property of a field that colours it by its value; nothing without steps."""
    if not steps:
        return {}
    listed = [{"value": value, "color": color} for value, color in steps]
    return {"thresholds": {"mode": "absolute", "steps": listed}}


def _target(sql: str, query_type: str, *, ref_id: str) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "datasource": DATASOURCE,
        "editorType": "sql",
        "queryType": query_type,
        "format": _FORMATS[query_type],
        "pluginVersion": PLUGIN_VERSION,
        "rawSql": sql,
    }


def query_variable(name: str, sql: str, *, label: str) -> dict[str, Any]:
    """Render a variable whose values come from the store: any number of them, or All."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": sql,
        "query": {"editorType": "sql", "queryType": "table", "format": 1, "rawSql": sql},
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,  # when the time range changes
        "sort": 0,
    }


def datasource_variable(uid: str) -> dict[str, Any]:
    """Render the variable that every query's data source is taken from."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": DATASOURCE_TYPE,
        "current": {"text": uid, "value": uid},
        "refresh": 1,
    }


def trace_link(columns: Mapping[str, str]) -> dict[str, Any]:
    """Render a field's link from a trace id to the plugin's view of that trace.

    ``columns`` are the names of ``otel_traces`` by the plugin's hint.
    """
    query = {
        "refId": "A",
        "datasource": DATASOURCE,
        "editorType": "builder",
        "queryType": "traces",
        "format": 3,
        "pluginVersion": PLUGIN_VERSION,
        "rawSql": "",
        "builderOptions": {
            "database": tables.DATABASE,
            "table": tables.TRACES,
            "queryType": "traces",
            "columns": [{"name": name, "hint": hint} for hint, name in columns.items()],
            "filters": [],
            "orderBy": [],
            "meta": {
                "isTraceIdMode": True,
                "traceId": "${__value.raw}",
                "traceDurationUnit": "nanoseconds",
                "otelEnabled": True,
                "otelVersion": "latest",
                "traceEventsColumnPrefix": "Events",
                "traceLinksColumnPrefix": "Links",
            },
        },
    }
    internal = {
        "datasourceUid": "${datasource}",
        "datasourceName": "spanlore",
        "query": query,
    }
    return {"title": "View trace", "url": "", "targetBlank": True, "internal": internal}


def rows_of_panels(rows: Mapping[str, Sequence[Panel]]) -> list[dict[str, Any]]:
    """Lay panels out from left to right under a heading each row; wider ones go on below."""
    placed: list[dict[str, Any]] = []
    y = 0
    for heading, panels in rows.items():
        grid = {"x": 0, "y": y, "w": _GRID_COLUMNS, "h": 1}
        row = {"id": len(placed) + 1, "type": "row", "title": heading, "gridPos": grid}
        placed.append({**row, "collapsed": False, "panels": []})
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > _GRID_COLUMNS:
                x, y, height = 0, y + height, 0
            placed.append(panel.json(len(placed) + 1, x=x, y=y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed
