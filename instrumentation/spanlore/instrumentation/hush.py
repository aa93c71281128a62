"""Keep OpenTelemetry's log lines about our doings out of the program's own logging."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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

_here = threading.local()


def hush_instrumentors() -> None:
    """Silence the instrumentors."""
    for name in _OURS:
        _hush(name)


def hush_sdk() -> None:
    """Silence the SDK, where it is ours alone."""
    for name in _SDK:
        _hush(name)


def hush_encoders() -> None:
    """Silence the encoders where we encode: the program may export by itself too."""
    for name in _ENCODERS:
        logging.getLogger(name).addFilter(_not_ours)


@contextmanager
def encoders_hushed() -> Iterator[None]:
    """Keep the encoders silent in this thread while the block runs."""
    _here.is_ours = True
    try:
        yield
    finally:
        _here.is_ours = False


def _hush(name: str) -> None:
    """Stop a logger's lines, unless the program configured it and so wants them."""
    logger = logging.getLogger(name)
    if logger.handlers or logger.level != logging.NOTSET or not logger.propagate:
        return
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _not_ours(record: logging.LogRecord) -> bool:
    del record
    return not getattr(_here, "is_ours", False)
