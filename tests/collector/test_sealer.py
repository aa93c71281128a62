from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.collector import seal
from spanlore.collector.known import Traces
from spanlore.collector.run_spans import read_spans
from spanlore.collector.sealer import Sealer
from spanlore.schemas import otlp, semconv, tables
from spanlore.schemas.store import Store, StoreUnreachable
from tests.schemas.segments import LOG_ID, RECEIVED_NS, segment


def run(
    number: int, *, span_number: int = 0, parent: int = 0, op: str = "invoke_agent"
) -> ExportTraceServiceRequest:
    said = KeyValue(key=semconv.OPERATION_NAME, value=AnyValue(string_value=op))
    span = Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=(span_number or number).to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=op,
        start_time_unix_nano=1_750_000_000_000_000_000,
        end_time_unix_nano=1_750_000_001_000_000_000,
        attributes=[said],
    )
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(span)
    return request


def load(store: Store, folder: Path, first: int, last: int) -> None:
    requests = [run(number) for number in range(first, last + 1)]
    path = segment(folder, requests, first_seq=first)
    store.insert_segment(path, token=path.stem, into=(otlp.TRACES_IN,))


def told(store: Store) -> tuple[str, int]:
    [row] = store.query(f"SELECT State, Spans FROM {tables.RUNS} {tables.LATEST_RUN}")
    return row["State"], row["Spans"]


def sealed(store: Store) -> int:
    return int(store.query(f"SELECT uniqExact(TraceId) AS n FROM {tables.RUNS}")[0]["n"])


@pytest.fixture
def sealer(store_url: str, tmp_path: Path) -> Sealer:
    return Sealer(
        partial(Store.connect, store_url),
        note=tmp_path / "unsealed.json",
        clock_ns=lambda: RECEIVED_NS + 10**9,
        clock_s=count(step=60).__next__,
    )


def test_a_flush_seals_everything_loaded_and_says_how_many(
    store: Store, sealer: Sealer, tmp_path: Path
) -> None:
    load(store, tmp_path, 1, 3)
    sealer.loaded(LOG_ID, 1, 3)
    load(store, tmp_path, 4, 5)
    sealer.loaded(LOG_ID, 4, 5)
    assert sealer.flush() == 5
    assert sealed(store) == 5
    assert sealer.flush() == 0
    sealer.close()
    sealer.close()


def test_what_a_killed_collector_loaded_and_did_not_seal_is_sealed_by_the_next(
    store: Store, sealer: Sealer, tmp_path: Path
) -> None:
    load(store, tmp_path, 1, 3)
    sealer.idle()
    assert sealed(store) == 3
    sealer.close()


def test_more_runs_than_one_query_takes_are_all_sealed(
    store: Store, sealer: Sealer, tmp_path: Path
) -> None:
    load(store, tmp_path, 1, 1_234)
    sealer.loaded(LOG_ID, 1, 1_234)
    assert sealer.flush() == 1_234
    assert sealed(store) == 1_234
    sealer.close()


def test_what_could_not_be_sealed_is_kept_for_the_next_time(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    answers = iter([False, True])

    def connect() -> Store:
        if next(answers):
            return Store.connect(store_url)
        message = "not now"
        raise StoreUnreachable(message)

    note = tmp_path / "unsealed.json"
    sealer = Sealer(
        connect,
        note=note,
        clock_ns=lambda: RECEIVED_NS + 10**9,
        clock_s=count(step=60).__next__,
    )
    load(store, tmp_path, 1, 2)
    sealer.loaded(LOG_ID, 1, 2)
    assert sealed(store) == 0
    assert sealer.flush() == 2
    assert sealed(store) == 2
    sealer.close()


def test_sealing_rests_four_times_as_long_as_it_took(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    now_s = 100.0

    def connect_in_a_second() -> Store:
        nonlocal now_s
        now_s += 1.0
        return Store.connect(store_url)

    sealer = Sealer(
        connect_in_a_second,
        note=tmp_path / "unsealed.json",
        clock_ns=lambda: RECEIVED_NS + 10**9,
        clock_s=lambda: now_s,
    )
    load(store, tmp_path, 1, 1)
    sealer.loaded(LOG_ID, 1, 1)
    sealer.idle()
    assert sealed(store) == 1
    load(store, tmp_path, 2, 2)
    sealer.loaded(LOG_ID, 2, 2)
    now_s += 3.9
    sealer.idle()
    assert sealer.backlog()["records"] == 1
    now_s += 0.1
    sealer.idle()
    assert (sealer.backlog()["records"], sealed(store)) == (0, 2)
    sealer.close()


def test_under_load_what_is_loaded_waits_for_more_and_not_for_long(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    now_s = 100.0
    sealer = Sealer(
        partial(Store.connect, store_url),
        note=tmp_path / "unsealed.json",
        clock_ns=lambda: RECEIVED_NS + 10**9,
        clock_s=lambda: now_s,
    )
    load(store, tmp_path, 1, 3)
    sealer.loaded(LOG_ID, 1, 1)
    now_s += 4.9
    sealer.loaded(LOG_ID, 2, 2)
    assert sealed(store) == 0
    now_s += 0.1
    sealer.loaded(LOG_ID, 3, 3)
    assert sealed(store) == 3
    sealer.close()


def test_a_flush_adds_up_a_run_once_though_it_is_open(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(
        partial(Store.connect, store_url),
        note=tmp_path / "unsealed.json",
        clock_ns=lambda: RECEIVED_NS + 10**9,
    )
    read: list[str] = []

    def noting(store: Store, traces: Traces, *rest: Any, **limit: Any) -> Any:
        read.extend(traces.params["ids"])
        return read_spans(store, traces, *rest, **limit)

    monkeypatch.setattr(seal, "read_spans", noting)
    path = segment(tmp_path, [run(1, span_number=2, parent=1, op="chat")])
    store.insert_segment(path, token=path.stem)
    sealer.loaded(LOG_ID, 1, 1)
    sealer.flush()
    assert told(store) == ("open", 1)
    assert len(read) == 1
    sealer.close()


def test_a_run_that_goes_on_is_not_added_up_with_every_span_but_when_asked_and_at_its_end(
    store: Store, sealer: Sealer, tmp_path: Path
) -> None:
    def comes(seq: int, **span: Any) -> None:
        path = segment(tmp_path, [run(1, **span)], first_seq=seq)
        store.insert_segment(path, token=path.stem)
        sealer.loaded(LOG_ID, seq, seq)
        sealer.idle()

    for number in (2, 3, 4):
        comes(number, span_number=number, parent=1, op="chat")
    assert told(store) == ("open", 1)
    sealer.flush()
    assert told(store) == ("open", 3)
    comes(5, span_number=5, parent=1, op="chat")
    comes(6, span_number=1)
    assert told(store) == ("sealed", 5)
    comes(7, span_number=7, parent=1, op="chat")
    assert told(store) == ("sealed", 6)
    sealer.close()
