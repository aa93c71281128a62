"""A trace that goes on in another process: by the environment, as OpenTelemetry has it.

TRACEPARENT and TRACESTATE as in W3C Trace Context, written for a child and read in it.
"""

import os
from functools import cache

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanlore.instrumentation.identity import current_run
from spanlore.instrumentation.quiet import quiet

_KEYS = ("traceparent", "tracestate")


def child_environment() -> dict[str, str]:
    """Return the variables with which a child process goes on in what goes on here.

        subprocess.run(command, env=os.environ | child_environment())

    Its spans stand below the current one and bear the run's identity (not its segments), which is
    told to that process alone: it is not put into this one's environment.
    """
    carrier: dict[str, str] = {}
    with quiet:
        TraceContextTextMapPropagator().inject(carrier)
        run = current_run()
        said = run.identity.variables() if run else {}
        return {key.upper(): value for key, value in carrier.items()} | said
    return {}


def below_the_parent_process(within: Context | None) -> Context:
    """Return the context with the parent process's span in it."""
    given = context.get_current() if within is None else within
    return set_span_in_context(NonRecordingSpan(_parent()), given)


@cache
def has_parent_process() -> bool:
    """Say whether this process was started in a trace."""
    return _parent().is_valid


@cache
def _parent() -> SpanContext:
    carrier = {key: os.environ.get(key.upper(), "") for key in _KEYS}
    return get_current_span(
        TraceContextTextMapPropagator().extract(carrier, Context())
    ).get_span_context()
