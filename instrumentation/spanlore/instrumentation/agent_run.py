"""`run`: one execution of an agent, as the span that stands over all it does."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.util.genai.invocation import LocalAgentInvocation

from spanlore.instrumentation.identity import CurrentRun, Identity, current_run, with_run
from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.switch import pipeline
from spanlore.schemas import semconv


def run(  # noqa: PLR0913  # what a run is known by
    agent: str,
    *,
    user: str | None = None,
    tenant: str | None = None,
    task: str | None = None,
    task_id: str | None = None,
    session: str | None = None,
    segments: Mapping[str, str] | None = None,
    harness_version: str | None = None,
    variant: str | None = None,
    retry_of: CurrentRun | None = None,
) -> AbstractContextManager[CurrentRun]:
    """Trace one run of an agent.

        with run("assistant", user="ann", tenant="acme", task="scheduling") as current: …

    Every span inside bears the identity, also in threads and asyncio tasks started there, and
    also those of other instrumentations. ``task`` is the kind of task, ``task_id`` the case,
    ``session`` the conversation; ``segments`` says what the user is like (``{"time_zone": …}``).
    Inside another run this is a child agent of the same trace, and what it does not say is the
    other's; what neither says is the environment's (SPANLORE_USER, SPANLORE_TENANT, SPANLORE_TASK,
    SPANLORE_TASK_ID, SPANLORE_SESSION, SPANLORE_HARNESS_VERSION, SPANLORE_VARIANT). ``variant`` is
    the arm of an experiment of yours; ``retry_of`` the run that this one tries again.

    In a generator's body it stays current for the caller between the steps, as every context
    variable does: make that generator a `tool`, or let the run stand around its loop.

    An exception marks the run as failed and goes on untouched. Where nothing is traced the ids of
    ``current`` are zeros and the rest works.
    """
    return _Scope(
        agent,
        {
            "user": user,
            "tenant": tenant,
            "task": task,
            "task_id": task_id,
            "session": session,
            "harness_version": harness_version,
            "variant": variant,
        },
        segments=segments,
        retry_of=retry_of,
    )


# What a fault of ours leaves a program with.
_NO_RUN = CurrentRun("", Identity())


class _Scope(AbstractContextManager[CurrentRun]):
    def __init__(
        self,
        agent: str,
        said: Mapping[str, Any],
        *,
        segments: Mapping[str, str] | None,
        retry_of: CurrentRun | None,
    ) -> None:
        self._agent = agent
        self._said = said
        self._segments = segments
        self._retry_of = retry_of
        self._current = _NO_RUN
        self._invocation: LocalAgentInvocation | None = None
        self._context: Context | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> CurrentRun:
        with quiet:
            self._begin()
        return self._current

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._current.is_over = True
        with quiet:
            # A generator may be closed in a context that is not the one it was begun in.
            if self._token is not None and context.get_current() is self._context:
                context.detach(self._token)
        if self._invocation is not None:
            finish(self._invocation, error)

    def _begin(self) -> None:
        around = context.get_current()
        parent = current_run(around)
        if parent is not None and parent.is_over:
            # A worker thread that outlived the run it was started in does not belong to it.
            around = Context()
            parent = current_run(around)
        said = Identity(
            **{name: _text(value) for name, value in self._said.items()},
            segments=self._segments or {},
        )
        identity = said.over(parent.identity) if parent else said
        self._current = current = CurrentRun(str(self._agent), identity)
        self._context = with_run(current, around)
        if (ours := pipeline()) is not None:
            self._invocation = ours.handler.invoke_local_agent(
                agent_name=current.agent, context=self._context, conversation_id=identity.session
            )
            self._invocation.suspend()  # attached below, so that it can be left in any context
            self._context = self._invocation.context
            current.span = self._invocation.span
            current.span.set_attributes(_segments(said.segments))
        if self._retry_of is not None:
            _link(current, self._retry_of)
        self._token = context.attach(self._context)


def _link(current: CurrentRun, before: CurrentRun) -> None:
    current.attempt = (before.attempt or 0) + 1
    current.span.set_attribute(semconv.RETRY_ATTEMPT, current.attempt)
    current.span.add_link(before.span_context, {semconv.LINK_TYPE: semconv.LINK_RETRY})


def _segments(segments: Mapping[str, str]) -> dict[str, str]:
    return {f"{semconv.SEGMENT_PREFIX}{name}": str(value) for name, value in segments.items()}


def _text(value: Any) -> str | None:
    """Return an id as text; the empty one is no id."""
    return str(value) if value not in (None, "") else None
