"""The list of runs: which, in which order, and each as its latest row says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spanlore.schemas import tables
from spanlore.schemas.runs import RunFilter, list_runs
from spanlore.schemas.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def row(number: int, version: int = 1, **said: Any) -> dict[str, Any]:
    at = NOW - timedelta(days=10) + timedelta(minutes=number)
    told = {"UserId": "ada", "TenantId": "acme", "Outcome": "pass", "TimeUnknown": 0}
    return {
        "TraceId": f"{number:032x}",
        "StartedAt": at,
        "LastReceivedAt": at,
        "Version": version,
        **told,
        **said,
    }


def listed(store: Store, **wanted: Any) -> list[int]:
    return [int(run.trace_id, 16) for run in list_runs(store, RunFilter(**wanted), now=NOW)]


def test_the_newest_come_first_and_those_without_times_last(store: Store) -> None:
    store.insert(tables.RUNS, [row(2), row(9, TimeUnknown=1), row(1), row(3)])
    assert listed(store) == [3, 2, 1, 9]
    assert listed(store, limit=2) == [3, 2]
    assert listed(store, user="ada", limit=2) == [3, 2]


@pytest.mark.parametrize(
    ("before", "filter_", "other"),
    [
        ({"UserId": "bob"}, {"user": "bob"}, {"user": "ada"}),
        ({"TenantId": "default"}, {"tenant": "default"}, {"tenant": "acme"}),
        ({"AgentName": "a"}, {"agent": "a"}, {"agent": ""}),
        ({"TaskType": "t"}, {"task": "t"}, {"task": ""}),
        ({"Outcome": "fail"}, {"failed": True}, {"failed": False}),
    ],
)
def test_a_run_is_listed_by_its_latest_row_alone(
    store: Store, before: dict[str, Any], filter_: dict[str, Any], other: dict[str, Any]
) -> None:
    defaults = {"AgentName": "", "TaskType": ""}
    store.insert(tables.RUNS, [row(1, 1, **{**defaults, **before}), row(2, 1, **defaults)])
    store.insert(tables.RUNS, [row(1, 2, **defaults)])
    assert listed(store, **filter_) == []
    assert listed(store, **other) == [2, 1]


def test_since_is_about_when_spans_were_received(store: Store) -> None:
    store.insert(tables.RUNS, [row(1, LastReceivedAt=NOW - timedelta(hours=1)), row(2)])
    assert listed(store, since=timedelta(hours=2)) == [1]
