"""A run of the dashboard opens in the plugin's own trace view, and its trace search finds runs."""

from typing import Any

from spanlore.grafana import queries
from spanlore.grafana.dashboard import dashboard
from tests.deploy.grafana.conftest import Grafana
from tests.deploy.grafana.plugin_queries import trace_search, trace_view
from tests.deploy.grafana.seeded_runs import ACME_RUNS, GLOBEX_RUNS


def link() -> dict[str, Any]:
    [table] = [panel for panel in dashboard()["panels"] if panel["title"] == "Latest runs"]
    overrides = {
        one["matcher"]["options"]: one["properties"] for one in table["fieldConfig"]["overrides"]
    }
    [links] = [one["value"] for one in overrides["Trace"] if one["id"] == "links"]
    [only] = links
    query: dict[str, Any] = only["internal"]["query"]
    assert query["builderOptions"]["meta"]["traceId"] == "${__value.raw}"
    return query


def test_a_run_opens_as_the_tree_of_its_spans(grafana: Grafana) -> None:
    query = link()
    run = next(
        row
        for row in grafana.ask(queries.RECENT_RUNS, tenant="acme").rows
        if int(row["Tool errors"]) and row["Duration"]
    )
    spans = grafana.ask(trace_view(query["builderOptions"], run["Trace"])).rows
    assert {span["traceID"] for span in spans} == {run["Trace"]}
    ids = {span["spanID"] for span in spans}
    assert len(ids) == len(spans) == 4
    [root] = [span for span in spans if not span["parentSpanID"]]
    assert {span["parentSpanID"] for span in spans if span is not root} <= ids
    assert root["duration"] == run["Duration"]
    [failed] = [span for span in spans if int(span["statusCode"]) == 2]
    assert "book_room" in failed["operationName"]
    tags = {tag["key"]: tag["value"] for tag in failed["tags"]}
    assert tags["gen_ai.tool.name"] == "book_room"
    assert {"key": "service.name", "value": root["serviceName"]} in root["serviceTags"]


def test_the_trace_search_finds_the_roots_of_runs_whose_times_are_known(grafana: Grafana) -> None:
    found = grafana.ask(trace_search(link()["builderOptions"]))
    assert list(found.types) == ["traceID", "serviceName", "operationName", "startTime", "duration"]
    runs = grafana.ask(queries.RECENT_RUNS).rows
    timed = [run["Trace"] for run in runs if run["Duration"]]
    assert len(timed) == ACME_RUNS + GLOBEX_RUNS - 1
    assert sorted(found.column("traceID")) == sorted(timed)
    assert found.column("startTime") == sorted(found.column("startTime"), reverse=True)


def test_the_plugin_sees_that_the_table_of_trace_times_is_there(grafana: Grafana) -> None:
    tables = grafana.ask('SHOW TABLES FROM "spanlore"')
    assert "otel_traces_trace_id_ts" in tables.column("name")
