"""What a model can know: one chat request, read into what was asked, called and answered."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.schemas.semconv import MEMORY_BEGIN, MEMORY_END

__all__ = ["Call", "Conversation"]

_REMEMBERED = re.compile(f"{re.escape(MEMORY_BEGIN)}(.*?){re.escape(MEMORY_END)}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that was answered; ``turn`` counts what the user had said before it, from 1.

    ``result`` is what it gave, None where it failed and ``answer`` says how.
    """

    name: str
    arguments: Mapping[str, Any]
    answer: str
    result: Mapping[str, Any] | None
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A chat request: ``said`` is what the user said, ``remembered`` the lines of memory.

    ``tools`` holds the definition of each tool by its name.
    """

    said: tuple[str, ...]
    remembered: tuple[str, ...]
    tools: Mapping[str, Mapping[str, Any]]
    calls: tuple[Call, ...]

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> "Conversation":
        """Read the body of a request for a chat completion. Raises ValueError, KeyError."""
        messages = request["messages"]
        texts = [str(one["content"]) for one in messages if one["role"] == "system"]
        found = _REMEMBERED.findall("\n".join(texts))
        lines = [line.strip() for text in found for line in text.splitlines()]
        return cls(
            said=tuple(str(one["content"]) for one in messages if one["role"] == "user"),
            remembered=tuple(line[2:] for line in lines if line.startswith("- ")),
            tools={one["function"]["name"]: one["function"] for one in request.get("tools", ())},
            calls=tuple(_calls(messages)),
        )

    @property
    def asked(self) -> str:
        """What the user asked for in the first place."""
        return self.said[0] if self.said else ""

    @property
    def turn(self) -> int:
        """How often the user has spoken."""
        return len(self.said)

    def properties(self, tool: str) -> Mapping[str, Mapping[str, Any]]:
        """Return argument -> its JSON Schema, as the tool's definition has it."""
        found: Mapping[str, Mapping[str, Any]] = self.tools[tool]["parameters"]["properties"]
        return found

    def done(self, tool: str, *values: object) -> Call | None:
        """Return the last call of a tool that worked, with these values among its arguments."""
        for call in reversed(self.calls):
            given = call.arguments.values()
            if (
                call.name == tool
                and call.result is not None
                and all(one in given for one in values)
            ):
                return call
        return None

    def failed(self, tool: str, value: object = None) -> list[Call]:
        """Return the calls of a tool that failed, with the value as any of their arguments."""
        return [
            call
            for call in self.calls
            if call.name == tool
            and call.result is None
            and (value is None or value in call.arguments.values())
        ]


def _calls(messages: Sequence[Mapping[str, Any]]) -> list[Call]:
    answers = {one["tool_call_id"]: one["content"] for one in messages if one["role"] == "tool"}
    found, turn = [], 0
    for message in messages:
        turn += message["role"] == "user"
        for call in message.get("tool_calls") or ():
            function, answer = call["function"], str(answers[call["id"]])
            found.append(
                Call(
                    name=function["name"],
                    arguments=json.loads(function["arguments"]),
                    answer=answer,
                    result=_result(answer),
                    turn=turn,
                )
            )
    return found


def _result(answer: str) -> Mapping[str, Any] | None:
    """Read what a tool gave: an object; anything else is the text of an error."""
    try:
        found = json.loads(answer)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
