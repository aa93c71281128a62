"""`tool`: a function that an agent calls, as a span with its arguments and its result."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from opentelemetry.trace import get_current_span
from opentelemetry.util.genai.invocation import ToolInvocation
from opentelemetry.util.genai.utils import bind_arguments

from spanlore.instrumentation import asked_tools
from spanlore.instrumentation.content import json_text, plain_text
from spanlore.instrumentation.identity import current_run
from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.switch import pipeline
from spanlore.schemas import semconv

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Function = Callable[..., Any]
_UNKNOWN = object()
_INSTANCES = ("self", "cls")


@overload
def tool(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def tool(*, name: str | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...


def tool(function: _Function | None = None, /, *, name: str | None = None) -> Any:
    """Trace a function as a tool: ``@tool`` or ``@tool(name="create_event")``.

    For functions and coroutine functions; what they return is returned, the same object, and what
    they raise is raised. Generators and classes are left as they are. Arguments and result are
    recorded as JSON, bounded, where content may be (`init`).
    """
    if function is None:
        return functools.partial(_traced, name=name)
    return _traced(function, name=name)


def _traced(function: Any, *, name: str | None) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_traced(function.__func__, name=name))
    if not _can_be_traced(function):
        return function
    known = str(name or getattr(function, "__name__", type(function).__name__))
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_later(*args: Any, **kwargs: Any) -> Any:
            with Call(known, function, args, kwargs) as call:
                call.result = await function(*args, **kwargs)
            return call.result

        return call_later

    @functools.wraps(function)
    def call_now(*args: Any, **kwargs: Any) -> Any:
        with Call(known, function, args, kwargs) as call:
            call.result = function(*args, **kwargs)
        return call.result

    return call_now


def _can_be_traced(function: Any) -> bool:
    return callable(function) and not (
        inspect.isclass(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )


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
