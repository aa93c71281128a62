"""Model outputs that are not what the harness wanted: tool requests and texts it could not read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from spanlore.analyzers.runs.run_trace import Message, ModelCall, RunTrace, ToolRequest
from spanlore.analyzers.runs.tool_schema import schema_of

# Error types and words of parsers, as spans carry them. Those of a tool are none of a parser's.
_PARSER_ERROR: Final = re.compile(
    r"\b(?:OutputParser(?:Exception|Error)|OutputParsingError|JSONDecodeError|ModelBehaviorError"
    r"|UnexpectedModelBehavior|StructuredOutput(?:Validation)?Error|ToolRetryError"
    r"|LengthFinishReasonError|InstructorRetryException|AdapterParseError)\b"
)
# A validation error is a parser's where it ends a model call; elsewhere it may be about anything.
_VALIDATION_ERROR: Final = re.compile(r"\bValidationError\b|\bvalidation errors? for\b")

# How harnesses ask again for an answer they could not read.
_RE_ASK: Final = re.compile(
    r"(?:response|output|answer|message|reply)(?: you gave)? (?:was|is|could) not (?:be )?"
    r"(?:a )?(?:valid|parsed|parseable|in the (?:correct|expected|required) format)"
    r"|(?:could|can)(?: ?not|n't) (?:be )?parsed? (?:your|the|llm|model)[^.\n]{0,20}"
    r"(?:response|output|answer|action)"
    r"|failed to parse (?:your|the|llm|model)[^.\n]{0,20}(?:response|output|answer|action)"
    r"|invalid (?:json|format)\b[^.\n]{0,40}(?:try again|missing|fix|please)"
    r"|invalid or incomplete response|not valid json\b"
    r"|(?:fix|correct) the (?:errors?|format) and try again"
    r"|did not (?:call|use) (?:a|any|the) (?:valid )?(?:tool|function)",
    re.IGNORECASE,
)
_TEXT_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A tool call that a model asked for: which model, in which span, and whether it came to it.

    ``ran`` says that the call was made and did not fail: then the harness could read it.
    """

    model: str
    span_id: str
    request: ToolRequest
    ran: bool

    @property
    def is_no_object(self) -> bool:
        """Whether arguments were given that are no JSON object, and the call did not run."""
        request = self.request
        given = request.arguments is not None or bool(request.arguments_text.strip())
        return given and not isinstance(request.arguments, dict) and not self.ran

    def is_unknown(self, defined_tools: Mapping[str, Any]) -> bool:
        """Whether the harness defined tools, none of that name, and the call did not run."""
        return self.request.name not in defined_tools and not self.ran


def asked_of(run: RunTrace) -> list[Asked]:
    """Return the tool calls that the models of a run asked for, in the order of time."""
    good = [call for call in run.calls if call.error is None]
    ran = {call.call_id for call in good if call.call_id}
    tools = {call.tool for call in good}
    return [
        Asked(
            model=call.model,
            span_id=call.span_id,
            request=request,
            ran=request.call_id in ran if request.call_id else request.name in tools,
        )
        for call in run.model_calls
        for message in call.output
        for request in message.requests
    ]


def missing(request: ToolRequest, defined_tools: Mapping[str, Any]) -> frozenset[str]:
    """Return the required arguments that a request does not have; none where no schema tells."""
    schema = schema_of(defined_tools.get(request.name, {}))
    if not isinstance(schema, dict) or not isinstance(request.arguments, dict):
        return frozenset()
    required = schema.get("required")
    names = required if isinstance(required, list) else ()
    return frozenset(str(name) for name in names) - request.arguments.keys()


def is_parsers_error(said: str) -> bool:
    """Whether an error (type and text) is that of a parser of model outputs."""
    return _PARSER_ERROR.search(said[:_TEXT_CHARS]) is not None


def is_unread(call: ModelCall) -> bool:
    """Whether a model call failed because what the model gave could not be read."""
    said = f"{call.error_type} {call.status_message}"
    return is_parsers_error(said) or _VALIDATION_ERROR.search(said[:_TEXT_CHARS]) is not None


def asks_again(message: Message) -> bool:
    """Whether a message tells the model that its answer could not be read."""
    if message.role not in ("user", "system"):
        return False
    return _RE_ASK.search(message.text[:_TEXT_CHARS]) is not None
