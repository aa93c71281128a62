"""How an invocation ends: once, and however its error reads."""

from opentelemetry.util.genai.invocation import Error, GenAIInvocation
from opentelemetry.util.genai.utils import fq_exception_type

from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.switch import pipeline

_MESSAGE_CHARACTERS_MAX = 4_096


def finish(invocation: GenAIInvocation, error: BaseException | None) -> None:
    """End the span, as failed where an exception passed through; `sys.exit(0)` is none."""
    with quiet:
        if error is not None and not (isinstance(error, SystemExit) and not error.code):
            invocation.fail(_error(error))
    with quiet:
        invocation.stop()  # does nothing where it has ended


def _error(error: BaseException) -> Error:
    """Describe an exception; its text is content like any other."""
    ours = pipeline()
    message = ""
    with quiet:
        if ours is not None and ours.captures_content():
            message = str(error)[:_MESSAGE_CHARACTERS_MAX]
    return Error(message=message, type=fq_exception_type(error))
