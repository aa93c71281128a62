"""`tool`: a function that an agent calls, traced as what it is.

A generator's wrapper is a generator, and a coroutine function's one of coroutines: frameworks look.
It holds nothing for longer than what it stands for would: neither what was yielded nor what was
thrown in.
"""

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.tool_call import Call, SteppedCall

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Function = Callable[..., Any]


@overload
def tool(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def tool(*, name: str | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...


def tool(function: _Function | None = None, /, *, name: str | None = None) -> Any:
    """Trace a function as a tool: ``@tool`` or ``@tool(name="create_event")``.

    For functions, coroutine functions and generators of both kinds; what they return or yield is
    the same object, and what they raise is raised. A generator's call lasts from its first step to
    its end, and its result is the list of what it yielded; between its steps nothing of it is
    current. Classes are left as they are. Arguments and result are recorded as JSON, bounded,
    where content may be (`init`).
    """
    if function is None:
        return functools.partial(_traced, name=name)
    return _traced(function, name=name)


def _traced(function: Any, *, name: str | None) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_traced(function.__func__, name=name))
    if not callable(function) or inspect.isclass(function):
        return function
    known = str(name or getattr(function, "__name__", type(function).__name__))
    return functools.wraps(function)(_wrapper_for(function)(known, function))


def _wrapper_for(function: _Function) -> Callable[[str, _Function], _Function]:
    if inspect.iscoroutinefunction(function):
        return _coroutine
    if inspect.isgeneratorfunction(function):
        return _generator
    if inspect.isasyncgenfunction(function):
        return _async_generator
    return _plain


def _plain(name: str, function: _Function) -> _Function:
    def call_now(*args: Any, **kwargs: Any) -> Any:
        with Call(name, function, args, kwargs) as call:
            call.result = function(*args, **kwargs)
        return call.result

    return call_now


def _coroutine(name: str, function: _Function) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def call_later(*args: Any, **kwargs: Any) -> Any:
        with Call(name, function, args, kwargs) as call:
            call.result = await function(*args, **kwargs)
        return call.result

    return call_later


def _generator(name: str, function: _Function) -> Callable[..., Generator[Any, Any, Any]]:
    def step_through(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with SteppedCall(Call(name, function, args, kwargs)) as call:
            generator = function(*args, **kwargs)
            go_on: Any = functools.partial(generator.send, None)
            while True:
                try:
                    with call.inside:
                        items = [go_on()]
                except StopIteration as ended:
                    return ended.value
                finally:
                    go_on = None
                with quiet:
                    call.note(items[0])
                try:
                    go_on = functools.partial(generator.send, (yield items.pop()))
                except BaseException as thrown:  # noqa: BLE001  # also GeneratorExit, by `close`
                    go_on = functools.partial(generator.throw, thrown)

    return step_through


def _async_generator(name: str, function: _Function) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def step_through(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with SteppedCall(Call(name, function, args, kwargs)) as call:
            generator = function(*args, **kwargs)
            with _Unhooked():
                to_come: Any = generator.asend(None)
            while True:
                try:
                    with call.inside:
                        items = [await to_come]
                except StopAsyncIteration:
                    return
                finally:
                    to_come = None
                with quiet:
                    call.note(items[0])
                try:
                    to_come = generator.asend((yield items.pop()))
                except BaseException as thrown:  # noqa: BLE001  # also GeneratorExit, by `aclose`
                    to_come = generator.athrow(thrown)

    return step_through


class _Unhooked:
    """Begin an async generator here, and the event loop leaves it to its wrapper to close.

    It would close both, at the same time. It is told of one by hooks, which are called where the
    first step is made, before that is awaited.
    """

    __slots__ = ("_hooks",)

    def __enter__(self) -> None:
        self._hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, _leave)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.set_asyncgen_hooks(*self._hooks)


def _leave(_: AsyncGenerator[Any, Any]) -> None:
    """Do not close what nobody awaits."""
