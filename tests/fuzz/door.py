"""The whole way in, in one process and without a disk: what both doors do with a request's bytes,
and what must hold for whatever they are.
"""

import json
import time
from typing import Any, Final, cast

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from spanlore.collector import otlp_json, record
from spanlore.collector.access import ANY_TENANT
from spanlore.collector.check import Limits
from spanlore.collector.counters import Counters
from spanlore.collector.inflate import inflate
from spanlore.collector.intake import Intake, Taken
from spanlore.collector.log import Entry, Log
from spanlore.collector.quotas import Quotas, TenantBudget
from spanlore.collector.redaction.hints import SECRET_HINT, compiled
from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.redaction.requests import redact_request
from spanlore.collector.redaction.scan import SecretScan
from spanlore.collector.refusal import Refused, status
from spanlore.collector.repair import is_identified
from spanlore.collector.restore import restore
from spanlore.collector.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from tests.fuzz.case import Case

CPU_S_MAX: Final = 1.0
ANSWER_BYTES_MAX: Final = 4096
_TENANT: Final = "fuzz"
_MENDED: Final = "\ufffd".encode()
# How the store reads what is in the log. Bucket counts are unread until then: a request whose are
# broken is quarantined there (see test_metrics.py), so they are no matter of the door's.
_STORED: Final[dict[str, Any]] = {
    TRACES.name: trace_service_pb2.ExportTraceServiceRequest,
    LOGS.name: logs_service_pb2.ExportLogsServiceRequest,
    METRICS.name: METRICS.loose,
}
_ANSWERS: Final[dict[str, Any]] = {
    TRACES.name: trace_service_pb2.ExportTraceServiceResponse,
    LOGS.name: logs_service_pb2.ExportLogsServiceResponse,
    METRICS.name: metrics_service_pb2.ExportMetricsServiceResponse,
}
# An index into a dictionary that only profiles have stands for no value elsewhere.
_SCALARS: Final = frozenset({None, "string_value", "bool_value", "int_value", "double_value"}) | {
    "bytes_value",
    "string_value_strindex",
}


_TEXTS: Final = frozenset(
    ("key", "name", "message", "schema_url", "description", "unit", "trace_state", "severity_text")
)


class BrokenError(AssertionError):
    """Something that must hold at the door does not."""


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)


class _Framing:
    """Stands where the log stands: frames an entry as the log does, and keeps the last one."""

    def __init__(self) -> None:
        self.entry: Entry | None = None

    def append(self, entry: Entry) -> Any:
        head = record.encode(
            entry.body, entry.signal, tenant=_TENANT, received_ns=1, seq=1 << 40, log_id=7
        )
        frame = head + entry.body
        [found] = record.read(frame)
        _must(
            (found.body, found.signal, found.end) == (entry.body, entry.signal, len(frame)),
            "a record does not read back as it was written",
        )
        self.entry = entry
        return entry.durable


class Door:
    """One door with its limits. ``take`` puts one request to it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._log = _Framing()
        self._redactor = Redactor(bytes(32), {"ticket": "TICKET-[0-9]+"})
        self._scan, self._re2 = SecretScan(re2_bytes_max=0), compiled(SECRET_HINT)
        counters = Counters()
        self._intake = Intake(
            cast("Log", self._log),
            counters,
            limits=limits,
            inflight_bytes_max=1 << 30,
            redactor=self._redactor,
            quotas=Quotas(TenantBudget(), counters),
        )

    def take(self, case: Case) -> bool:
        """Put a request to the door; say whether it was taken. Raises BrokenError."""
        answered, spent_s = self._timed(case)
        if spent_s >= CPU_S_MAX:
            # Once in a while the interpreter clears up after the thousand tests before this one.
            answered, spent_s = self._timed(case)
        _must(spent_s < CPU_S_MAX, f"{len(case.body)} bytes took {spent_s:.1f} s of CPU, twice")
        if answered is None:
            return False
        self._check_taken(*answered)
        return True

    def _timed(self, case: Case) -> tuple[tuple[bytes, Signal, Taken] | None, float]:
        began = time.thread_time()
        answered = self._answered(case)
        return answered, time.thread_time() - began

    def _answered(self, case: Case) -> tuple[bytes, Signal, Taken] | None:
        try:
            signal = SIGNALS[case.signal]
            body = case.body
            if case.packing:
                body = inflate(body, case.packing, bytes_max=self._limits.message_bytes_max)
            if case.is_json:
                messages_max = self._limits.submessages_max
                body = otlp_json.request_of(body, signal, messages_max=messages_max)
            is_suspect = self._re2.search(body) is not None
            _must(self._scan.suspects(body) == is_suspect, "Hyperscan does not say what RE2 says")
            self._log.entry = None
            taken = self._intake.take(body, signal, tenant=ANY_TENANT)
            if case.is_json:
                json.loads(otlp_json.answer_of(taken.answer, signal))
        except Refused as refused:
            _must(not refused.retryable, "a request is refused as if it were the moment's fault")
            _must(bool(refused.reason and refused.message), "a refusal does not say why")
            _must(status(refused).ByteSize() < ANSWER_BYTES_MAX, "a refusal is too long")
            return None
        return body, signal, taken

    def _check_taken(self, body: bytes, signal: Signal, taken: Taken) -> None:
        answer = _ANSWERS[signal.name].FromString(taken.answer).partial_success
        rejected = next((n for field, n in answer.ListFields() if field.name[0] == "r"), 0)
        _must(len(taken.answer) < ANSWER_BYTES_MAX, "an answer is too long")
        received = signal.count(signal.loose.FromString(body))
        entry = self._log.entry
        kept = entry.items if entry else 0
        _must(kept + rejected == received, f"{received} came, {kept} kept, {rejected} rejected")
        _must((entry is None) == (kept == 0) == (taken.durable is None), "an empty entry")
        if entry is not None:
            self._check_entry(entry, body, signal)

    def _check_entry(self, entry: Entry, body: bytes, signal: Signal) -> None:
        # Raises where a text is not UTF-8.
        stored = _STORED[signal.name].FromString(entry.body)
        _must(signal.count(stored) == entry.items, "the body holds another number of records")
        _must(signal.count_of(entry.body) == entry.items, "the backlog counts another number")
        sent_on = restore(entry.body, signal)
        if sent_on is not entry.body:
            again = signal.count(_STORED[signal.name].FromString(sent_on))
            _must(again == entry.items, "another number of records is sent on")
        if signal is TRACES:
            spans = [span for scope in signal.scopes_of(stored) for span in scope.spans]
            identified = (is_identified(span.trace_id, span.span_id) for span in spans)
            _must(all(identified), "a span without ids is in the log")
        if entry.body != body:
            _check_rewritten(signal.loose.FromString(entry.body))
            # A text that grew by mending may only now be long enough for a password, and a key and
            # its value read like one only where they were written as JSON.
            if _MENDED not in entry.body:
                request = signal.loose.FromString(sent_on)
                _must(not redact_request(request, self._redactor), "a secret is in the log")


def _check_rewritten(request: Any) -> None:
    """Check that text is UTF-8, that no value is nested, and that what stands for one is JSON."""
    stack = [request]
    while stack:
        message = stack.pop()
        if message.DESCRIPTOR.name == "AnyValue":
            _check_value(message)
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else (value,))
            elif field.name in _TEXTS:
                value.decode()


def _check_value(value: Any) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value.decode()
    elif kind == "json_value":
        json.loads(value.json_value)
    elif kind == "array_value":
        kinds = {item.WhichOneof("value") for item in value.array_value.values}
        _must(kinds <= _SCALARS, f"an array holds {kinds - _SCALARS}")
    else:
        _must(kind in _SCALARS, f"a value is {kind}")


WIDE: Final = Limits(message_bytes_max=64 << 20, records_max=50_000, submessages_max=1_000_000)
TIGHT: Final = Limits(message_bytes_max=2048, records_max=4, submessages_max=60)


class Doors:
    """A door with the limits of production and one with limits that small requests reach."""

    def __init__(self) -> None:
        self._doors = {False: Door(WIDE), True: Door(TIGHT)}

    def take(self, data: bytes) -> bool:
        """Put one input of the fuzzer to the door that it names; say whether it was taken."""
        case = Case.read(data)
        return self._doors[case.is_tight].take(case)
