"""Of LangChain: a tool that told its error to the model instead of raising it has failed too."""

from typing import Any

from opentelemetry.instrumentation.genai.langchain import callback_handler
from opentelemetry.util.genai.invocation import Error, ToolInvocation
from opentelemetry.util.genai.utils import object_to_any_value

from spanlore.instrumentation.recovery.amending import before
from spanlore.schemas import semconv


def recover() -> None:
    """Amend the instrumentor's callback."""
    before(callback_handler.OpenTelemetryLangChainCallbackHandler, "on_tool_end", _fail)


def _fail(handler: Any, output: Any, *_: Any, **known: Any) -> None:
    invocation = handler._invocation_manager.get_invocation(known["run_id"])  # noqa: SLF001
    if getattr(output, "status", None) != "error" or not isinstance(invocation, ToolInvocation):
        return
    message = ""
    if invocation.should_capture_content:
        message = str(output.content)
        invocation.tool_result = object_to_any_value(output.content)
    invocation.tool_call_id = invocation.tool_call_id or output.tool_call_id
    invocation.fail(Error(message=message, type=semconv.ERROR_TYPE_TOOL))
