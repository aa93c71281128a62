"""The tracer provider that we make where a program has none."""

import os
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spanlore.instrumentation.light_span import LightTracer

# The SDK's own 128 are fewer than what a conversation of twenty messages is written as, flattened.
SPAN_ATTRIBUTES_MAX = 1_024
_ATTRIBUTE_LIMITS = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")

Start = Callable[..., trace.Span]


class OwnProvider(TracerProvider):
    """Knows whether another tool, which found it already there, sends its spans elsewhere too."""

    def __init__(self, resource: Resource, processor: SpanProcessor) -> None:
        self.is_shared = False
        self._limits = _span_limits()
        self._processor = processor
        super().__init__(resource=resource, shutdown_on_exit=False, span_limits=self._limits)
        super().add_span_processor(processor)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.is_shared = True
        super().add_span_processor(span_processor)

    def start_of(self, *args: Any, **kwargs: Any) -> Start:
        """Return what starts spans for spanlore's own tracers: light ones, unless that shows.

        The arguments are those of ``get_tracer``.
        """
        heavy = self.get_tracer(*args, **kwargs)
        scope = getattr(heavy, "_instrumentation_scope", None)
        if not isinstance(scope, InstrumentationScope) or not self._is_as_it_comes():
            return heavy.start_span
        return LightTracer(
            provider=self,
            scope=scope,
            limits=self._limits,
            processor=self._processor,
            heavy=heavy,
            is_shared=lambda: self.is_shared,
        ).start_span

    def _is_as_it_comes(self) -> bool:
        """Say whether the environment asked the SDK for nothing that a light span does not do."""
        return (
            self.sampler is DEFAULT_ON
            and self._limits.max_span_attribute_length is None
            and OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED not in os.environ
        )


def _span_limits() -> SpanLimits:
    """Let a span bear what GenAI conventions write on it, unless the user said how much."""
    is_said = any(os.environ.get(name) for name in _ATTRIBUTE_LIMITS)
    return SpanLimits() if is_said else SpanLimits(max_span_attributes=SPAN_ATTRIBUTES_MAX)
