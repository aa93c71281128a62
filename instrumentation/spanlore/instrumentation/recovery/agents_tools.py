"""Of the OpenAI Agents SDK: the id of a tool's call, and what its error was."""

from typing import Any
from weakref import WeakKeyDictionary

from agents import tool
from agents.tool_context import ToolContext
from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai_agents.processor import GenAITracingProcessor
from opentelemetry.util.genai.invocation import Error, ToolInvocation
from opentelemetry.util.genai.utils import fq_exception_type

from spanlore.instrumentation.recovery.amending import before
from spanlore.schemas import semconv

# The span of the tool's call: what the tool raised, before the SDK makes a text of it.
_raised: WeakKeyDictionary[trace.Span, Error] = WeakKeyDictionary()


def recover() -> None:
    """Amend the SDK where a tool's call begins and fails, and the instrumentor where it ends."""
    before(ToolContext, "from_agent_context", _note_id)
    before(tool, "maybe_invoke_function_tool_failure_error_function", _note_error)
    before(GenAITracingProcessor, "on_span_end", _name_error)


def _note_id(kind: type[Any], context: Any, tool_call_id: str, *_: Any, **__: Any) -> None:
    """Called where the tool's span has just begun."""
    del kind, context
    trace.get_current_span().set_attribute(semconv.TOOL_CALL_ID, tool_call_id)


def _note_error(*, error: BaseException, **_: Any) -> None:
    _raised[trace.get_current_span()] = Error(message=str(error), type=fq_exception_type(error))


def _name_error(processor: Any, span: Any) -> None:
    """Let the instrumentor, which writes every error down as ``_OTHER``, write what it was."""
    invocation = processor._invocations.get(span)  # noqa: SLF001
    if not isinstance(invocation, ToolInvocation) or not span.error:
        return
    told = span.error.get("data") or {}
    named = _raised.get(invocation.span) or Error(
        message=str(told.get("error") or span.error.get("message", "")),
        type=semconv.ERROR_TYPE_TOOL,
    )
    if not invocation.should_capture_content:
        named.message = ""
    fail = invocation.fail
    invocation.fail = lambda error: fail(named)  # type: ignore[method-assign]  # noqa: ARG005
