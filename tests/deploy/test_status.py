import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from spanlore.cli.status import status_command
from spanlore.schemas import tables
from spanlore.schemas.store import Store
from tests.deploy.command_line import run_cli
from tests.rotel_agent import free_address


def test_judgements_without_an_id_of_ours_are_counted_one_by_one(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    said = {"Name": "relevance", "Source": "llm", "At": at}
    rows = [{"TenantId": "t", "TraceId": f"{number:032x}", **said} for number in (1, 2, 3)]
    store.insert(tables.JUDGEMENTS, rows)
    store.insert(tables.JUDGEMENTS, rows[:1])
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SPANLORE_STORE_URL", store_url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    result = CliRunner().invoke(status_command, ["--json"])
    assert result.exit_code == 1, result.stderr
    assert "cannot reach the collector" in json.loads(result.stdout)["collector"]["problem"]
    assert json.loads(result.stdout)["rows"]["judgements"] == 3


def test_a_store_that_is_down_is_told_in_clear_words(tmp_path: Path) -> None:
    address = free_address()
    env = {
        "SPANLORE_DATA_DIR": str(tmp_path),
        "SPANLORE_STORE_URL": f"clickhouse://u:p@{address}/spanlore",
    }
    ended = run_cli("status", env=env)
    assert ended.code == 1
    line = f"store: could not connect to the store at {address}: Connection refused"
    assert line in ended.out.splitlines()
    assert ended.err == ""
