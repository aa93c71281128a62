"""Where a library's own spans would tell again what other spans tell: they are not begun."""

from contextvars import ContextVar, Token
from typing import Any, Self

from opentelemetry.trace import NonRecordingSpan, Span, Tracer, get_current_span, use_span

_is_untold: ContextVar[bool] = ContextVar("spanlore_untold", default=False)


class Untold:
    """A bracket of a call, in which the spans of an `UntellingTracer` are those around it."""

    def __init__(self) -> None:
        self.result: Any = None
        self._token: Token[bool] | None = None

    def __enter__(self) -> Self:
        self._token = _is_untold.set(True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _is_untold.reset(self._token)


class UntellingTracer(Tracer):
    """A tracer that begins no span within `Untold`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        if _is_untold.get():
            return NonRecordingSpan(get_current_span().get_span_context())
        return self._tracer.start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        if _is_untold.get():
            return use_span(self.start_span())
        return self._tracer.start_as_current_span(*args, **kwargs)
