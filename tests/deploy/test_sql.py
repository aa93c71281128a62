"""`spanlore sql` on a real store: it reads, counts a span once, and writes where it is told to."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spanlore.cli.sql import sql_command
from spanlore.schemas.store import Store
from tests.collector.otlp_requests import traces
from tests.schemas.segments import segment

WRITES = (
    "DROP TABLE otel_traces",
    "INSERT INTO otel_traces (TraceId) SELECT 'x'",
    "WITH 1 AS x INSERT INTO otel_traces (TraceId) SELECT 'x'",
    "ALTER TABLE otel_traces DELETE WHERE 1",
    "TRUNCATE TABLE otel_traces",
    "/* SELECT */ CREATE TABLE mine (n Int8) ENGINE Log",
)


@pytest.fixture
def here(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Let the command find the store, with one span that came three times and was not merged."""
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SPANLORE_STORE_URL", store_url)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    store.command("SYSTEM STOP MERGES otel_traces")
    sent = traces(1)
    for number in range(1, 4):
        store.insert_segment(segment(tmp_path, [sent], first_seq=number), token=str(number))
    yield store
    store.command("SYSTEM START MERGES otel_traces")


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(sql_command, arguments)


def test_a_span_that_was_sent_three_times_counts_once(here: Store) -> None:
    assert here.query("SELECT count() AS n FROM otel_traces") == [{"n": 3}]
    for settings, count in (("", 1), ("SETTINGS final = 0", 3)):
        answer = asked("--json", f"SELECT count() AS n FROM otel_traces {settings}")
        assert json.loads(answer.stdout) == [{"n": count}]


def test_a_statement_that_changes_something_is_refused_with_the_hint_what_to_give(
    here: Store,
) -> None:
    for query in WRITES:
        answer = asked(query)
        assert answer.exit_code == 2, (query, answer.output)
        assert "give --write too" in answer.stderr
    assert here.query("SELECT count() AS n FROM otel_traces") == [{"n": 3}]


def test_it_is_run_where_writing_was_asked_for(here: Store) -> None:
    answer = asked("--write", "TRUNCATE TABLE otel_traces")
    assert answer.exit_code == 0, answer.output
    assert here.query("SELECT count() AS n FROM otel_traces") == [{"n": 0}]
