"""What is said of a run: how it went, what the user thought of it, what was changed in the end.

Each is an event about the run that is going on, or about the trace that ``trace_id`` names, also
from another process and later. A call that cannot be meant is not sent: it is a warning of the
logger ``spanlore``, once.
"""

import hashlib
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from spanlore.instrumentation.complaint import complain
from spanlore.instrumentation.content import plain_text
from spanlore.instrumentation.identity import CurrentRun, current_run
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.switch import pipeline
from spanlore.schemas import semconv

_VERDICTS = ("pass", "fail")
_SOURCES = ("code", "environment", "human", "llm", "end_user")
# Of a trace that only the collector can find.
_UNKNOWN = "unknown"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def judge(
    verdict: Literal["pass", "fail"],
    *,
    score: float | None = None,
    reason: str | None = None,
    source: str = "code",
    by: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Say how a run went. The same source and author judging again replaces the verdict.

    ``score`` is 0 to 1; without it 1 for pass and 0 for fail. ``source`` is code, environment,
    human, llm or end_user, ``by`` who or what judged.
    """
    with quiet:
        if verdict not in _VERDICTS:
            complain(f"judge: the verdict is {verdict!r}; say 'pass' or 'fail'. Not sent.")
        elif source not in _SOURCES:
            complain(
                f"judge: the source is {source!r}; say one of {', '.join(_SOURCES)}. Not sent."
            )
        elif _is_score("judge", score):
            author = by or source
            _evaluate(
                "judge",
                {
                    semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
                    semconv.EVALUATION_LABEL: verdict,
                    semconv.EVALUATION_SCORE: float(verdict == "pass" if score is None else score),
                    semconv.JUDGEMENT_SOURCE: source,
                    semconv.JUDGEMENT_EVALUATOR: author,
                },
                text=reason,
                trace_id=trace_id,
            )


def feedback(  # what was thought, and of what
    *,
    score: float | None = None,
    label: str | None = None,
    comment: str | None = None,
    trace_id: str | None = None,
    response_id: str | None = None,
    conversation: str | None = None,
) -> None:
    """Say what the user thought: a score from 0 to 1, a label such as "thumbs_up", a comment.

    The same user's later word replaces the earlier. The comment is content (`init`). Later, from
    anywhere, it is said of a ``trace_id``, or of what is known instead: the ``response_id`` that
    the model's answer had, or the ``conversation`` (`run`'s session), whose latest run is meant.
    The collector finds the run.
    """
    with quiet:
        if score is None and label is None and comment is None:
            complain("feedback: neither score nor label nor comment is given. Not sent.")
        elif _is_score("feedback", score):
            run = current_run()
            if trace_id is None and (response_id or conversation):
                trace_id = _UNKNOWN
            _evaluate(
                "feedback",
                {
                    semconv.EVALUATION_NAME: semconv.EVALUATION_USER_FEEDBACK,
                    semconv.EVALUATION_LABEL: label,
                    semconv.EVALUATION_SCORE: None if score is None else float(score),
                    semconv.JUDGEMENT_SOURCE: "end_user",
                    semconv.JUDGEMENT_EVALUATOR: run.identity.user if run else None,
                    semconv.RESPONSE_ID: response_id,
                    semconv.CONVERSATION_ID: conversation,
                },
                text=comment,
                trace_id=trace_id,
            )


def override(  # noqa: PLR0913  # what an override is made of
    *,
    field: str,
    original: Any,
    replacement: Any,
    tool: str | None = None,
    target: str = "tool_argument",
    actor: str = "user",
    reason: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Say that something the agent proposed was replaced.

    ``target`` is tool_argument, output or plan; ``field`` a JSON pointer into it ("/start");
    ``tool`` the tool, for an argument; ``actor`` user, operator or agent. Both values are content
    (`init`).
    """
    with quiet:
        if target not in semconv.OVERRIDE_TARGETS:
            complain(
                f"override: the target is {target!r}; say one of "
                f"{', '.join(semconv.OVERRIDE_TARGETS)}. Not sent."
            )
            return
        values = {"original": original, "replacement": replacement, "reason": reason}
        _emit(
            "override",
            semconv.EVENT_OVERRIDE,
            {
                semconv.OVERRIDE_TARGET: target,
                semconv.OVERRIDE_FIELD: str(field),
                semconv.OVERRIDE_ACTOR: str(actor),
                semconv.OVERRIDE_ID: uuid.uuid4().hex,
                semconv.TOOL_NAME: tool,
            },
            content={
                f"{semconv.EVENT_OVERRIDE}.{name}": value
                for name, value in values.items()
                if name != "reason" or value is not None
            },
            trace_id=trace_id,
        )


def approval(  # what an approval is made of
    decision: Literal["approved", "rejected", "edited"],
    *,
    tool: str | None = None,
    tool_call_id: str | None = None,
    actor: str = "user",
    reason: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Say what somebody decided about a step that the agent wanted to take.

    ``tool`` and ``tool_call_id`` name the step, ``actor`` user, operator or agent. What was edited
    is told by `override`. The reason is content (`init`).
    """
    with quiet:
        if decision not in semconv.APPROVAL_DECISIONS:
            complain(
                f"approval: the decision is {decision!r}; say one of "
                f"{', '.join(semconv.APPROVAL_DECISIONS)}. Not sent."
            )
            return
        _emit(
            "approval",
            semconv.EVENT_APPROVAL,
            {
                semconv.APPROVAL_DECISION: decision,
                semconv.APPROVAL_ACTOR: str(actor),
                semconv.APPROVAL_ID: uuid.uuid4().hex,
                semconv.TOOL_NAME: tool,
                semconv.TOOL_CALL_ID: tool_call_id,
            },
            content={} if reason is None else {semconv.APPROVAL_REASON: reason},
            trace_id=trace_id,
        )


def expose(run: CurrentRun, lesson: tuple[str, int], arm: str) -> None:
    """Say, once, that a run was given a version of a lesson, or held out of it."""
    ours = pipeline()
    if ours is None or lesson in run.exposed or not run.span_context.is_valid:
        return
    run.exposed.add(lesson)
    attributes = {
        semconv.LESSON_ID: lesson[0],
        semconv.LESSON_VERSION: lesson[1],
        semconv.LESSON_ARM: arm,
        **run.span_attributes,
    }
    ours.emit(semconv.EVENT_EXPOSURE, attributes, run.span_context)


def _evaluate(
    caller: str, values: dict[str, Any], *, text: str | None, trace_id: str | None
) -> None:
    found = _about(caller, trace_id)
    if found is not None:
        parts = [
            trace.format_trace_id(found.trace_id),
            values[semconv.EVALUATION_NAME],
            values[semconv.JUDGEMENT_SOURCE],
            values[semconv.JUDGEMENT_EVALUATOR],
        ]
        if not found.trace_id:
            parts += [values[semconv.RESPONSE_ID], values[semconv.CONVERSATION_ID]]
        said = "\0".join(map(str, parts))
        values[semconv.JUDGEMENT_ID] = hashlib.sha256(said.encode()).hexdigest()[:32]
    content = {} if text is None else {semconv.EVALUATION_EXPLANATION: text}
    _emit(caller, semconv.EVENT_EVALUATION, values, content=content, trace_id=trace_id)


def _emit(
    caller: str,
    name: str,
    values: Mapping[str, Any],
    *,
    content: Mapping[str, Any],
    trace_id: str | None,
) -> None:
    ours, about = pipeline(), _about(caller, trace_id)
    if ours is None or about is None:
        return
    known = {key: value for key, value in values.items() if value is not None}
    if ours.captures_content():
        known |= {key: plain_text(value) for key, value in content.items()}
    run = current_run()
    if run is not None and run.span_context.trace_id == about.trace_id:
        known = {**run.span_attributes, **known}
    ours.emit(name, known, about)


def _about(caller: str, trace_id: str | None) -> SpanContext | None:
    """Return what is spoken of: the named trace, else the run that goes on, else the span."""
    if trace_id == _UNKNOWN:
        return INVALID_SPAN_CONTEXT
    if trace_id is not None:
        text = str(trace_id).lower()
        if _TRACE_ID.fullmatch(text) and int(text, 16):
            return SpanContext(int(text, 16), 0, is_remote=False, trace_flags=TraceFlags(1))
        if pipeline() is not None:
            complain(f"{caller}: {trace_id!r} is no trace id of 32 hexadecimal digits. Not sent.")
        return None
    run = current_run()
    found = run.span_context if run else INVALID_SPAN_CONTEXT
    if not found.is_valid:
        found = trace.get_current_span().get_span_context()
    if found.is_valid:
        return found
    if pipeline() is not None:
        complain(f"{caller}: no run is going on here; call it inside run() or name a trace_id.")
    return None


def _is_score(caller: str, score: float | None) -> bool:
    if score is None:
        return True
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    if is_number and math.isfinite(score) and 0 <= score <= 1:
        return True
    complain(f"{caller}: the score is {score!r}; it must be a number from 0 to 1. Not sent.")
    return False
