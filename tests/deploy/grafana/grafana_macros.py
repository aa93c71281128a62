"""What Grafana's ClickHouse plugin makes of a query before the store sees it (grafana/
clickhouse-datasource 4.x: src/data/CHDatasource.ts applyConditionalAll, pkg/macros/macros.go).

Strict where the plugin is lenient: an unknown macro or variable is an error, not text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

CONDITIONAL = "$__conditionalAll("
MACRO = re.compile(r"\$__(\w+)(?:\(([^()]*)\))?")
VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")
NAME = re.compile(r"\w+(\.\w+)?")


@dataclass(frozen=True)
class View:
    """What the dashboard shows: a time range, the interval that fits it, the chosen values.

    A variable with no values is set to All.
    """

    start: datetime
    end: datetime
    interval_s: int
    chosen: Mapping[str, Sequence[str]]


def expand(sql: str, view: View) -> str:
    """Give the statement as the plugin sends it."""
    sql = VARIABLE.sub(lambda found: _variable(found, view), _conditionals(sql, view))
    return MACRO.sub(lambda found: _macro(found[1], found[2], view), sql)


def _conditionals(sql: str, view: View) -> str:
    while (start := sql.rfind(CONDITIONAL)) >= 0:
        depth, comma, end = 1, -1, start + len(CONDITIONAL)
        while depth:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            comma = end if sql[end] == "," and depth == 1 else comma
            end += 1
        phrase, variable = sql[start + len(CONDITIONAL) : comma], sql[comma + 1 : end - 1].strip()
        values = view.chosen[variable.removeprefix("$")]
        sql = f"{sql[:start]}{phrase if values else '1=1'}{sql[end:]}"
    return sql


def _variable(found: re.Match[str], view: View) -> str:
    values = view.chosen[found[1] or found[3]]
    assert found[2] == "singlequote", f"{found[0]} would not escape a quote in a value"
    return ",".join("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values)


def _macro(name: str, argument: str | None, view: View) -> str:
    start_s, end_s = int(view.start.timestamp()), int(view.end.timestamp())
    bare = {
        "fromTime": f"toDateTime({start_s})",
        "toTime": f"toDateTime({end_s})",
        "fromTime_ms": f"fromUnixTimestamp64Milli({start_s * 1000})",
        "toTime_ms": f"fromUnixTimestamp64Milli({end_s * 1000})",
        "interval_s": str(view.interval_s),
    }
    if argument is None:
        return bare[name]
    assert NAME.fullmatch(argument), f"not a plain column: {argument}"
    return {
        "timeFilter": f"{argument} >= {bare['fromTime']} AND {argument} <= {bare['toTime']}",
        "timeFilter_ms": f"{argument} >= {bare['fromTime_ms']} AND {argument} <= "
        f"{bare['toTime_ms']}",
        "timeInterval": f"toStartOfInterval(toDateTime({argument}), "
        f"INTERVAL {view.interval_s} second)",
        "timeInterval_ms": f"toStartOfInterval(toDateTime64({argument}, 3), "
        f"INTERVAL {view.interval_s * 1000} millisecond)",
    }[name]
