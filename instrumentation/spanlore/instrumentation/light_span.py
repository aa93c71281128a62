"""A span for half of what the SDK's costs, where nobody but spanlore is told of it.

The SDK's copies and checks each value, makes lists with locks for events that hardly a span has,
asks a sampler that says what the parent says, and is copied at its end. This one is made for our
own tracers alone, in a provider that is ours alone and set up as it comes (`own_provider`); every
other span is the SDK's. It does what the SDK's does, and what it is told that is not plain is
brought into shape by the SDK's own parts.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import NoneType, TracebackType
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanlore.instrumentation.quiet import quiet

_PLAIN: Final = frozenset((str, int, float, bool, bytes, NoneType))
_LISTS: Final = (tuple, list)
_SAMPLED: Final = TraceFlags.SAMPLED
# Says that ids of traces are random, as the SDK's own are; its first versions do not know it.
_RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_FLAGS: Final = {_SAMPLED | more: TraceFlags(_SAMPLED | more) for more in (0, _RANDOM)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LightTracer:
    """Starts spans of one scope; ``heavy`` is the SDK's, for spans that are to be like others."""

    provider: sdk.TracerProvider
    scope: InstrumentationScope
    limits: sdk.SpanLimits
    processor: sdk.SpanProcessor
    heavy: trace.Tracer
    is_shared: Callable[[], bool]

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span as the SDK's tracer does that samples what its parent was sampled as."""
        if args or self.is_shared():
            return self.heavy.start_span(name, *args, **kwargs)
        return self._started(name, **kwargs)

    def _started(  # noqa: PLR0913  # the API's
        self,
        name: str,
        *,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        parent = trace.get_current_span(context).get_span_context()
        is_child = parent.is_valid
        if is_child and not parent.trace_flags & _SAMPLED:
            return self.heavy.start_span(name, context=context)
        span = LightSpan(
            self,
            name,
            self._below(parent) if is_child else self._root(),
            parent=parent if is_child else None,
            kind=kind,
            start_ns=time.time_ns() if start_time is None else start_time,
        )
        if attributes:
            span.set_attributes(attributes)
        for link in filter(None, links or ()):
            span.add_link(link.context, link.attributes)
        if not record_exception:
            span.notes_exceptions = False
        if not set_status_on_exception:
            span.fails_by_exceptions = False
        self.processor.on_start(span, parent_context=context)  # type: ignore[arg-type]
        return span

    def _below(self, parent: SpanContext) -> SpanContext:
        return SpanContext(
            parent.trace_id,
            self.provider.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=_FLAGS[_SAMPLED | parent.trace_flags & _RANDOM],
            trace_state=parent.trace_state,
        )

    def _root(self) -> SpanContext:
        ids = self.provider.id_generator
        return SpanContext(
            ids.generate_trace_id(),
            ids.generate_span_id(),
            is_remote=False,
            trace_flags=_FLAGS[_SAMPLED | _RANDOM],
        )


class LightSpan(sdk.ReadableSpan, trace.Span):  # type: ignore[misc]  # this one has ids
    """Belongs to the tracer that started it, whose processor is given it at its end."""

    notes_exceptions = fails_by_exceptions = True
    _outcome = Status(StatusCode.UNSET)
    _ended_ns: int | None = None
    _lost_attributes = _lost_events = _lost_links = 0

    def __init__(
        self,
        tracer: LightTracer,
        name: str,
        context: SpanContext,
        *,
        parent: SpanContext | None,
        kind: SpanKind,
        start_ns: int,
    ) -> None:
        self._tracer = tracer
        self._title = name
        self._lock = threading.Lock()
        # Written to here; what reads a span reads them where the SDK has them.
        self._values: dict[str, Any] = {}
        self._told: list[sdk.Event] = []
        self._linked: list[Link] = []
        super().__init__(
            name,
            context,
            parent,
            tracer.provider.resource,
            self._values,
            self._told,
            self._linked,
            kind,
            start_time=start_ns,
            instrumentation_scope=tracer.scope,
        )

    @property
    def name(self) -> str:
        return self._title

    @property
    def end_time(self) -> int | None:
        return self._ended_ns

    @property
    def status(self) -> Status:
        return self._outcome

    @property
    def dropped_attributes(self) -> int:
        return self._lost_attributes

    @property
    def dropped_events(self) -> int:
        return self._lost_events

    @property
    def dropped_links(self) -> int:
        return self._lost_links

    def is_recording(self) -> bool:
        """Say whether it goes on."""
        return self._ended_ns is None

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Take attributes; where there is no room the oldest go."""
        with quiet, self._lock:
            if self._ended_ns is None:
                self._put(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Take an attribute."""
        with quiet, self._lock:
            if self._ended_ns is None:
                self._put({key if isinstance(key, str) else "": value})

    def update_name(self, name: str) -> None:
        """Take another name."""
        with quiet, self._lock:
            if self._ended_ns is None:
                self._title = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Take how it went: OK is the last word, and UNSET none."""
        with quiet, self._lock:
            said = Status(status, description) if isinstance(status, StatusCode) else status
            is_final = self.status.status_code is StatusCode.OK
            if self._ended_ns is None and not (is_final or said.is_unset):
                self._outcome = said

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Take an event; where there is no room the oldest goes."""
        with quiet, self._lock:
            if self._ended_ns is None:
                limits = self._tracer.limits
                shaped = self._shaped(attributes, limits.max_event_attributes)
                event = sdk.Event(name, shaped, timestamp)
                self._lost_events += _append(self._told, event, limits.max_events)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Take a link that says something; where there is no room the oldest goes."""
        with quiet, self._lock:
            says = context and (context.is_valid or attributes or context.trace_state)
            if self._ended_ns is None and says:
                limits = self._tracer.limits
                link = Link(context, self._shaped(attributes, limits.max_link_attributes))
                self._lost_links += _append(self._linked, link, limits.max_links)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        """Take an exception as an event, as the SDK writes it."""
        with quiet:
            sdk.Span.record_exception(self, exception, *args, **kwargs)  # type: ignore[arg-type]

    def end(self, end_time: int | None = None) -> None:
        """End it, once."""
        with quiet:
            with self._lock:
                if self._ended_ns is not None:
                    return
                self._ended_ns = time.time_ns() if end_time is None else end_time
            self._tracer.processor.on_end(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, with what went wrong."""
        with quiet:
            if error is not None and self.notes_exceptions:
                self.record_exception(error, escaped=True)
            if error is not None and self.fails_by_exceptions:
                self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self.end()

    def _put(self, attributes: Mapping[str, Any]) -> None:
        values, most = self._values, self._tracer.limits.max_span_attributes
        for key, value in attributes.items():
            if type(value) not in _PLAIN or type(key) is not str or not key:
                shaped = _plain(key, value)
                if shaped is None:
                    self._lost_attributes += 1
                    continue
                key, value = shaped  # noqa: PLW2901
            if key in values:
                del values[key]
            values[key] = value
        if most is not None and len(values) > most:
            self._drop(len(values) - most)

    def _drop(self, count: int) -> None:
        for key in list(islice(self._values, count)):
            del self._values[key]
        self._lost_attributes += count

    def _shaped(self, attributes: Mapping[str, Any] | None, most: int | None) -> BoundedAttributes:
        length = self._tracer.limits.max_attribute_length
        return BoundedAttributes(most, attributes, max_value_len=length)


def _plain(key: Any, value: Any) -> tuple[str, Any] | None:
    """Return an attribute as the SDK keeps it; None for one without a key."""
    if type(value) in _LISTS and type(key) is str and key and _PLAIN.issuperset(map(type, value)):
        return key, tuple(value)
    return next(iter(BoundedAttributes(attributes={key: value}).items()), None)


def _append(things: list[Any], thing: Any, most: int | None) -> int:
    """Append to what holds so many, and return how many had to go."""
    things.append(thing)
    over = max(0, len(things) - most) if most is not None else 0
    del things[:over]
    return over
