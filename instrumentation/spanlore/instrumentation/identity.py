"""Who a run is for: carried in the OpenTelemetry context, written on every span of the run.

Never written into baggage, which instrumented HTTP clients send to whomever the program talks to.
Read from it only where SPANLORE_READ_BAGGAGE says so: what a web framework puts there comes from
its client, who could name another user or tenant.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, format_span_id, format_trace_id

from spanlore.instrumentation.truth import truth
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
    variant: str | None = None
    segments: Mapping[str, str] = field(default_factory=dict)

    def attributes(self) -> dict[str, str]:
        """Return the attributes that every span of the run bears."""
        named = {key: getattr(self, name) for name, key in _ATTRIBUTES.items()}
        named[semconv.CONVERSATION_ID] = self.session
        return {key: value for key, value in named.items() if value is not None}

    def over(self, around: "Identity") -> "Identity":
        """Return this with what it does not say taken from the identity around it."""
        said = {name: getattr(self, name) for name in _ATTRIBUTES}
        return Identity(
            **{name: getattr(around, name) if said[name] is None else said[name] for name in said},
            segments={**around.segments, **self.segments},
        )

    def variables(self) -> dict[str, str]:
        """Return the environment variables that tell it to a child process; no segments."""
        said = {variable: getattr(self, name) for name, variable in _VARIABLES.items()}
        return {name: value for name, value in said.items() if value is not None}


# What an identity says, by the attribute that carries it on spans, and in baggage.
_ATTRIBUTES = {
    "user": semconv.USER_ID,
    "tenant": semconv.TENANT_ID,
    "task": semconv.TASK_TYPE,
    "task_id": semconv.TASK_ID,
    "session": semconv.SESSION_ID,
    "harness_version": semconv.HARNESS_VERSION,
    "variant": semconv.VARIANT,
}
_VARIABLES = {
    "user": "SPANLORE_USER",
    "tenant": "SPANLORE_TENANT",
    "task": "SPANLORE_TASK",
    "task_id": "SPANLORE_TASK_ID",
    "session": "SPANLORE_SESSION",
    "harness_version": "SPANLORE_HARNESS_VERSION",
    "variant": "SPANLORE_VARIANT",
}


class CurrentRun:
    """The run that is going on. Ids are of its own span, all zeros where nothing is traced."""

    def __init__(self, agent: str, identity: Identity) -> None:
        self.agent = agent
        self.identity = identity
        self.span_attributes = identity.attributes()
        self.span: Span = INVALID_SPAN
        self.is_over = False
        # How often this was tried before; None where nobody said that it is tried again.
        self.attempt: int | None = None
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
    """Return the innermost run that is going on here.

    Outside of all runs it is one without a span, where the environment or baggage says whom what
    is done here is done for.
    """
    found = context.get_value(_KEY, within)
    return found if isinstance(found, CurrentRun) else _run_around(within)


def run_attributes(within: Context | None = None) -> Mapping[str, str]:
    """Return what the current run writes on its spans; asked at every span, so it is lean."""
    found = context.get_value(_KEY, within)
    if isinstance(found, CurrentRun):
        return found.span_attributes
    return _identity_around(within).attributes() if reads_baggage() else _attributes_around()


def _run_around(within: Context | None) -> CurrentRun | None:
    identity = _identity_around(within)
    return CurrentRun("", identity) if identity != Identity() else None


def _identity_around(within: Context | None) -> Identity:
    around = _of_environment()
    return _of_baggage(within).over(around) if reads_baggage() else around


@cache
def _attributes_around() -> dict[str, str]:
    return _of_environment().attributes()


@cache
def _of_environment() -> Identity:
    """Read what the process was told as it was started, once."""
    return _identity({name: os.environ.get(variable) for name, variable in _VARIABLES.items()})


@cache
def reads_baggage() -> bool:
    """Say whether what baggage says of a run is believed here."""
    return truth(os.environ, "SPANLORE_READ_BAGGAGE", unclear=False) is True


def _of_baggage(within: Context | None) -> Identity:
    said = baggage.get_all(within)
    return _identity({name: said.get(key) for name, key in _ATTRIBUTES.items()})


def _identity(said: Mapping[str, object]) -> Identity:
    named: dict[str, Any] = {name: str(value) if value else None for name, value in said.items()}
    return Identity(**named)


def with_run(run: CurrentRun, within: Context) -> Context:
    """Return the context with this run as its current one."""
    return context.set_value(_KEY, run, within)
