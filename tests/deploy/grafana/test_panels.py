"""Every query of the dashboard against a real store: columns that fit, numbers that are right."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spanlore.collector.self_metrics import SELF_METRICS
from spanlore.grafana import health_queries, queries
from spanlore.grafana.dashboard import dashboard
from spanlore.schemas import semconv, tables
from spanlore.store_server.places import PlacesMax
from tests.deploy.grafana.conftest import Answer, Grafana
from tests.deploy.grafana.seeded_runs import ACME_RUNS, GLOBEX_RUNS, QUOTED_USER

PANELS = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(panel, target["rawSql"], id=f"{panel['title']}-{target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
CHOICES: list[dict[str, str]] = [
    {},
    {"tenant": "acme"},
    {"tenant": "acme", "agent": "booking", "user": "user1"},
]
NUMBER = re.compile(r"(Nullable\()?(U?Int|Float)\d+\)?")
TIME = re.compile(r"DateTime(64\(\d\))?")


def fits_a_graph(_: dict[str, Any], answer: Answer) -> None:
    """A time column first, in order, and numbers beside it."""
    first, *others = answer.types.values()
    assert TIME.fullmatch(first)
    assert others
    assert all(NUMBER.fullmatch(one) for one in others)
    times = answer.column("time")
    assert times == sorted(set(times))


def fits_tiles(panel: dict[str, Any], answer: Answer) -> None:
    """One row of values, or a row for each tile: its name, then its number."""
    if panel["options"]["reduceOptions"]["values"]:
        name, *shown = answer.types.values()
        assert name == "String"
    else:
        shown = list(answer.types.values())
        assert len(answer.rows) == 1
    assert shown
    assert all(NUMBER.fullmatch(one) or TIME.fullmatch(one) for one in shown)


def fits_a_table(_: dict[str, Any], answer: Answer) -> None:
    """A page of rows."""
    assert len(answer.rows) <= 100


FITS = {"timeseries": fits_a_graph, "stat": fits_tiles, "table": fits_a_table}


@pytest.mark.parametrize("chosen", CHOICES, ids=lambda one: "+".join(one) or "all")
@pytest.mark.parametrize(("panel", "sql"), QUERIES)
def test_a_panel_has_rows_of_the_columns_that_its_kind_shows(
    grafana: Grafana, panel: dict[str, Any], sql: str, chosen: dict[str, str]
) -> None:
    answer = grafana.ask(sql, **chosen)
    assert answer.rows
    FITS[panel["type"]](panel, answer)
    values = [value for row in answer.rows for value in row.values()]
    assert not {"nan", "inf", "-inf"} & {str(value) for value in values}


def test_a_dashboard_that_asks_for_all_of_its_panels_at_once_gets_every_answer(
    grafana: Grafana,
) -> None:
    asked = [target["rawSql"] for panel in PANELS for target in panel["targets"]]
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(grafana.ask, asked))
    assert len(answers) > 2 * PlacesMax().readers
    assert all(answer.rows for answer in answers)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_what_is_said_of_a_field_is_said_of_one_that_is_there(
    grafana: Grafana, panel: dict[str, Any]
) -> None:
    columns = {name for one in panel["targets"] for name in grafana.ask(one["rawSql"]).types}
    named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    assert named <= columns


def test_the_numbers_are_those_of_the_runs(grafana: Grafana) -> None:
    assert int(grafana.ask(queries.RUNS).row["Runs"]) == ACME_RUNS + GLOBEX_RUNS
    assert grafana.ask(queries.SUCCESS).row["Success"] == 0.75
    assert grafana.ask(queries.JUDGED).row["Judged"] == 20 / 24
    # Errors in 4 of acme's 20 calls and in the first of globex's 4.
    assert grafana.ask(queries.TOOL_ERRORS).row["Tool errors"] == pytest.approx(5 / 24)
    tokens = grafana.ask(queries.TOKENS).row
    assert (int(tokens["Tokens"]), tokens[queries.KNOWN]) == (24 * 2_200, 1)
    # gpt-4o at 2.50 and 10 dollars a million. Nobody knows the price of globex's model, or of the
    # day of acme's run without times.
    cost = grafana.ask(queries.COST).row
    assert cost["Cost"] == pytest.approx(19 * (2_000 * 2.5 + 200 * 10) / 1e6)
    assert cost[queries.KNOWN] == 19 / 24


def test_a_chosen_value_shows_what_is_its_own_alone(grafana: Grafana) -> None:
    assert int(grafana.ask(queries.RUNS, tenant="globex").row["Runs"]) == GLOBEX_RUNS
    assert int(grafana.ask(queries.RUNS, agent="booking").row["Runs"]) == ACME_RUNS
    assert int(grafana.ask(queries.RUNS, tenant="acme", agent="triage").row["Runs"]) == 0
    [tool] = grafana.ask(queries.TOOLS, tenant="globex").rows
    assert (int(tool["Calls"]), int(tool["Errors"])) == (4, 1)


def test_a_value_with_a_quote_in_it_is_a_value(grafana: Grafana) -> None:
    assert int(grafana.ask(queries.RUNS, user=QUOTED_USER).row["Runs"]) == GLOBEX_RUNS
    assert int(grafana.ask(queries.RUNS, user="') OR 1 = 1 --").row["Runs"]) == 0


def test_a_choice_without_runs_shows_nothing_rather_than_an_error_or_a_zero_rate(
    grafana: Grafana,
) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            grafana.ask(target["rawSql"], tenant="nobody", agent="nobody", user="nobody")
    assert grafana.ask(queries.SUCCESS, tenant="nobody").row == {"Success": None}
    assert grafana.ask(queries.TOKENS, tenant="nobody").row["Tokens"] is None
    assert grafana.ask(queries.LAST_RECEIVED, tenant="nobody").rows == []


def test_a_run_without_times_stands_where_it_was_received_and_has_no_duration(
    grafana: Grafana,
) -> None:
    runs = grafana.ask(queries.RECENT_RUNS, tenant="acme").rows
    assert len(runs) == ACME_RUNS
    assert [run["Duration"] for run in runs].count(None) == 1
    durations = grafana.ask(queries.DURATION_OVER_TIME, tenant="acme").column("p50")
    assert len(durations) == ACME_RUNS - 1
    assert min(durations) >= 11_000


def test_variables_offer_what_the_runs_have(grafana: Grafana) -> None:
    offered = {
        name: [next(iter(row.values())) for row in grafana.ask(queries.variable_values(name)).rows]
        for name in queries.VARIABLES
    }
    assert offered == {
        "tenant": ["acme", "globex"],
        "agent": ["booking", "triage"],
        "user": sorted(["user0", "user1", "user2", QUOTED_USER]),
    }


def test_the_flywheel_counts_each_stage_once(grafana: Grafana) -> None:
    stages = {row["stage"]: int(row["n"]) for row in grafana.ask(queries.FLYWHEEL).rows}
    assert list(stages.items()) == [
        ("runs", 24),
        ("judged", 20),
        ("findings confirmed", 1),
        ("lessons", 3),
        ("in force", 2),
        ("runs given one", 10),
        ("effects measured", 1),
        ("improved", 1),
    ]


def test_lessons_are_shown_as_they_stand_with_their_effect(grafana: Grafana) -> None:
    lessons = grafana.ask(queries.LESSONS, tenant="acme").rows
    assert {one["Lesson"]: one["State"] for one in lessons} == {
        "10:00": "proposed",
        "11:00": "verified",
    }
    [measured] = [one for one in lessons if one["Effect"]]
    assert (measured["With it"], measured["Without it"]) == (0.1, 0.6)


def test_a_run_that_was_sealed_again_counts_once_and_as_it_is_now(grafana: Grafana) -> None:
    before = grafana.ask(queries.OUTCOMES_OVER_TIME, tenant="globex").column("fail")
    grafana.admin.command(
        f"INSERT INTO {tables.RUNS} SELECT * REPLACE ('fail' AS Outcome, Version + 1 AS Version) "
        f"FROM {tables.RUNS} WHERE TenantId = 'globex'"
    )
    try:
        assert set(map(int, before)) == {0}
        assert int(grafana.ask(queries.RUNS, tenant="globex").row["Runs"]) == GLOBEX_RUNS
        assert grafana.ask(queries.SUCCESS, tenant="globex").row["Success"] == 0
    finally:
        grafana.admin.command(
            f"INSERT INTO {tables.RUNS} SELECT * REPLACE ('' AS Outcome, Version + 1 AS Version) "
            f"FROM {tables.RUNS} WHERE TenantId = 'globex' {tables.LATEST_RUN}"
        )


def test_a_span_that_came_twice_or_from_another_tenant_is_not_counted(grafana: Grafana) -> None:
    before = grafana.ask(queries.TOOLS).rows
    columns = "* REPLACE ({} AS {})"
    for change in (("RowVersion + 1", "RowVersion"), ("'mallory'", "TenantId")):
        grafana.admin.command(
            f"INSERT INTO {tables.TRACES} SELECT {columns.format(*change)} FROM {tables.TRACES} "
            f"WHERE Op = '{semconv.OP_EXECUTE_TOOL}' AND TenantId = 'globex'"
        )
    assert grafana.ask(queries.TOOLS).rows == before


def test_the_collectors_own_metrics_are_what_each_process_counted(grafana: Grafana) -> None:
    assert sum(grafana.ask(health_queries.TAKEN).column("spans accepted")) == 200
    acknowledged = grafana.ask(health_queries.ACKNOWLEDGED)
    assert set(acknowledged.column("p50 within")) == {0.005}
    assert set(acknowledged.column("p99 within")) == {0.05}
    assert max(grafana.ask(health_queries.WAITING).column("oldest in the log")) == 2
    assert max(grafana.ask(health_queries.MEMORY).column("memory")) == 1 << 27


def test_the_collector_has_every_metric_that_is_shown() -> None:
    assert set(health_queries.SHOWN) <= {metric.name for metric in SELF_METRICS}
