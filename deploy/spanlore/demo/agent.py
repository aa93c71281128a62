"""The agent: an assistant that arranges meetings, as somebody would write one on the openai SDK.

It keeps its tool definitions in a file of its repository, shows the user a draft before an event
goes into the calendar, and asks spanlore what was learned from earlier runs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from spanlore.demo.office import Office, OfficeError
from spanlore.instrumentation import lessons_for, override, tool

__all__ = ["AGENT", "Agent", "Asker"]

AGENT = "meeting-assistant"
MODEL = "gpt-4o"
INSTRUCTIONS = (
    "You arrange meetings. Look people up, find a time when all are free, create the event, "
    "book a room if one is needed, then invite everybody. Do not ask back."
)
_ANSWERS_MAX = 40
_TOOLS = ("find_contact", "find_free_slots", "create_event", "book_room", "send_invitation")


class Asker(Protocol):
    """The user at the screen."""

    def edit(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """Give back the draft of an event as it should be."""
        ...


class Agent:
    """One conversation with the assistant."""

    def __init__(
        self,
        client: OpenAI,
        office: Office,
        *,
        tools: Sequence[ChatCompletionToolUnionParam],
        asker: Asker,
    ) -> None:
        self._client = client
        self._tools = tools
        self._functions = {name: _function(name, office) for name in _TOOLS}
        self._asker = asker
        # What was learned from earlier runs, and approved, for this user and this task.
        lessons = lessons_for()
        system = f"{INSTRUCTIONS}\n\n{lessons.text}".strip()
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": system}]

    def ask(self, text: str) -> str:
        """Let the assistant work on what the user says; return its answer."""
        self._messages.append({"role": "user", "content": text})
        for _ in range(_ANSWERS_MAX):
            completion = self._client.chat.completions.create(
                model=MODEL,
                messages=cast("list[ChatCompletionMessageParam]", self._messages),
                tools=self._tools,
            )
            message = completion.choices[0].message.model_dump(
                include={"role", "content", "tool_calls"}, exclude_none=True
            )
            self._messages.append(message)
            if "tool_calls" not in message:
                return str(message["content"])
            for call in message["tool_calls"]:
                self._show_draft(call["function"])
                answer = self._carry_out(call["function"])
                self._messages.append(
                    {"role": "tool", "tool_call_id": call["id"], "content": answer}
                )
        raise RuntimeError("the assistant did not come to an end")

    def _show_draft(self, function: dict[str, Any]) -> None:
        """Let the user edit an event before it is created, and keep what they made of it."""
        if function["name"] != "create_event":
            return
        draft = json.loads(function["arguments"])
        edited = self._asker.edit(draft)
        for name in draft:
            if edited[name] != draft[name]:
                override(
                    tool="create_event",
                    field=f"/{name}",
                    original=draft[name],
                    replacement=edited[name],
                )
        function["arguments"] = json.dumps(edited)

    def _carry_out(self, function: Mapping[str, Any]) -> str:
        """Call a tool; return what it gave as JSON, or the text of its error."""
        try:
            answer = self._functions[function["name"]](**json.loads(function["arguments"]))
        except OfficeError as error:
            return str(error)
        return json.dumps(answer)


def _function(name: str, office: Office) -> Callable[..., dict[str, Any]]:
    @tool(name=name)
    def call(**arguments: Any) -> dict[str, Any]:
        return office.call(name, arguments)

    return call
