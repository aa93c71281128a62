"""MCP's own spans of each message, client and server, with the trace carried in ``_meta``.

They go to the global provider, which in a server of nothing else nobody would have set. What a
tool was given and gave is not on them, and a client's are none of a tool: a server's are told it
by a middleware, and around a client's stands a span of the tool, unless one does already.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp import ClientSession
from mcp.server.lowlevel.server import Server
from mcp.shared import _otel
from opentelemetry.trace import ProxyTracer, Span, TracerProvider, get_current_span
from opentelemetry.util.genai.invocation import Error, ToolInvocation

from spanlore.instrumentation.content import json_text, plain_text
from spanlore.instrumentation.native.untold import UntellingTracer
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import after, around
from spanlore.instrumentation.tool_call import Call
from spanlore.schemas import semconv

_METHOD = "mcp.method.name"
_CALL = "tools/call"


def switch_on(provider: TracerProvider, *, with_content: bool) -> None:
    """Let the spans go through the provider, unless the program set one."""
    module: Any = _otel
    if not isinstance(module._tracer, ProxyTracer):  # noqa: SLF001
        return
    module._tracer = UntellingTracer(provider.get_tracer("mcp-python-sdk"))  # noqa: SLF001
    around(ClientSession, "call_tool", _called)
    if with_content:
        after(Server, "__init__", _made)


def _called(_: Any, name: str, arguments: Any = None, *__: Any, **___: Any) -> Call | None:
    said = getattr(get_current_span(), "attributes", None) or {}
    if said.get(semconv.OPERATION_NAME) == semconv.OP_EXECUTE_TOOL:
        return None
    return _Called(name, lambda **given: given, (), arguments or {}, library="mcp")


class _Called(Call):
    """A client's call of a tool, which may answer that it failed."""

    __slots__ = ()

    def _told(self) -> Any:
        return _text(self.result)

    def _record_result(self, invocation: ToolInvocation) -> None:
        super()._record_result(invocation)
        if _field(self.result, "is_error", "isError") is True:
            said = str(invocation.attributes.get(semconv.TOOL_CALL_RESULT, ""))
            invocation.fail(Error(message=said, type=semconv.ERROR_TYPE_TOOL))


def _made(result: None, server: Any, *_: Any, **__: Any) -> None:
    server.middleware.append(_tell_content)
    return result


async def _tell_content(context: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    """Write on the server's span of a tool's call what it was given and what it gave."""
    span: Span | None = None
    with quiet:
        span = _span_of_call(context)
    result = await call_next(context)
    with quiet:
        if span is not None:
            span.set_attribute(semconv.TOOL_CALL_RESULT, plain_text(_text(result)))
    return result


def _span_of_call(context: Any) -> Span | None:
    span = get_current_span()
    said = getattr(span, "attributes", None) or {}
    if context.method != _CALL or said.get(_METHOD) != _CALL:
        return None
    given = (context.params or {}).get("arguments") or {}
    span.set_attribute(semconv.TOOL_CALL_ARGUMENTS, json_text(given))
    return span


def _text(result: Any) -> Any:
    """Return the texts that a tool gave; what is more than texts, whole."""
    content = _field(result, "content")
    texts = [_field(part, "text") for part in content or ()]
    return "\n".join(texts) if texts and all(isinstance(text, str) for text in texts) else result


def _field(value: Any, *names: str) -> Any:
    """Read a field of a model, or of what is to be one."""
    if isinstance(value, Mapping):
        return next((value[name] for name in names if name in value), None)
    return next((getattr(value, name) for name in names if hasattr(value, name)), None)
