"""What processes that are gone left in the journal, as requests to be sent.

Spans that began and are not known to have ended are among it, marked as incomplete: a run whose
process was killed is a run, with all it did. A collector of ours takes a span once, however often
it is sent, and a whole one before an incomplete one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.instrumentation.answer import REQUEST_BYTES_MAX
from spanlore.instrumentation.journal import (
    BEING_MADE,
    VERSION,
    Kind,
    Record,
    done_offset,
    locked,
    mark_done,
    process_of,
    records,
)
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.settings import LOGS, TRACES

_FILE_BYTES_READ_MAX = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """Some records of the file, or what was left of them; ``offset`` is where the last stands."""

    signal: str
    body: bytes
    items: int
    offset: int


@dataclass(slots=True)
class LeftFile:
    """A file whose process is gone, held until ``remove`` or ``release``.

    ``about`` is what its process said of itself, empty where that cannot be read; then there is
    nothing in it to be sent either.
    """

    path: Path
    descriptor: int
    about: Mapping[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def items(self) -> int:
        return sum(request.items for request in self.requests)

    def done(self, request: Request) -> None:
        """Note that a request was taken, so that it is not sent again by whoever comes next."""
        if request.offset:
            mark_done(self.descriptor, request.offset)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        os.close(self.descriptor)


def left_files(folder: Path) -> Iterator[LeftFile]:
    """Yield the files that nobody holds, oldest first, each locked for the caller.

    What another version wrote is left to it.
    """
    for path in folder.glob(f"*{BEING_MADE}"):
        if (descriptor := locked(path)) is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)
    for path in sorted(folder.glob("*.journal")):
        descriptor = locked(path)
        if descriptor is None:
            continue
        left = LeftFile(path, descriptor)
        with quiet:
            _read(left)
        if left.about.get("version", VERSION) == VERSION:
            yield left
        else:
            left.release()


def _read(left: LeftFile) -> None:
    found = list(records(_bytes(left.descriptor)))
    if not found or found[0].kind != Kind.ABOUT:
        return
    left.about = json.loads(found[0].body)
    done = max((done_offset(each) for each in found if each.kind == Kind.DONE), default=0)
    # In an older file of the same process the spans that went on stand in the next one too.
    if not any(_is_later(path, left.path) for path in left.path.parent.glob("*.journal")):
        left.requests += _never_ended(found)
    for record in found:
        offset = record.end - len(record.body)
        if offset > done and record.kind in (Kind.ENDED, Kind.EVENTS):
            signal = TRACES if record.kind == Kind.ENDED else LOGS
            left.requests.append(Request(signal, record.body, record.items, offset))
    left.requests = list(_merged(left.requests))


def _merged(requests: list[Request]) -> Iterator[Request]:
    """Put together what may go as one request: OTLP's requests are repeated fields."""
    waiting: list[Request] = []
    for request in requests:
        size = sum(len(each.body) for each in waiting) + len(request.body)
        if waiting and (request.signal != waiting[0].signal or size > REQUEST_BYTES_MAX):
            yield _joined(waiting)
            waiting = []
        waiting.append(request)
    if waiting:
        yield _joined(waiting)


def _joined(requests: list[Request]) -> Request:
    body = b"".join(each.body for each in requests)
    items = sum(each.items for each in requests)
    return Request(requests[0].signal, body, items, requests[-1].offset)


def _is_later(path: Path, than: Path) -> bool:
    return process_of(path) == process_of(than) and path.name > than.name


def _never_ended(found: list[Record]) -> Iterator[Request]:
    """Yield what is known of spans that began and did not end."""
    started = [record for record in found if record.kind == Kind.STARTED]
    if not started:
        return
    known = {
        span.span_id
        for record in found
        if record.kind == Kind.ENDED
        for span in _spans(ExportTraceServiceRequest.FromString(record.body))
    }
    for record in reversed(started):  # what was written last says most
        request = ExportTraceServiceRequest.FromString(record.body)
        kept = 0
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                unknown = [span for span in scope.spans if span.span_id not in known]
                known.update(span.span_id for span in unknown)
                kept += len(unknown)
                del scope.spans[:]
                scope.spans.extend(unknown)
        if kept:
            yield Request(TRACES, request.SerializeToString(), kept, 0)


def _spans(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def _bytes(descriptor: int) -> bytes:
    size = min(os.fstat(descriptor).st_size, _FILE_BYTES_READ_MAX)
    return os.pread(descriptor, size, 0)
