"""A recorded run as one value, ready to become spans: ids, times and text all decided."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile
from typing import Any

from spanlore.instrumentation.history import json_text
from spanlore.instrumentation.history.messages import Message, ToolCall, message_of
from spanlore.instrumentation.history.outcomes import members_of, unknown_label
from spanlore.instrumentation.history.times import Timeline, parse_time, timeline

# Members of a line that say how the run went: they may come, or change, after what it did.
HOW_IT_WENT = ("outcome", "score", "reward", "feedback", "evaluation")

_INSTRUCTION_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool's call and its answer, by the index of their messages; either may be missing."""

    call: ToolCall | None
    called_at: int | None
    answered_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One run. ``messages`` is the conversation; what stands before it is ``instructions``.

    ``tool_uses`` are in the order of their calls, an answer without a call where it stands.
    ``verdict`` is a digest of how the run went, ``unknown_label`` the outcome's label where it
    says neither pass nor fail. ``extra`` holds the members of the line that the format does not
    know, and those of an outcome that says nothing.
    """

    trace_id: bytes
    run_id: str | None
    trial: int | None
    agent_name: str | None
    agent_version: str | None
    model: str | None
    user_id: str | None
    tenant_id: str | None
    task_type: str | None
    task_id: str | None
    instructions_json: str | None
    tools_json: str | None
    messages: tuple[Message, ...]
    tool_uses: tuple[ToolUse, ...]
    times: Timeline
    outcome: Any
    verdict: bytes
    unknown_label: str | None
    extra: Mapping[str, Any]


def trajectory_of(value: Any, run: Mapping[str, Any]) -> Trajectory:
    """Return the trajectory of ``run``, an object of the trajectory format.

    ``value`` is the run as its file had it: the trace id is the first 16 bytes of SHA-256 over
    the canonical JSON of what the run did, so that the same line gives the same ids wherever it is
    read, and gives them again once it is known how the run went.
    """
    did, went = _parted(value)
    trace_id = _digest(did)
    outcome = run.get("outcome")
    unknown = unknown_label(outcome)
    messages = [message_of(each) for each in run["messages"]]
    conversation = tuple(dropwhile(_is_instruction, messages))
    extra = {name: each for name, each in run.items() if name not in ("messages", "outcome")}
    if unknown is not None:
        extra.update({f"outcome.{name}": each for name, each in members_of(outcome).items()})
    agent = _members(extra, "agent", first="name", second="version")
    task = _members(extra, "task", first="type", second="id")
    trial = extra.get("trial")
    return Trajectory(
        trace_id=trace_id,
        run_id=json_text.text_of(extra.pop("run_id", None)),
        trial=extra.pop("trial") if type(trial) is int and abs(trial) < 1 << 63 else None,
        agent_name=agent[0],
        agent_version=agent[1],
        model=json_text.text_of(extra.pop("model", None)),
        user_id=json_text.text_of(extra.pop("user_id", None)),
        tenant_id=json_text.text_of(extra.pop("tenant_id", None)),
        task_type=task[0],
        task_id=task[1],
        instructions_json=_joined_parts(list(takewhile(_is_instruction, messages))),
        tools_json=_tools_json(extra),
        messages=conversation,
        tool_uses=tuple(_tool_uses(conversation)),
        times=timeline(
            [message.time_ns for message in conversation],
            started_ns=_time(extra, "started_at"),
            ended_ns=_time(extra, "ended_at"),
        ),
        outcome=outcome,
        verdict=_digest(went),
        unknown_label=unknown,
        extra=extra,
    )


def _parted(value: Any) -> tuple[Any, dict[str, Any]]:
    """Return what a run did, and how it went."""
    if not isinstance(value, dict):
        return value, {}
    went = {name: value[name] for name in HOW_IT_WENT if name in value}
    return {name: each for name, each in value.items() if name not in went}, went


def _digest(value: Any) -> bytes:
    return hashlib.sha256(json_text.canonical(value).encode()).digest()[:16]


def _is_instruction(message: Message) -> bool:
    return message.role in _INSTRUCTION_ROLES


def _joined_parts(instructions: Sequence[Message]) -> str | None:
    lists = [message.parts_json[1:-1] for message in instructions]
    parts = ",".join(each for each in lists if each)
    return f"[{parts}]" if parts else None


def _members(
    extra: dict[str, Any], key: str, *, first: str, second: str
) -> tuple[str | None, str | None]:
    """Take two members of an object, leaving its others as extras; a scalar is the first."""
    value = extra.pop(key, None)
    if not isinstance(value, dict):
        return json_text.text_of(value), None
    rest = {name: each for name, each in value.items() if name not in (first, second)}
    extra.update({f"{key}.{name}": each for name, each in rest.items()})
    return json_text.text_of(value.get(first)), json_text.text_of(value.get(second))


def _time(extra: dict[str, Any], key: str) -> int | None:
    """Take a time; one that cannot be read stays among the extras."""
    time = parse_time(extra.get(key))
    if time is not None:
        del extra[key]
    return time


def _tools_json(extra: dict[str, Any]) -> str | None:
    """Take the tool definitions and flatten OpenAI's nesting, as the conventions have them."""
    tools = extra.get("tools")
    if not isinstance(tools, list):
        return None
    del extra["tools"]
    return json_text.compact([_tool(tool) for tool in tools]) if tools else None


def _tool(tool: Any) -> Any:
    if isinstance(tool, str):
        return {"type": "function", "name": tool}
    if not isinstance(tool, dict):
        return tool
    nested = tool.get("function")
    if not isinstance(nested, dict):
        return {"type": "function"} | tool
    rest = {key: each for key, each in tool.items() if key not in ("type", "function")}
    return {"type": tool.get("type") or "function"} | nested | rest


def _tool_uses(messages: Sequence[Message]) -> list[ToolUse]:
    """Match calls with answers: an answer belongs to the first open call with its id.

    Ids repeat within a run, so a mapping from id to call would lose calls. An answer without an
    id belongs to the first open call of its name, or of any name if it says none.
    """
    uses: list[ToolUse] = []
    open_calls: dict[int, ToolCall] = {}
    for index, message in enumerate(messages):
        for call in message.calls:
            open_calls[len(uses)] = call
            uses.append(ToolUse(call=call, called_at=index, answered_at=None))
        if message.role != "tool":
            continue
        answers = (at for at, call in open_calls.items() if _is_answer(message, call))
        answered = next(answers, None)
        if answered is None:
            uses.append(ToolUse(call=None, called_at=None, answered_at=index))
        else:
            del open_calls[answered]
            uses[answered] = replace(uses[answered], answered_at=index)
    return uses


def _is_answer(message: Message, call: ToolCall) -> bool:
    if message.answers is not None:
        return message.answers == call.call_id
    return message.name in (None, call.name)
