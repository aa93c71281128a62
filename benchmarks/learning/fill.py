"""A world into a store, by the product's own import: lines, OTLP, the log's segments, sealing."""

import itertools
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from learning.world import Line, Said, World
from spanlore.collector import record, seal
from spanlore.collector.signals import LOGS, TRACES, Signal
from spanlore.instrumentation.history import files, formats
from spanlore.instrumentation.history.attributes import attributes
from spanlore.instrumentation.history.batches import batches
from spanlore.instrumentation.history.importing import runs_of
from spanlore.instrumentation.history.spans import span_id
from spanlore.instrumentation.history.trajectory import Trajectory
from spanlore.schemas import tables
from spanlore.schemas.learning_tables import LESSONS as LESSONS_TABLE
from spanlore.schemas.lesson_records import lesson_row
from spanlore.schemas.migrate import migrate
from spanlore.schemas.store import Store
from systems import store_process

_LESSONS_AT = datetime(2026, 1, 1, tzinfo=UTC)
_LOG_IDS = itertools.count(1)


class NotImported(ValueError):
    """A line that the import does not take."""


@contextmanager
def scratch_store() -> Iterator[Store]:
    """Run a store of our own in a temporary folder, with empty tables."""
    with (
        tempfile.TemporaryDirectory(prefix="spanlore-learning-") as folder,
        store_process(Path(folder)) as (_, url),
    ):
        migrate(url)
        with Store.connect(url) as store:
            yield store


def empty(store: Store) -> None:
    """Remove every row."""
    for table in tables.ALL:
        store.command(f"TRUNCATE TABLE {table.name} SYNC")


def fill(store: Store, world: World) -> dict[str, str]:
    """Import a world and seal its runs; return trace id by run id. Raises NotImported."""
    rows = [lesson_row(one, at=_LESSONS_AT, version=1, by="a world") for one in world.lessons]
    store.insert(LESSONS_TABLE, rows)
    return fill_lines(store, world.lines, events=world.events, extra=world.attributes)


def fill_lines(
    store: Store,
    lines: Iterable[Line],
    *,
    events: Sequence[Said] = (),
    extra: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, str]:
    """Import lines (any iterable) with events about them and attributes of their root spans."""
    runs = [_trajectory(number, line) for number, line in enumerate(lines)]
    by_run_id = {run.run_id or "": run for run in runs}
    marks = {by_run_id[run_id].trace_id: values for run_id, values in (extra or {}).items()}
    bodies: list[tuple[Signal, bytes]] = []
    for batch in batches(runs):
        bodies.append((TRACES, _marked(batch.traces, marks)))
        if batch.logs:
            bodies.append((LOGS, batch.logs))
    if events:
        bodies.append((LOGS, _events(events, by_run_id)))
    _load(store, bodies)
    return {run_id: run.trace_id.hex() for run_id, run in by_run_id.items()}


def _trajectory(number: int, line: Line) -> Trajectory:
    text = json.dumps(line, ensure_ascii=False)
    [run] = runs_of(files.Line("world", number, text), formats.Format.TRAJECTORY)
    if isinstance(run, files.BadLine):
        raise NotImported(str(run))
    return run


def _marked(traces: bytes, marks: Mapping[bytes, Mapping[str, str]]) -> bytes:
    """Put attributes on the root spans of some traces."""
    if not marks:
        return traces
    request = ExportTraceServiceRequest.FromString(traces)
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                if not span.parent_span_id and span.trace_id in marks:
                    span.attributes.extend(attributes(marks[span.trace_id]))
    return request.SerializeToString()


def _events(events: Iterable[Said], by_run_id: Mapping[str, Trajectory]) -> bytes:
    records = []
    for number, said in enumerate(events):
        run = by_run_id[said.run_id]
        at_ns = run.times.end_ns + number % 1000
        known = {"user.id": run.user_id, "spanlore.tenant.id": run.tenant_id}
        records.append(
            LogRecord(
                time_unix_nano=at_ns,
                observed_time_unix_nano=at_ns,
                event_name=said.event,
                trace_id=run.trace_id,
                span_id=b"" if said.span is None else span_id(run.trace_id, said.span),
                attributes=attributes({**known, **said.attributes}),
            )
        )
    scope = ScopeLogs(log_records=records)
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope])])
    return request.SerializeToString()


def _load(store: Store, bodies: Sequence[tuple[Signal, bytes]]) -> None:
    """Insert each body as a segment of a log of its own, then seal what came."""
    log_id, now_ns = next(_LOG_IDS), time.time_ns()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        for seq, (signal, body) in enumerate(bodies, 1):
            head = record.encode(
                body, signal, tenant="", received_ns=now_ns, seq=seq, log_id=log_id
            )
            path.write_bytes(head + body)
            store.insert_segment(path, token=f"{now_ns}-{log_id}-{seq}", into=(signal.table_in,))
    seal.seal_loaded(store, log_id=log_id, first_seq=1, last_seq=len(bodies), now_ns=time.time_ns())
