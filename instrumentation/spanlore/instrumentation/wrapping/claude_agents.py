"""The Claude Agent SDK: what its program, Claude Code, says of its turns, models and tools.

The calls of models are made by that program, not by this process. All of them are in the messages
that it writes for the SDK, which are watched here as they are read: a call begins when what it
answers to is there, and ends with the first message that belongs to another. A program that was
told to trace itself is left to do it: its spans have the same calls, without the messages.

How many tokens a call gave is said of the whole turn alone, unless the SDK was asked for partial
messages: the turn's last call then has those of all that nothing is known of.
"""

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any
from weakref import WeakKeyDictionary

from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport
from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import (
    Error,
    InferenceInvocation,
    LocalAgentInvocation,
    ToolInvocation,
)
from opentelemetry.util.genai.types import (
    FunctionToolDefinition,
    InputMessage,
    MessagePart,
    OutputMessage,
    ReasoningPart,
    TextPart,
    ToolCallRequestPart,
    ToolCallResponsePart,
)

from spanlore.instrumentation.native.untold import Untold
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import after, around, before
from spanlore.instrumentation.recovery.failed_tool import as_failed
from spanlore.schemas import semconv

AGENT = "claude"
_PROVIDER = "anthropic"
# Both are needed for the program to trace itself.
_TRACES_ITSELF = ("CLAUDE_CODE_ENABLE_TELEMETRY", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA")
# The model of a message that the program wrote itself, to tell of an error.
_NO_MODEL = "<synthetic>"
_FINISH_REASONS = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_call"}

_handler: TelemetryHandler
_turns: WeakKeyDictionary[Any, "_Turns"] = WeakKeyDictionary()


def wrap(handler: TelemetryHandler) -> None:
    """Watch what the SDK writes to its program and reads from it."""
    global _handler  # noqa: PLW0603  # the library is amended once, whoever traces it
    _handler = handler
    before(SubprocessCLITransport, "write", _written)
    after(SubprocessCLITransport, "read_messages", _watched)
    before(SubprocessCLITransport, "close", _closed)
    with quiet:
        from claude_agent_sdk._internal import sdk_mcp_bridge  # noqa: PLC0415  # of newer versions

        around(sdk_mcp_bridge.SdkMcpBridge, "handle", lambda *_: Untold())


def _written(transport: Any, data: str) -> None:
    """A user's message begins a turn, in the run of whoever sent it."""
    options = transport._options  # noqa: SLF001
    message = json.loads(data)
    if message.get("type") != "user" or _traces_itself(options.env):
        return
    if transport not in _turns:
        _turns[transport] = _Turns(options)
    _turns[transport].hear(_parts(message["message"]["content"]))


def _traces_itself(env: Mapping[str, str]) -> bool:
    said = [env.get(name, os.environ.get(name, "")) for name in _TRACES_ITSELF]
    return all(value.lower() in ("1", "true", "yes", "on") for value in said)


async def _watched(messages: AsyncGenerator[Any, None], transport: Any) -> AsyncIterator[Any]:
    async with aclosing(messages):
        async for message in messages:
            with quiet:
                if (turns := _turns.get(transport)) is not None:
                    turns.see(message)
            yield message


def _closed(transport: Any) -> None:
    if (turns := _turns.pop(transport, None)) is not None:
        turns.end(Error(message="", type=semconv.ERROR_TYPE_OTHER))


class _Turns:
    """The turns of a program: each from what the user said to the result, as the agent's span.

    An agent that a tool of another's is has a conversation and a span of its own, below the tool's.
    Its last answer is told as the end of its task. One in the background goes on when the turn is
    over; when it is done the program begins a turn by itself, which belongs where the last did.
    The program of the SDK 0.2.82 tells nothing of what such an agent does.
    """

    def __init__(self, options: Any) -> None:
        self._with_content = _handler.should_capture_content()
        self._instructions = options.system_prompt
        # By the id of the call of the tool that the agent is; "" is the agent that was asked.
        self._conversations: dict[str, _Conversation] = {}
        self._background: set[str] = set()
        self._error: str | None = None

    def hear(self, parts: Sequence[MessagePart]) -> None:
        """Take what the user says, which begins a turn unless one goes on."""
        if "" not in self._conversations:
            self._begin(context.get_current())
        self._main.hear(InputMessage(role="user", parts=list(parts)), is_task=True)

    def see(self, message: Mapping[str, Any]) -> None:
        """Take a message of the program's."""
        kind = message.get("type")
        if kind == "system":
            self._see_system(message)
        elif kind == "assistant":
            self._see_answer(message)
        elif kind == "user":
            self._see_results(message)
        elif kind == "stream_event":
            self._of(message).see_part(message["event"])
        elif kind == "result":
            self._see_end(message)

    def end(self, error: Error | None) -> None:
        """End all that goes on."""
        self._end_all_but(set(), error)

    def _begin(self, within: Context) -> None:
        self._context = within
        agent = _handler.invoke_local_agent(agent_name=AGENT, context=within)
        self._main = _Conversation(agent, instructions=self._instructions)
        self._conversations = {"": self._main, **self._conversations}

    def _go_on(self) -> None:
        """Begin a turn that nobody asked for: the model is told what it was told before."""
        told = self._main.told
        self._begin(self._context)
        self._main.told = list(told)

    def _see_system(self, message: Mapping[str, Any]) -> None:
        subtype = message.get("subtype")
        if subtype == "init":
            if "" not in self._conversations:
                self._go_on()
            self._main.agent.conversation_id = message["session_id"]
            self._main.model = message["model"]
            self._main.tools = [
                FunctionToolDefinition(name=name, description=None, parameters=None)
                for name in message.get("tools", ())
            ]
            self._main.ask()
        elif subtype == "api_retry":
            self._main.resent()
        elif subtype == "task_started" and message.get("is_backgrounded"):
            self._see_background(message)
        elif subtype == "task_notification":
            self._see_end_of_task(message)

    def _see_background(self, message: Mapping[str, Any]) -> None:
        """An agent in the background begins: its tool is answered before it is."""
        call_id = message.get("tool_use_id") or "-"
        self._background.add(call_id)
        conversation = self._of({**message, "parent_tool_use_id": call_id})
        asked = InputMessage(role="user", parts=_parts(message.get("prompt") or ""))
        conversation.hear(asked, is_task=True)
        conversation.ask()

    def _see_answer(self, message: Mapping[str, Any]) -> None:
        conversation = self._of(message)
        self._error = message.get("error")
        conversation.answer(message["message"], self._error)
        for block in message["message"]["content"]:
            if block["type"] == "tool_use":
                conversation.begin_tool(block)

    def _see_results(self, message: Mapping[str, Any]) -> None:
        conversation, content = self._of(message), message["message"]["content"]
        results = [block for block in content if block["type"] == "tool_result"]
        for block in results:
            self._see_result(block, conversation)
        is_task = not results and conversation is not self._main
        conversation.hear(InputMessage(role="user", parts=_parts(content)), is_task=is_task)
        if (results or is_task) and not conversation.running:
            conversation.ask()

    def _see_result(self, block: Mapping[str, Any], conversation: "_Conversation") -> None:
        tool = conversation.running.pop(block["tool_use_id"], None)
        if tool is None:
            return
        text = _plain(block.get("content")) if self._with_content else ""
        if self._with_content:
            tool.tool_result = block.get("content")
        is_error = block.get("is_error")
        _finish(tool, Error(message=text, type=semconv.ERROR_TYPE_TOOL) if is_error else None)

    def _see_end_of_task(self, message: Mapping[str, Any]) -> None:
        call_id = message.get("tool_use_id") or "-"
        self._background.discard(call_id)
        conversation = self._conversations.pop(call_id, None)
        if conversation is None:
            return
        status, text = message.get("status"), str(message.get("summary") or "")
        conversation.conclude(text)
        told = Error(message=text if self._with_content else "", type=str(status))
        conversation.end(None if status == "completed" else told)

    def _see_end(self, message: Mapping[str, Any]) -> None:
        """The turn is over, with all but what goes on in the background."""
        if "" not in self._conversations:
            return
        text = str(message.get("result") or "") if self._with_content else ""
        total = (message.get("usage") or {}).get("output_tokens") or 0
        self._main.complete(message.get("stop_reason"), total - self._main.output_tokens)
        self._main.answered(text)
        subtype = message.get("subtype")
        named = str(subtype) if subtype != "success" else self._error or semconv.ERROR_TYPE_OTHER
        error = Error(message=text, type=named) if message.get("is_error") else None
        self._end_all_but(self._background, error)

    def _end_all_but(self, kept: AbstractSet[str], error: Error | None) -> None:
        """End what goes on, the inmost first."""
        for call_id in [each for each in reversed(self._conversations) if each not in kept]:
            self._conversations.pop(call_id).end(error)

    def _of(self, message: Mapping[str, Any]) -> "_Conversation":
        """Return the agent's own conversation, or that of an agent that one of its tools is."""
        parent = message.get("parent_tool_use_id") or ""
        if not parent and not self._conversations.get(""):
            self._go_on()
        if parent not in self._conversations:
            running = (each.running.get(parent) for each in self._conversations.values())
            around = next(filter(None, running), self._main.agent)
            agent = _handler.invoke_local_agent(
                agent_name=message.get("subagent_type") or AGENT, context=around.context
            )
            made = self._conversations[parent] = _Conversation(agent)
            made.model = self._main.model
        return self._conversations[parent]


class _Conversation:
    """What a model was told so far, and the call that it is asked in now: of one agent."""

    def __init__(self, agent: LocalAgentInvocation, instructions: Any = None) -> None:
        agent.suspend()
        self.agent = agent
        self.model: str | None = None
        self.tools: Sequence[FunctionToolDefinition] = ()
        self.running: dict[str, ToolInvocation] = {}
        self.output_tokens = 0
        self._with_content = _handler.should_capture_content()
        self._instructions = instructions
        self.told: list[InputMessage] = []
        self._call: InferenceInvocation | None = None
        self._id: str | None = None

    def hear(self, said: InputMessage, *, is_task: bool) -> None:
        """Take what the model is told next; ``is_task``: it is what the agent was asked for."""
        self._settle()
        self.told.append(said)
        if is_task and self._with_content:
            self.agent.input_messages.append(said)

    def begin_tool(self, block: Mapping[str, Any]) -> None:
        self.running[block["id"]] = tool = _handler.tool(
            block["name"],
            agent_name=self.agent.agent_name,
            context=self.agent.context,
            _attach_to_context=False,
        )
        tool.tool_call_id = block["id"]
        if self._with_content:
            tool.arguments = block["input"]

    def conclude(self, text: str) -> None:
        """Take the last answer of an agent, which is not told as one of its model's."""
        if self._call is not None and self._id is None and text and self._with_content:
            self._call.output_messages.append(_said(text))
        self.answered(text)

    def answered(self, text: str) -> None:
        if text and self._with_content:
            self.agent.output_messages = [_said(text)]

    def ask(self) -> InferenceInvocation:
        """Begin a call with all that was told."""
        self._settle()
        call = _handler.inference(
            _PROVIDER,
            request_model=self.model,
            context=self.agent.context,
            _attach_to_context=False,
        )
        if self._with_content:
            call.input_messages = list(self.told)
            call.tool_definitions = self.tools
            if isinstance(self._instructions, str):
                call.system_instruction = [TextPart(content=self._instructions)]
        self._call, self._id = call, None
        return call

    def answer(self, message: Mapping[str, Any], error: str | None) -> None:
        """Take a part of an answer: the program writes one message for each block of it."""
        if self._call is not None and self._id not in (None, message["id"]):
            self._settle()
        call = self._call or self.ask()
        self._id = message["id"]
        call.response_id = message["id"]
        if message["model"] != _NO_MODEL:
            call.response_model_name = message["model"]
            _count(call, message.get("usage") or {})
        if any(block["type"] == "tool_use" for block in message["content"]):
            call.finish_reasons = [_FINISH_REASONS["tool_use"]]
        if not call.output_messages:
            call.output_messages.append(
                OutputMessage(role="assistant", parts=[], finish_reason=None)
            )
        call.output_messages[0].parts += _parts(message["content"])
        if error:
            said = call.output_messages[0].parts if self._with_content else ()
            text = " ".join(part.content for part in said if isinstance(part, TextPart))
            self._end(Error(message=text, type=error))

    def see_part(self, event: Mapping[str, Any]) -> None:
        """Take an event of the stream of an answer, where the program passes them on."""
        if event["type"] == "message_delta" and self._call is not None:
            self._call.output_tokens = event["usage"]["output_tokens"]
            self.output_tokens += event["usage"]["output_tokens"]

    def complete(self, reason: str | None, tokens: int) -> None:
        """Take what the result says of the last call."""
        if self._call is None or self._id is None:
            return
        if reason:
            self._call.finish_reasons = [_FINISH_REASONS.get(reason, reason)]
        if tokens > 0:
            self._call.output_tokens = (self._call.output_tokens or 0) + tokens

    def resent(self) -> None:
        if self._call is not None:
            before_now = self._call.attributes.get(semconv.HTTP_RESEND_COUNT, 0)
            self._call.attributes[semconv.HTTP_RESEND_COUNT] = int(str(before_now)) + 1

    def end(self, error: Error | None) -> None:
        """End the call, the tools and the agent."""
        self._settle()
        self._end(error)
        for tool in self.running.values():
            _finish(tool, error)
        _finish(self.agent, error)

    def _settle(self) -> None:
        """End a call that was answered; one that was only begun is asked with more."""
        if self._id is not None:
            self._end(None)

    def _end(self, error: Error | None) -> None:
        if self._call is None:
            return
        answered = self._call.output_messages
        self.told += [InputMessage(role="assistant", parts=each.parts) for each in answered]
        _finish(self._call, error)
        self._call = self._id = None


def _finish(invocation: Any, error: Error | None) -> None:
    with quiet:
        invocation.fail(error) if error is not None else invocation.stop()


def _said(text: str) -> OutputMessage:
    return OutputMessage(role="assistant", parts=[TextPart(content=text)], finish_reason="stop")


def _count(call: InferenceInvocation, usage: Mapping[str, Any]) -> None:
    """The conventions count what is read from the cache, or written to it, as input."""
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    call.input_tokens = (usage.get("input_tokens") or 0) + read + written
    call.cache_read_input_tokens, call.cache_write_input_tokens = read, written


def _parts(content: Any) -> list[MessagePart]:
    if isinstance(content, str):
        return [TextPart(content=content)]
    return [_PARTS[block["type"]](block) for block in content if block["type"] in _PARTS]


def _result(block: Mapping[str, Any]) -> Any:
    part = ToolCallResponsePart(id=block["tool_use_id"], response=block.get("content"))
    return as_failed(part) if block.get("is_error") else part


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "text": lambda block: TextPart(content=block["text"]),
    "thinking": lambda block: ReasoningPart(content=block["thinking"]),
    "tool_use": lambda block: ToolCallRequestPart(
        id=block["id"], name=block["name"], arguments=block["input"]
    ),
    "tool_result": _result,
}


def _plain(content: Any) -> str:
    texts = (part.content for part in _parts(content or ()) if isinstance(part, TextPart))
    return " ".join(texts)
