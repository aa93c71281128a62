"""What the scripted models are asked and what they answer, whichever API it goes through."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INPUT_TOKENS = 11
CACHED_TOKENS = 3
OUTPUT_TOKENS = 7
REASONING_TOKENS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request; ``tool`` is the first tool that the model may call."""

    model: str
    is_stream: bool = False
    tool: str | None = None
    has_tool_result: bool = False

    @property
    def script(self) -> str:
        """The model's name; CrewAI takes those alone that sound like OpenAI's for OpenAI's."""
        return self.model.removeprefix("gpt-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A text, or a call of a tool."""

    text: str = ""
    reasoning: str | None = None
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response: a JSON document, the events of a stream as (name, data), or ``raw``."""

    body: Mapping[str, Any] | None = None
    status: int = 200
    events: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    raw: bytes | None = None
    content_type: str = ""

    def kind(self) -> str:
        default = "text/event-stream" if self.body is None else "application/json"
        return self.content_type or default

    def content(self) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.body is not None:
            return json.dumps(self.body).encode()
        return "".join(_event(name, data) for name, data in self.events).encode()


def _event(name: str, data: Mapping[str, Any] | str) -> str:
    written = data if isinstance(data, str) else json.dumps(data)
    return f"event: {name}\ndata: {written}\n\n" if name else f"data: {written}\n\n"
