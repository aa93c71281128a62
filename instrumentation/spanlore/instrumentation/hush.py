"""Keep OpenTelemetry's log lines about our doings out of the program's own logging."""

import logging
import threading

# What is there only because we switched it on.
_OURS = (
    "opentelemetry.instrumentation.dependencies",
    "opentelemetry.instrumentation.genai",
    "opentelemetry.instrumentation.google_genai",
    "opentelemetry.instrumentation.instrumentor",
    "opentelemetry.util.genai",
)
# What would be silent if the program, which set up nothing of the kind, had not been traced. Not
# `opentelemetry.trace`: its warning that a provider came too late is for the user.
_SDK = (
    "opentelemetry.attributes",
    "opentelemetry.context",
    "opentelemetry.exporter",
    "opentelemetry.sdk",
)
_ENCODERS = (
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.proto.common._internal.trace_encoder",
)


def hush_instrumentors() -> None:
    """Silence the instrumentors."""
    for name in _OURS:
        _hush(name)


def hush_sdk() -> None:
    """Silence the SDK, where it is ours alone."""
    for name in _SDK:
        _hush(name)


def hush_encoders(thread_name: str) -> None:
    """Silence the encoders in our thread only: the program may export by itself in others."""
    for name in _ENCODERS:
        logging.getLogger(name).addFilter(_NotOfThread(thread_name))


def _hush(name: str) -> None:
    """Stop a logger's lines, unless the program configured it and so wants them."""
    logger = logging.getLogger(name)
    if logger.handlers or logger.level != logging.NOTSET or not logger.propagate:
        return
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


class _NotOfThread(logging.Filter):
    def __init__(self, thread_name: str) -> None:
        super().__init__()
        self._thread_name = thread_name

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return threading.current_thread().name != self._thread_name
