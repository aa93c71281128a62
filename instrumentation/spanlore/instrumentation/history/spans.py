"""The spans of one recorded run: the agent, each model call, each tool call."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile, takewhile

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanlore.instrumentation.history.attributes import (
    Value,
    attributes,
    extra_attributes,
    message_list,
)
from spanlore.instrumentation.history.messages import Message
from spanlore.instrumentation.history.trajectory import ToolUse, Trajectory
from spanlore.schemas import semconv

STATUS_CHARACTERS_MAX = 256


def span_id(trace_id: bytes, index: int) -> bytes:
    """Return the id of a run's span by its index; the root's is 0."""
    return hashlib.sha256(trace_id + index.to_bytes(4, "big")).digest()[:8]


def identity(run: Trajectory) -> dict[str, Value]:
    """Return what every span and judgement of a run says about whose it is."""
    return {
        semconv.TENANT_ID: run.tenant_id,
        semconv.USER_ID: run.user_id,
        semconv.TASK_TYPE: run.task_type,
        semconv.TASK_ID: run.task_id,
    }


def spans_of(run: Trajectory) -> Iterator[Span]:
    """Yield the root, then each message's model call followed by the tools it called.

    Lazily: every model call repeats the history before it, so that a long run's spans together
    are many times its line.
    """
    frame = _Frame(run=run, common=tuple(attributes(identity(run))))
    yield _root(frame)
    history = [message.json for message in run.messages]
    uses = iter(run.tool_uses)
    use = next(uses, None)
    index = 0
    for position, message in enumerate(run.messages):
        if message.role == "assistant":
            index += 1
            yield _model_call(frame, position, index=index, history=history)
        while use is not None and _stands_at(use) == position:
            index += 1
            yield _tool_call(frame, use, index=index)
            use = next(uses, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What the spans of one run share."""

    run: Trajectory
    common: tuple[KeyValue, ...]

    def span(
        self, index: int, values: dict[str, Value], *, name: str, time_ns: tuple[int, int]
    ) -> Span:
        """Make a span; one whose own time was not given says so."""
        span = Span(
            trace_id=self.run.trace_id,
            span_id=span_id(self.run.trace_id, index),
            parent_span_id=span_id(self.run.trace_id, 0) if index else b"",
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=time_ns[0],
            end_time_unix_nano=time_ns[1],
            attributes=attributes(values),
        )
        span.attributes.extend(self.common)
        return span

    def before_ns(self, position: int) -> int:
        """Return the time of the message before, or the run's start."""
        times = self.run.times
        return times.message_ns[position - 1] if position else times.start_ns

    def unknown(self, position: int) -> bool | None:
        """Say whether the time of a message was made up; None if it was given."""
        return None if self.run.times.message_known[position] else True


def _root(frame: _Frame) -> Span:
    run = frame.run
    asked = takewhile(_is_user, dropwhile(lambda each: not _is_user(each), run.messages))
    questions = [message.json for message in asked]
    answers = [message.json for message in run.messages if message.role == "assistant"]
    values: dict[str, Value] = {
        semconv.OPERATION_NAME: semconv.OP_INVOKE_AGENT,
        semconv.AGENT_NAME: run.agent_name,
        semconv.AGENT_VERSION: run.agent_version,
        semconv.REQUEST_MODEL: run.model,
        semconv.RUN_ID: run.run_id,
        semconv.TRIAL: run.trial,
        semconv.TIME_UNKNOWN: None if run.times.known else True,
        semconv.SYSTEM_INSTRUCTIONS: run.instructions_json,
        semconv.TOOL_DEFINITIONS: run.tools_json,
        semconv.INPUT_MESSAGES: message_list(questions) if questions else None,
        semconv.OUTPUT_MESSAGES: message_list(answers[-1:]) if answers else None,
        **extra_attributes(run.extra),
    }
    times = (run.times.start_ns, run.times.end_ns)
    return frame.span(
        0, values, name=_named(semconv.OP_INVOKE_AGENT, run.agent_name), time_ns=times
    )


def _model_call(frame: _Frame, position: int, *, index: int, history: list[str]) -> Span:
    run, message = frame.run, frame.run.messages[position]
    values: dict[str, Value] = {
        semconv.OPERATION_NAME: semconv.OP_CHAT,
        semconv.AGENT_NAME: run.agent_name,
        semconv.REQUEST_MODEL: run.model,
        semconv.TIME_UNKNOWN: frame.unknown(position),
        semconv.RESPONSE_FINISH_REASONS: (
            (message.finish_reason,) if message.finish_reason else None
        ),
        **message.usage,
        **extra_attributes(message.usage_extra, prefix="usage."),
        semconv.INPUT_MESSAGES: message_list(history[:position]),
        semconv.OUTPUT_MESSAGES: message_list([message.json]),
    }
    times = (frame.before_ns(position), run.times.message_ns[position])
    span = frame.span(index, values, name=_named(semconv.OP_CHAT, run.model), time_ns=times)
    span.kind = Span.SPAN_KIND_CLIENT
    return span


def _tool_call(frame: _Frame, use: ToolUse, *, index: int) -> Span:
    messages = frame.run.messages
    answer = None if use.answered_at is None else messages[use.answered_at]
    asked_by = None if use.called_at is None else messages[use.called_at].role
    name = use.call.name if use.call else answer.name if answer else None
    call_id = use.call.call_id if use.call else answer.answers if answer else None
    last = _last_known(use)
    failed = answer is not None and answer.is_error
    values: dict[str, Value] = {
        semconv.OPERATION_NAME: semconv.OP_EXECUTE_TOOL,
        semconv.AGENT_NAME: frame.run.agent_name,
        semconv.TOOL_NAME: name,
        semconv.TOOL_TYPE: "function",
        semconv.TOOL_CALL_ID: call_id,
        semconv.TIME_UNKNOWN: frame.unknown(last),
        semconv.ERROR_TYPE: semconv.ERROR_TYPE_TOOL if failed else None,
        semconv.INCOMPLETE: True if answer is None else None,
        semconv.IMPORT_CALLED_BY: None if asked_by == "assistant" else asked_by,
        semconv.TOOL_CALL_ARGUMENTS: use.call.arguments if use.call else None,
        semconv.TOOL_CALL_RESULT: answer.text if answer else None,
    }
    ends = frame.run.times.message_ns[last]
    starts = (
        frame.before_ns(last)
        if use.called_at is None
        else frame.run.times.message_ns[use.called_at]
    )
    span = frame.span(
        index, values, name=_named(semconv.OP_EXECUTE_TOOL, name), time_ns=(starts, ends)
    )
    if failed:
        span.status.CopyFrom(_error(answer))
    return span


def _error(answer: Message | None) -> Status:
    text = answer.text if answer and answer.text else ""
    return Status(code=Status.STATUS_CODE_ERROR, message=text[:STATUS_CHARACTERS_MAX])


def _stands_at(use: ToolUse) -> int | None:
    return use.answered_at if use.called_at is None else use.called_at


def _last_known(use: ToolUse) -> int:
    """Return the message a tool call's span ends with: its answer, else the call itself."""
    return use.answered_at if use.answered_at is not None else use.called_at or 0


def _is_user(message: Message) -> bool:
    return message.role == "user"


def _named(operation: str, what: str | None) -> str:
    return f"{operation} {what}" if what else operation
