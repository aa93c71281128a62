"""Runs of the trajectory format in a store, without a collector: stored and sealed as it does."""

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from spanlore.collector import seal
from spanlore.collector.signals import LOGS, TRACES
from spanlore.instrumentation.history import json_text
from spanlore.instrumentation.history.batches import batches
from spanlore.instrumentation.history.formats import Format, trajectory_object
from spanlore.instrumentation.history.trajectory import Trajectory, trajectory_of
from spanlore.schemas.store import Store
from tests.schemas import segments

SEALED_NS = segments.RECEIVED_NS + 3_600_000_000_000
_segment_numbers = count(1)


def load_lines(store: Store, folder: Path, lines: Iterable[Mapping[str, Any] | str]) -> int:
    """Store and seal runs given as objects (or texts) of the trajectory format; return how many."""
    runs = list(lines)
    requests: list[bytes] = []
    logs: list[bytes] = []
    for batch in batches(_trajectory(one) for one in runs):
        requests.append(batch.traces)
        logs += [batch.logs] if batch.logs else []
    load_requests(store, folder, traces=requests, logs=logs)
    return len(runs)


def load_requests(
    store: Store, folder: Path, *, traces: Iterable[bytes] = (), logs: Iterable[bytes] = ()
) -> None:
    """Store OTLP export requests (serialised) and seal the runs of what was ever received."""
    folder.mkdir(parents=True, exist_ok=True)
    bodies = [(body, TRACES) for body in traces] + [(body, LOGS) for body in logs]
    for body, signal in bodies:
        seq = next(_segment_numbers)
        path = folder / f"{segments.LOG_ID:08x}-{seq:016x}.wal"
        path.write_bytes(segments.record(body, seq=seq, signal=signal.log_field))
        store.insert_segment(path, token=f"{folder}{path.stem}", into=(signal.table_in,))
        path.unlink()
    seal.seal_received(store, since_ns=0, now_ns=SEALED_NS)


def _trajectory(line: Mapping[str, Any] | str) -> Trajectory:
    value = json_text.parse(line if isinstance(line, str) else json_text.compact(line))
    return trajectory_of(value, trajectory_object(value, Format.TRAJECTORY))
