"""Requests to send: as many whole runs as fit, as OTLP bytes.

A span is serialised once, alone; the messages around it are framed by hand (a tag and a length),
which costs nothing where building them as objects would copy every span three times more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from spanlore.instrumentation.history.attributes import attributes
from spanlore.instrumentation.history.formats import NotImportable
from spanlore.instrumentation.history.judgement import judgement_of
from spanlore.instrumentation.history.spans import spans_of
from spanlore.instrumentation.history.trajectory import Trajectory
from spanlore.schemas import semconv

# Stock OTLP receivers take 4 MiB a message; what frames the spans has the rest.
BATCH_BYTES_MAX = 4_100_000
BATCH_SPANS_MAX = 5_000
SPAN_BYTES_MAX = 60 * 1024 * 1024
RUN_BYTES_MAX = 1024 * 1024 * 1024

_SCOPE = InstrumentationScope(name="spanlore.history").SerializeToString(deterministic=True)
# What OpenTelemetry's SDKs say where a program does not name itself.
_SERVICE_UNKNOWN = "unknown_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One request of spans and, once they are taken, one of judgements (b"" for none of either).

    ``runs`` counts the runs that are whole with this batch.
    """

    traces: bytes
    logs: bytes
    runs: int
    spans: int
    judgements: int


def batches(runs: Iterable[Trajectory]) -> Iterator[Batch]:
    """Yield batches within the limits; a run is split only if it alone is more than one.

    A run that comes again, judged otherwise, is sent again after the batch that it was in.
    """
    whole = _Pile()
    sent: set[bytes] = set()
    for run in runs:
        if run.trace_id in sent and whole.spans:
            yield whole.batch()
            whole = _Pile()
        service = run.agent_name or _SERVICE_UNKNOWN
        part = _Pile()
        for span in spans_of(run):
            framed = _field(2, span.SerializeToString(deterministic=True))
            if whole.spans and not whole.has_room(part.size + len(framed), part.spans + 1):
                yield whole.batch()
                whole = _Pile()
            if part.spans and not part.has_room(len(framed), 1):
                yield part.batch()
                part = _Pile()
            part.add_span(service, framed)
        judgement = judgement_of(run)
        if judgement is not None:
            part.add_judgement(service, judgement.SerializeToString(deterministic=True))
        whole.add_run(part, is_new=run.trace_id not in sent)
        sent.add(run.trace_id)
    if whole.spans:
        yield whole.batch()


def check_size(run: Trajectory) -> None:
    """Raise NotImportable if a span of the run, or all of them, would be too large to send.

    A model call repeats the messages before it: what counts is their sum, call by call.
    """
    around = sum(len(text or "") for text in (run.instructions_json, run.tools_json))
    history = total = 0
    for message in run.messages:
        history += len(message.json.encode())
        total += history if message.role == "assistant" else 0
    if max(history, around) > SPAN_BYTES_MAX:
        raise NotImportable(
            f"the conversation is larger than {SPAN_BYTES_MAX >> 20} MiB, which one span must "
            "hold; split the run"
        )
    if total > RUN_BYTES_MAX:
        raise NotImportable(
            f"its model calls with their histories are {total >> 20} MiB, more than "
            f"{RUN_BYTES_MAX >> 20} MiB; split the run"
        )


@dataclass(slots=True)
class _Pile:
    """Spans and judgements by service, framed and counted."""

    framed_spans: dict[str, list[bytes]] = field(default_factory=dict)
    framed_judgements: dict[str, list[bytes]] = field(default_factory=dict)
    size: int = 0
    runs: int = 0
    spans: int = 0
    judgements: int = 0

    def has_room(self, size: int, spans: int) -> bool:
        return self.size + size <= BATCH_BYTES_MAX and self.spans + spans <= BATCH_SPANS_MAX

    def add_span(self, service: str, framed: bytes) -> None:
        self.framed_spans.setdefault(service, []).append(framed)
        self.size += len(framed)
        self.spans += 1

    def add_judgement(self, service: str, judgement: bytes) -> None:
        self.framed_judgements.setdefault(service, []).append(_field(2, judgement))
        self.judgements += 1

    def add_run(self, part: "_Pile", *, is_new: bool) -> None:
        """Take over the (rest of a) run that ``part`` holds."""
        for service, framed in part.framed_spans.items():
            self.framed_spans.setdefault(service, []).extend(framed)
        for service, framed in part.framed_judgements.items():
            self.framed_judgements.setdefault(service, []).extend(framed)
        self.size += part.size
        self.spans += part.spans
        self.judgements += part.judgements
        self.runs += is_new

    def batch(self) -> Batch:
        return Batch(
            traces=_request(self.framed_spans),
            logs=_request(self.framed_judgements),
            runs=self.runs,
            spans=self.spans,
            judgements=self.judgements,
        )


def _request(framed_by_service: dict[str, list[bytes]]) -> bytes:
    """Frame an export request; requests of spans and of log records have the same numbers."""
    return b"".join(
        _field(1, _resource(service) + _field(2, _field(1, _SCOPE) + b"".join(framed)))
        for service, framed in framed_by_service.items()
    )


def _resource(service: str) -> bytes:
    resource = Resource(attributes=attributes({semconv.SERVICE_NAME: service}))
    return _field(1, resource.SerializeToString(deterministic=True))


def _field(number: int, payload: bytes) -> bytes:
    """Frame a length-delimited field of a protobuf message."""
    return bytes((number << 3 | 2,)) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    """Encode seven bits a byte, lowest first; the eighth bit says that more follow."""
    encoded = bytearray()
    while value >> 7:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
