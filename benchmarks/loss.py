"""What a system acknowledged and does not have after its end: SIGTERM, and kill -9, under load."""

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from client import Client, NotTakenError
from corpus import Corpus
from running import Running
from stored import Stored

_ACKED_SHARE: Final = 0.4
_ACKED_S_MAX: Final = 120.0
_NOTHING_COMES_S: Final = 20.0
_POLL_S: Final = 0.5

Start = Callable[[Path], AbstractContextManager[Running]]

ENDS: Final[Mapping[str, Callable[[Running], None]]] = {
    "SIGTERM": Running.terminate,
    "kill -9 of all processes": Running.kill,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Spans acknowledged before an end, and how many of these are in no store after a restart.

    ``rows_twice`` counts rows of spans that have one already.
    """

    corpus: str
    system: str
    end: str
    acked: int
    lost: int
    rows_twice: int


def lose(name: str, start: Start, corpus: Corpus, *, end: str, in_flight: int) -> Lost:
    """Send until a part is acknowledged, end the system, start it again and look what is there."""
    with tempfile.TemporaryDirectory(prefix="spanlore-bench-") as folder:
        directory = Path(folder)
        with start(directory) as running:
            client = Client(running.door, in_flight=in_flight)
            sending = threading.Thread(target=_send, args=(client, corpus), daemon=True)
            sending.start()
            _wait_acked(client, int(len(corpus.requests) * _ACKED_SHARE))
            ENDS[end](running)
            sending.join()
        acked = _span_ids([corpus.requests[place] for place in client.acked])
        with start(directory) as running, closing(running.open_store()) as stored:
            running.finish()
            there = _wait_for(stored, acked)
            rows = stored.rows()
    return Lost(
        corpus=corpus.name,
        system=name,
        end=end,
        acked=len(acked),
        lost=len(acked - there),
        rows_twice=rows - len(there),
    )


def _send(client: Client, corpus: Corpus) -> None:
    with suppress(NotTakenError):  # the system ends under it
        client.send(corpus.requests)


def _wait_acked(client: Client, requests: int) -> None:
    deadline_s = time.monotonic() + _ACKED_S_MAX
    while len(client.acked) < requests and time.monotonic() < deadline_s:
        time.sleep(0.002)


def _wait_for(stored: Stored, acked: set[str]) -> set[str]:
    """Wait until all of these spans are there, or until nothing has come for a while."""
    before, since_s, there = -1, time.monotonic(), stored.span_ids()
    while not acked <= there and time.monotonic() - since_s < _NOTHING_COMES_S:
        if len(there) != before:
            before, since_s = len(there), time.monotonic()
        time.sleep(_POLL_S)
        there = stored.span_ids()
    return there


def _span_ids(requests: list[bytes]) -> set[str]:
    return {
        span.span_id.hex()
        for request in requests
        for group in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }
