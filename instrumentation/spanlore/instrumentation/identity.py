"""Who a run is for: carried in the OpenTelemetry context, written on every span of the run.

Never in baggage, which instrumented HTTP clients send to whomever the program talks to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, format_span_id, format_trace_id

from spanlore.schemas import semconv

_KEY = context.create_key("spanlore-run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of a run; None is unknown. ``segments`` say what the user is like."""

    user: str | None = None
    tenant: str | None = None
    task: str | None = None
    task_id: str | None = None
    session: str | None = None
    harness_version: str | None = None
    segments: Mapping[str, str] = field(default_factory=dict)

    def attributes(self) -> dict[str, str]:
        """Return the attributes that every span of the run bears."""
        named = {
            semconv.USER_ID: self.user,
            semconv.TENANT_ID: self.tenant,
            semconv.TASK_TYPE: self.task,
            semconv.TASK_ID: self.task_id,
            semconv.SESSION_ID: self.session,
            semconv.CONVERSATION_ID: self.session,
            semconv.HARNESS_VERSION: self.harness_version,
        }
        return {key: value for key, value in named.items() if value is not None}


class CurrentRun:
    """The run that is going on. Ids are of its own span, all zeros where nothing is traced."""

    def __init__(self, agent: str, identity: Identity) -> None:
        self.agent = agent
        self.identity = identity
        self.span_attributes = identity.attributes()
        self.span: Span = INVALID_SPAN
        self.is_over = False
        # What lessons this run was already said to have been given.
        self.exposed: set[tuple[str, int]] = set()

    @property
    def span_context(self) -> SpanContext:
        return self.span.get_span_context()

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format_trace_id(self.span_context.trace_id)

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return format_span_id(self.span_context.span_id)


def current_run(within: Context | None = None) -> CurrentRun | None:
    """Return the innermost run that is going on here."""
    found = context.get_value(_KEY, within)
    return found if isinstance(found, CurrentRun) else None


def with_run(run: CurrentRun, within: Context) -> Context:
    """Return the context with this run as its current one."""
    return context.set_value(_KEY, run, within)
