"""Runs whose spans come in an order that no program made them in, through the real collector."""

from pathlib import Path
from typing import Any

import pytest

from spanlore.schemas import semconv, tables
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.test_seal import request, span


def runs(store: Store) -> list[tuple[Any, ...]]:
    rows = store.query(f"SELECT State, Spans FROM {tables.RUNS} {tables.LATEST_RUN}")
    return [(row["State"], row["Spans"]) for row in rows]


def test_row_17_a_run_whose_root_comes_last_is_sealed_when_it_comes(
    data_dir: Path, store_url: str, store: Store
) -> None:
    with CollectorProcess(data_dir, store_url) as collector:
        collector.export(request(span(2, 1, semconv.OP_CHAT)))
        collector.flush()
        assert runs(store) == [("open", 1)]
        collector.export(request(span(1, None, semconv.OP_INVOKE_AGENT)))
        collector.flush()
        assert runs(store) == [("sealed", 2)]
        collector.export(request(span(3, 1, semconv.OP_CHAT)))
        collector.flush()
        assert runs(store) == [("sealed", 3)]
        assert collector.stop() == 0


def test_row_18_a_run_that_does_not_end_stays_open(
    data_dir: Path, store_url: str, store: Store
) -> None:
    root = span(1, None, semconv.OP_INVOKE_AGENT)
    root.end_time_unix_nano = 0
    with CollectorProcess(data_dir, store_url) as collector:
        collector.export(request(root))
        collector.flush()
        assert runs(store) == [("open", 1)]
        assert collector.stop() == 0


def test_a_collector_that_wrote_runs_holds_no_pandas(
    data_dir: Path, store_url: str, store: Store
) -> None:
    pytest.importorskip("pandas")
    with CollectorProcess(data_dir, store_url) as collector:
        collector.export(request(span(1, None, semconv.OP_INVOKE_AGENT)))
        collector.flush()
        assert runs(store) == [("sealed", 1)]
        assert "pandas" not in Path(f"/proc/{collector.process.pid}/maps").read_text()
        assert collector.stop() == 0
