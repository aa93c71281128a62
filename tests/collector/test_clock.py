from pathlib import Path

from spanlore.collector.signals import LOGS
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import hex_ids, logs, new_ids, traces
from tests.collector.test_durability import stored


def test_row_35_a_clock_that_leaps_a_year_with_every_request_loses_nothing(
    data_dir: Path, store_url: str, store: Store
) -> None:
    module = "tests.collector.leaping_collector"
    ids = new_ids(20)
    with CollectorProcess(data_dir, NOWHERE, module=module) as first:
        for pair in ids[:10]:
            first.export(traces([pair]))
        assert first.status()["backlog"]["oldest_age_s"] >= 0
        assert first.stop() == 0
    with CollectorProcess(data_dir, store_url, module=module) as second:
        for pair in ids[10:]:
            second.export(traces([pair]))
            second.export(logs(1), signal=LOGS)
        second.flush()
        assert second.status()["spans"]["stored"] == 20
        assert second.stop() == 0
    assert sorted(stored(store)) == sorted(hex_ids(ids))
    assert store.query("SELECT count() AS n FROM otel_logs") == [{"n": 10}]
    assert store.query("SELECT min(Duration) AS n FROM otel_traces") == [{"n": 1_000_000}]
