"""Clients that were given to Logfire: it traces them, and where its spans come to us ours does not.

Logfire brings no instrumentors for OpenAI's and Anthropic's SDKs. It replaces how a client, or a
class of clients, sends its requests, which is below the call that ours stands around.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from opentelemetry import trace

from spanlore.instrumentation.other_tracers import say_that_it_tells
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import after

_MARK = "_is_instrumented_by_logfire"
_OFFICIAL = "opentelemetry.instrumentation.genai"
_ANTHROPICS = (
    "messages_create",
    "async_messages_create",
    "messages_stream",
    "async_messages_stream",
)


def leave(module: str) -> None:
    """Amend the instrumentor of this library, before it wraps what the library's clients do."""
    if module == "openai":
        after(import_module(f"{_OFFICIAL}.openai").OpenAIInstrumentor, "_active", _but_logfires)
    elif module == "anthropic":
        for name in _ANTHROPICS:
            after(import_module(f"{_OFFICIAL}.anthropic"), name, _but_logfires)


def _but_logfires(wrapper: Callable[..., Any], *_: Any) -> Callable[..., Any]:
    """Return the instrumentor's wrapper for every client but Logfire's."""

    def call(wrapped: Callable[..., Any], instance: Any, *given: Any) -> Any:
        is_logfires = False
        with quiet:
            is_logfires = _is_logfires(getattr(instance, "_client", None))
        if not is_logfires:
            return wrapper(wrapped, instance, *given)
        args, kwargs = given
        return wrapped(*args, **kwargs)

    return call


def _is_logfires(client: Any) -> bool:
    if not getattr(client, _MARK, False):
        return False
    provider = type(trace.get_tracer_provider())
    if provider.__module__.partition(".")[0] != "logfire":
        return False
    say_that_it_tells(
        "logfire",
        type(client).__module__.partition(".")[0],
        instead="do not give the client to logfire",
    )
    return True
