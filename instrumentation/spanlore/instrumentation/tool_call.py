"""A call of a tool as a span with its arguments and its result, however it is carried out."""

from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Self, cast

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from opentelemetry.util.genai.invocation import ToolInvocation
from opentelemetry.util.genai.utils import bind_arguments

from spanlore.instrumentation import asked_tools
from spanlore.instrumentation.content import ListText, json_text, plain_text
from spanlore.instrumentation.identity import current_run
from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.switch import pipeline
from spanlore.schemas import semconv

_Function = Callable[..., Any]
_UNKNOWN = object()
_INSTANCES = ("self", "cls")


class Call:
    """One call. Brackets the function, so that its traceback has no line of ours but the call's.

    ``library`` is the one that makes it, where that is not the program.
    """

    __slots__ = ("_args", "_function", "_invocation", "_kwargs", "_library", "_name", "result")

    def __init__(
        self,
        name: str,
        function: _Function,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        /,
        *,
        library: str = "",
    ) -> None:
        self._name = name
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._library = library
        self._invocation: ToolInvocation | None = None
        self.result: Any = _UNKNOWN

    def __enter__(self) -> Self:
        with quiet:
            self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._invocation is None:
            return
        with quiet:
            self._record_result(self._invocation)
        finish(self._invocation, error)

    def stand_aside(self) -> Context | None:
        """Be no longer what is current; give the context that is where the function goes on."""
        if self._invocation is None:
            return None
        self._invocation.suspend()
        return self._invocation.context

    def _begin(self) -> None:
        ours = pipeline()
        if ours is None:
            return
        self._invocation = invocation = ours.handler_of(self._library).tool(
            self._name, tool_type="function", agent_name=_agent()
        )
        if ours.captures_content():
            given = _flat(bind_arguments(self._function, self._args, self._kwargs), self._kwargs)
            if given and next(iter(given)) in _INSTANCES:
                given.pop(next(iter(given)))
            _set(invocation, semconv.TOOL_CALL_ARGUMENTS, json_text(given))
            trace_id = invocation.span.get_span_context().trace_id
            invocation.tool_call_id = asked_tools.claim(trace_id, self._name, given)

    def _record_result(self, invocation: ToolInvocation) -> None:
        ours = pipeline()
        if self.result is not _UNKNOWN and ours is not None and ours.captures_content():
            _set(invocation, semconv.TOOL_CALL_RESULT, plain_text(self._told()))

    def _told(self) -> Any:
        """Return what of the result is told."""
        return self.result


class SteppedCall:
    """A call of a generator: it goes on from the first step to the end, with pauses between.

    Its result is the list of what was yielded. ``inside`` stands around every step.
    """

    __slots__ = ("_call", "_yielded", "inside")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._yielded: ListText | None = None
        self.inside = _Inside()

    def __enter__(self) -> Self:
        self._call.__enter__()
        with quiet:
            self.inside.context = self._call.stand_aside()
            self._call.result = self._yielded = ListText()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, GeneratorExit):
            self._call.__exit__(None, None, None)  # closed by who needs no more of it
        else:
            self._call.__exit__(kind, error, trace)

    def note(self, item: Any) -> None:
        """Write down of what is yielded what may be recorded, as it is now."""
        ours = pipeline()
        if self._yielded is not None and ours is not None and ours.captures_content():
            self._yielded.add(item)


class _Inside:
    """What is current while a generator's own code runs, and there alone.

    That is the span of its call, or what it opened itself and has not closed.
    """

    __slots__ = ("_token", "context")

    def __init__(self) -> None:
        self.context: Context | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        with quiet:
            self._token = context.attach(self.context) if self.context is not None else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with quiet:
            if self._token is not None:
                self.context = context.get_current()
                # `context.detach` logs where an abandoned step is closed in another context.
                self._token.var.reset(self._token)


def _agent() -> str | None:
    """Return the name of the agent whose span is around, or whose run it is."""
    said = getattr(get_current_span(), "attributes", None) or {}
    run = current_run()
    return said.get(semconv.AGENT_NAME) or (run.agent if run else None) or None


def _flat(given: dict[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as they were sent: those that ``**kwargs`` took stand beside others."""
    taken = {key: value for key, value in kwargs.items() if key not in given}
    nested = [
        name
        for name, value in given.items()
        if taken and isinstance(value, dict) and value.keys() == taken.keys()
    ]
    return {**{key: value for key, value in given.items() if key not in nested}, **taken}


def _set(invocation: ToolInvocation, key: str, text: str) -> None:
    cast("dict[str, Any]", invocation.attributes)[key] = text
