from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector.sealer import Sealer
from spanlore.schemas import otlp, semconv, tables
from spanlore.schemas.store import Store, StoreUnreachable
from tests.collector.test_seal import LATE_NS, judged, request, span
from tests.schemas.segments import LOG_ID, RECEIVED_NS, segment

HOUR_NS = 3_600_000_000_000
Start = Callable[..., Sealer]


@pytest.fixture
def start(store_url: str, tmp_path: Path) -> Start:
    """Return a function that starts a sealer as a collector process does."""

    def started(*, now_ns: int = LATE_NS, connect: Any = None) -> Sealer:
        return Sealer(
            connect or partial(Store.connect, store_url),
            note=tmp_path / "unsealed.json",
            clock_ns=lambda: now_ns,
        )

    return started


def stored(store: Store, folder: Path, seq: int, *requests: Any) -> tuple[int, int, int]:
    """Load a segment; return what the loader tells of it."""
    path = segment(folder, requests, first_seq=seq)
    store.insert_segment(path, token=path.stem, into=(otlp.TRACES_IN, otlp.LOGS_IN))
    return LOG_ID, seq, seq + len(requests) - 1


def sealed(store: Store) -> dict[str, str]:
    rows = store.query(f"SELECT TraceId, Outcome FROM {tables.RUNS} {tables.LATEST_RUN}")
    return {row["TraceId"]: row["Outcome"] for row in rows}


def run_of(trace: bytes) -> Any:
    return request(span(1, None, semconv.OP_INVOKE_AGENT, trace=trace))


def test_what_was_loaded_and_not_sealed_when_the_process_died_is_sealed_by_the_next(
    store: Store, start: Start, tmp_path: Path
) -> None:
    first, second, third = (bytes([number]) * 16 for number in (1, 2, 3))
    killed = start()
    killed.loaded(*stored(store, tmp_path, 1, run_of(first)))
    killed.idle()
    killed.loaded(*stored(store, tmp_path, 2, run_of(second), judged("pass", "human", 5)))
    assert set(sealed(store)) == {first.hex()}
    # Hours later; and the next process seals another run before it has time to look around.
    again = start(now_ns=RECEIVED_NS + 24 * HOUR_NS)
    again.loaded(*stored(store, tmp_path, 9, run_of(third)))
    again.idle()
    assert sealed(store) == {first.hex(): "pass", second.hex(): "", third.hex(): ""}
    assert not (tmp_path / "unsealed.json").exists()


def test_what_could_not_be_sealed_is_known_to_the_next_process(
    store: Store, start: Start, tmp_path: Path
) -> None:
    def down() -> Store:
        raise StoreUnreachable("down")

    start(connect=down).loaded(*stored(store, tmp_path, 1, run_of(b"\1" * 16)))
    start(now_ns=RECEIVED_NS + 24 * HOUR_NS).idle()
    assert set(sealed(store)) == {(b"\1" * 16).hex()}


def test_what_a_foreign_collector_wrote_while_ours_was_away_is_sealed(
    store: Store, start: Start, tmp_path: Path
) -> None:
    ours = start(now_ns=RECEIVED_NS)
    ours.loaded(*stored(store, tmp_path, 1, run_of(b"\1" * 16)))
    row = {"TraceId": "f" * 32, "SpanId": "1" * 16}
    store.command(
        f"INSERT INTO {tables.TRACES} (Timestamp, TraceId, SpanId, SpanAttributes, ReceivedAt) "
        "SELECT now64(9), {TraceId:String}, {SpanId:String}, "
        f"map('{semconv.OPERATION_NAME}', '{semconv.OP_INVOKE_AGENT}'), "
        f"fromUnixTimestamp64Nano(toInt64({RECEIVED_NS + HOUR_NS}))",
        row,
    )
    later = start(now_ns=RECEIVED_NS + 24 * HOUR_NS)
    later.loaded(*stored(store, tmp_path, 2, run_of(b"\2" * 16)))
    later.idle()
    assert "f" * 32 in sealed(store)
