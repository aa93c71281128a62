"""A whole run as an extractor reads it: who it was for, its model calls, tools and messages.

One value a run, made by ``run_traces`` from the run's spans, read once for all extractors. What
the spans do not say is empty or None; nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.runs.calls import Call

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """A tool call as the model asked for it: ``arguments`` parsed, None where it is no JSON.

    ``arguments_text`` is the text it was made of ("" where they came as an object).
    """

    call_id: str
    name: str
    arguments: Any
    arguments_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """What a tool call of that id was answered with, as the model read it."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the conversation: its text parts joined, tool requests and tool answers."""

    role: Role
    text: str
    requests: tuple[ToolRequest, ...] = ()
    answers: tuple[ToolAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One inference span. Times are Unix nanoseconds, tokens None where they are not known.

    ``input_tokens`` includes ``cache_read_tokens``. ``output`` are the messages it answered with.
    Of the same call seen by two instrumentations only the outer one is here.
    """

    span_id: str
    start_ns: int
    end_ns: int
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    reasoning_tokens: int | None
    max_tokens: int | None
    finish_reasons: tuple[str, ...]
    error_type: str
    status_message: str
    output: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What stood in the place of what the agent proposed, as the application said it."""

    target: str
    tool: str
    field: str
    original: str
    replacement: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTrace:
    """One run with all its steps, each list in the order of time.

    ``task`` is "type/id", the type, or ""; ``agent`` is "name/version". ``outcome`` is "pass",
    "fail" or "". ``calls`` are the tool calls that spans tell of (``call.error`` is None on those
    that succeeded), ``messages`` the conversation as the last model call read it and answered.
    ``defined_tools`` maps a tool's name to its definition (JSON object), from the run's tool
    definitions. ``user_turns`` are the starts (Unix nanoseconds) of the model calls that heard the
    user say something new, known where a tool was called twice. ``exposures`` are the ids of
    lessons it was given, ``held_out`` of those withheld. ``span_errors`` are error type and status
    message of the failed spans that are neither a tool's nor a model's, the root's too.
    """

    tenant: str
    trace_id: str
    user: str
    session: str
    task_type: str
    task: str
    agent: str
    model: str
    harness: str
    outcome: str
    state: str
    started_ns: int
    ended_ns: int
    time_unknown: bool
    root_span_id: str
    root_error: str
    segments: Mapping[str, str]
    calls: tuple[Call, ...]
    model_calls: tuple[ModelCall, ...]
    messages: tuple[Message, ...]
    instructions: str
    defined_tools: Mapping[str, Any]
    user_turns: tuple[int, ...] = ()
    span_errors: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    exposures: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
