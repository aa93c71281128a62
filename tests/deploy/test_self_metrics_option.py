"""`spanlore up --self-metrics-endpoint self`, and what `spanlore status` says of the collector."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.command_line import run_cli
from tests.deploy.test_up import FREE_PORTS

pytest.importorskip("chdb")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    run_cli("down", "--data-dir", tmp_path)


def test_up_stores_the_collectors_own_metrics_and_status_says_how_it_is(
    directory: Path,
) -> None:
    options = ["--data-dir", str(directory), *FREE_PORTS, "--self-metrics-endpoint", "self"]
    every = {"OTEL_METRIC_EXPORT_INTERVAL": "100"}
    ended = run_cli("up", "--detach", *options, env=every)
    assert ended.code == 0, ended.err
    file = directory / "runs.jsonl"
    file.write_text(json.dumps({"run_id": "r1", "messages": [{"role": "user", "content": "hi"}]}))
    # Its flush waits until what was accepted before, our metrics among it, is in the store.
    assert run_cli("import", file, "--data-dir", directory).code == 0
    said = run_cli("status", "--data-dir", directory).out
    for line in (
        "acknowledged over gRPC: p50 within ",
        "loaded: p50 within ",
        "log: ",
        "in flight: ",
    ):
        assert f"\n{line}" in said
    found = json.loads(run_cli("status", "--json", "--data-dir", directory).out)
    counters = found["collector"]["counters"]
    assert counters["acks"]["grpc"]["count"] >= 1
    assert counters["loads"]["count"] >= 1
    assert counters["data_points"]["stored"] > 0
    query = (
        "SELECT uniqExact(MetricName) AS n FROM otel_metrics_sum "
        "WHERE ServiceName = 'spanlore-collector' FORMAT JSONEachRow"
    )
    rows = json.loads(run_cli("sql", query, "--data-dir", directory).out)
    assert int(rows["n"]) > 20
