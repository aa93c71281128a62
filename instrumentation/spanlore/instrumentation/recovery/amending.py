"""Amend a function of a library at its own name, once, without a way to harm its callers."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from spanlore.instrumentation.quiet import quiet

_MARK = "__spanlore_amended__"


def before(owner: Any, name: str, look: Callable[..., None]) -> None:
    """Call ``look`` with the same arguments before each call of ``owner.name``."""

    def amended(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            with quiet:
                look(*args, **kwargs)
            return original(*args, **kwargs)

        return call

    _amend(owner, name, amended)


def after(owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Let each call of ``owner.name`` return ``change(result, *arguments)``."""

    def amended(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            with quiet:
                return change(result, *args, **kwargs)
            return result

        return call

    _amend(owner, name, amended)


def around(owner: Any, name: str, bracket: Callable[..., Any]) -> None:
    """Run each call of ``owner.name`` within ``bracket(*arguments)``, whose ``result`` it sets.

    The bracket must not raise; where it is None the call runs alone. A coroutine function stays
    one.
    """

    def amended(original: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(original):
            return _around_later(original, bracket)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            found = None
            with quiet:
                found = bracket(*args, **kwargs)
            if found is None:
                return original(*args, **kwargs)
            with found:
                found.result = original(*args, **kwargs)
            return found.result

        return call

    _amend(owner, name, amended)


def _around_later(original: Callable[..., Any], bracket: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        found = None
        with quiet:
            found = bracket(*args, **kwargs)
        if found is None:
            return await original(*args, **kwargs)
        with found:
            found.result = await original(*args, **kwargs)
        return found.result

    return call


def _amend(
    owner: Any, name: str, amended: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    found = vars(owner).get(name)
    if found is None or hasattr(getattr(found, "__func__", found), _MARK):
        return
    is_classmethod = isinstance(found, classmethod)
    call = amended(found.__func__ if is_classmethod else found)
    setattr(call, _MARK, True)
    setattr(owner, name, classmethod(call) if is_classmethod else call)
