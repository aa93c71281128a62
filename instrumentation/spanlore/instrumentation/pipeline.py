"""From spans and events to the collector: one provider, ours or the program's own, one outbox."""

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, NoOpLoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs import ReadableLogRecord as EndedRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.util.genai.handler import TelemetryHandler

from spanlore.instrumentation import asked_tools, hush
from spanlore.instrumentation.identity import run_attributes
from spanlore.instrumentation.journal import Journal, Kind, journal_dir
from spanlore.instrumentation.late_provider import LateTracerProvider
from spanlore.instrumentation.other_tracers import OtherTracer, processor_of
from spanlore.instrumentation.outbox import Outbox
from spanlore.instrumentation.own_provider import OwnProvider
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.redaction import without_secrets
from spanlore.instrumentation.revision import revision_of
from spanlore.instrumentation.sending import sender
from spanlore.instrumentation.settings import LOGS, TRACES, Settings
from spanlore.instrumentation.span_bytes import attributes_of, open_span_request, span_request
from spanlore.instrumentation.spans_elsewhere import SpansElsewhere
from spanlore.instrumentation.sudden_end import at_sudden_end
from spanlore.instrumentation.worker_exit import at_worker_exit
from spanlore.schemas import semconv
from spanlore.schemas.run_file import default_data_dir

SCOPE = "spanlore.instrumentation"
STOP_S = 1.5
_SAMPLED = TraceFlags.SAMPLED


class Pipeline:
    """Owns what was made for tracing. ``stop`` is bounded in time and may be called twice.

    Spans go through ``tracer_provider``, which joins the program's provider or, where it has
    none, makes ours and sets it. Events have a logger provider of their own: in the program's,
    we would ship its logs, and its exporters our events. Metrics are not touched.
    """

    def __init__(self, settings: Settings) -> None:
        self._after_fork()
        os.register_at_fork(after_in_child=self._after_fork)
        self._settle(settings)
        self._chosen: trace.TracerProvider | None = None
        self._ours: OwnProvider | None = None
        self._logger_provider: LoggerProvider | None = None
        self.tracer_provider = LateTracerProvider(self._choose, self._may_carry_content)
        self._handlers: dict[str, TelemetryHandler] = {}
        self.handler = self.handler_of("")
        hush.hush_instrumentors()
        hush.hush_encoders()
        with quiet:
            at_sudden_end(write_down=self.write_down, stop=self.stop)

    def settle(self, settings: Settings) -> None:
        """Take other settings, where that comes in time: before the first span."""
        with self._lock:
            if self._chosen is None and settings != self.settings:
                self._settle(settings)

    def _settle(self, settings: Settings) -> None:
        self.settings = settings
        # Asked at every span: what holds in a provider that is not ours alone, and in one that is.
        self._captures_content = [
            settings.captures_content(provider_is_ours=is_ours) for is_ours in (False, True)
        ]
        self._follows_user = settings.content_asked is None and settings.content_mode is not None
        self.outbox = Outbox(
            sender(settings),
            {TRACES: span_request, LOGS: _encode_records},
            timeout_s=settings.timeout_s,
            started=lambda: at_worker_exit(self.stop),
            journal=Journal(self._journal_dir, self._about) if settings.keeps_journal else None,
            kinds={TRACES: Kind.ENDED, LOGS: Kind.EVENTS},
            encode_open=lambda spans: open_span_request(spans, now_ns=time.time_ns()),
        )

    def _journal_dir(self) -> Path:
        return journal_dir(default_data_dir(), self._service())

    def _about(self) -> dict[str, str]:
        return {"service": self._service(), "destination": self.settings.destination}

    def _service(self) -> str:
        return str(self._resource.attributes.get(semconv.SERVICE_NAME, ""))

    def _after_fork(self) -> None:
        # Another thread of the parent's may have held it.
        self._lock = threading.RLock()

    def handler_of(self, library: str) -> TelemetryHandler:
        """Return the handler for what is told of a library's doings; none: of the program's."""
        if library not in self._handlers:
            self._handlers[library] = TelemetryHandler(
                instrumentation_scope_name=SCOPE, **self.providers(library)
            )
        return self._handlers[library]

    def providers(self, library: str) -> dict[str, Any]:
        """Return what a library's instrumentor is given: spans alone, for spans hold everything.

        Events are the program's own affair, where it told OpenTelemetry that it wants them.
        """
        wants_events = self.settings.instrumentors_mode is None
        return {
            "tracer_provider": self.tracer_provider.of(library),
            "meter_provider": NoOpMeterProvider(),
            "logger_provider": None if wants_events else NoOpLoggerProvider(),
        }

    def take(self, processor: Any, other: OtherTracer) -> None:
        """Take the spans of a tracer whose provider, by its processor, is neither ours nor joined.

        Copies of them: what goes elsewhere bears nothing of ours.
        """
        processor.add_span_processor(
            SpansElsewhere(
                other,
                self._put_span,
                is_here=lambda: processor is processor_of(self._choose()),
                may_carry_content=self._may_carry_content,
            )
        )

    def captures_content(self) -> bool:
        """Say whether arguments, results and texts may be sent."""
        self._choose()
        return self._captures_content[self._is_ours_alone()]

    def emit(self, name: str, attributes: Mapping[str, Any], about: SpanContext) -> None:
        """Send an event about a span, or a whole trace where the span's id is zero."""
        with self._lock:
            if self._logger_provider is None:
                self._logger_provider = self._new_logger_provider()
        now_ns = time.time_ns()
        self._logger_provider.get_logger(SCOPE).emit(
            LogRecord(
                timestamp=now_ns,
                observed_timestamp=now_ns,
                severity_number=SeverityNumber.INFO,
                event_name=name,
                attributes={key: _without_secrets(value) for key, value in attributes.items()},
                context=trace.set_span_in_context(NonRecordingSpan(about), Context()),
            )
        )

    def write_down(self) -> None:
        """Bring into the journal what is not there yet."""
        self.outbox.write_down()

    def stop(self) -> None:
        """Send what is left, for at most ``STOP_S`` seconds."""
        self.outbox.stop(STOP_S)

    def _put_span(self, span: ReadableSpan) -> None:
        self.outbox.put(TRACES, span)
        _note_asked(span)

    def _may_carry_content(self) -> bool:
        return self._follows_user or self._captures_content[self._is_ours_alone()]

    def _is_ours_alone(self) -> bool:
        return self._ours is not None and not self._ours.is_shared

    def _choose(self) -> trace.TracerProvider:
        if self._chosen is not None:
            return self._chosen
        with self._lock:
            if self._chosen is None:
                self._chosen = self._join_or_make()
        return self._chosen

    def _join_or_make(self) -> trace.TracerProvider:
        found = trace.get_tracer_provider()
        if isinstance(found, trace.ProxyTracerProvider):
            ours = self._new_tracer_provider()
            trace.set_tracer_provider(ours)
            found = trace.get_tracer_provider()
            if found is ours:
                self._ours = ours
                hush.hush_sdk()
                return ours
        if hasattr(found, "add_span_processor"):
            found.add_span_processor(_Spans(self.outbox, self.settings.harness_version))
            return found
        # Another API's provider, which cannot be joined: our spans stand beside its own.
        return self._new_tracer_provider()

    def _new_tracer_provider(self) -> OwnProvider:
        return OwnProvider(self._resource, _Spans(self.outbox, self.settings.harness_version))

    def _new_logger_provider(self) -> LoggerProvider:
        provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_log_record_processor(_Records(self.outbox))
        return provider

    @cached_property
    def _resource(self) -> Resource:
        known: dict[str, str] = {}
        if self.settings.service_name:
            known[semconv.SERVICE_NAME] = self.settings.service_name
        with quiet:
            if revision := revision_of(_program().parent):
                known[semconv.VCS_REVISION] = revision
        resource = Resource.create(known)
        if str(resource.attributes.get(semconv.SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({semconv.SERVICE_NAME: _program_name()}))
        return resource


class _Spans(SpanProcessor):
    """Writes the run's identity on every span that starts, and puts every one that ends away."""

    def __init__(self, outbox: Outbox, harness_version: str | None) -> None:
        self._outbox = outbox
        self._harness_version = harness_version

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with quiet:
            if known := run_attributes(parent_context):
                span.set_attributes(known)
            elif self._harness_version:
                span.set_attribute(semconv.HARNESS_VERSION, self._harness_version)
            if span.get_span_context().trace_flags & _SAMPLED:
                self._outbox.began(span)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None:
            return
        with quiet:
            if context.trace_flags & _SAMPLED:
                self._outbox.put(TRACES, span)
        with quiet:
            _note_asked(span)

    def shutdown(self) -> None:
        with quiet:
            self._outbox.stop(STOP_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        with quiet:
            return self._outbox.flush(min(timeout_millis / 1_000, STOP_S))
        return False


def _note_asked(span: ReadableSpan) -> None:
    if span.context is None:
        return
    if span.parent is None:
        asked_tools.forget(span.context.trace_id)
    else:
        asked_tools.note(span.context.trace_id, attributes_of(span).get(semconv.OUTPUT_MESSAGES))


class _Records(LogRecordProcessor):
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        with quiet:
            self._outbox.put(
                LOGS,
                EndedRecord(
                    log_record=log_record.log_record,
                    resource=log_record.resource or Resource.get_empty(),
                    instrumentation_scope=log_record.instrumentation_scope,
                    limits=log_record.limits,
                ),
            )

    def shutdown(self) -> None:
        """Nothing to stop: the outbox is the pipeline's."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        with quiet:
            return self._outbox.flush(min(timeout_millis / 1_000, STOP_S))
        return False


def _encode_records(records: Sequence[EndedRecord]) -> bytes:
    return encode_logs(records).SerializeToString()


def _without_secrets(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return without_secrets(value.encode("utf-8", "replace")).decode()


def _program() -> Path:
    """Return the file that the interpreter was started with, or the folder it stands in."""
    named = sys.argv[0] if getattr(sys, "argv", None) else ""
    return Path(named) if named not in ("", "-c", "-m") else Path.cwd() / "python"


def _program_name() -> str:
    program = _program()
    return program.absolute().parent.name if program.stem == "__main__" else program.stem
