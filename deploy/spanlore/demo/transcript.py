"""A conversation as it is recorded: messages with the time and the tokens of each."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from spanlore.demo.office import Answer

__all__ = ["Transcript", "compact"]

_CHARACTERS_A_TOKEN = 4
_FIRST_TOKEN_MS = (350, 900)
_TOKEN_MS = 11
_SHORTEST_ANSWER_TOKENS = 12


class Transcript:
    """The messages of one run, in OpenAI's form; ``now`` is the time of the last."""

    def __init__(
        self, random: Random, *, run_id: str, started_at: datetime, tools: Sequence[Any]
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.now = started_at
        self._random = random
        self._run_id = run_id
        self._calls = 0
        self._read_characters = len(compact(tools))

    def instruct(self, text: str) -> None:
        """Record the system message."""
        self._add({"role": "system", "content": text})

    def ask(self, text: str) -> None:
        """Record what the user says."""
        self._add({"role": "user", "content": text, "timestamp": self._time()})

    def call(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Record that the model calls a tool."""
        self._calls += 1
        function = {"name": tool, "arguments": json.dumps(arguments, ensure_ascii=False)}
        call = {"id": self._call_id(), "type": "function", "function": function}
        self._answer({"role": "assistant", "content": None, "tool_calls": [call]})

    def hear(self, answer: Answer) -> None:
        """Record what the tool answers to the last call."""
        self.now += timedelta(milliseconds=answer.took_ms)
        message = {"role": "tool", "tool_call_id": self._call_id(), "content": answer.text}
        failed = {"is_error": True} if answer.is_error else {}
        self._add({**message, **failed, "timestamp": self._time()})

    def say(self, text: str) -> None:
        """Record the model's answer to the user."""
        self._answer({"role": "assistant", "content": text})

    def _answer(self, message: dict[str, Any]) -> None:
        """Record a message of the model, which read everything before it."""
        tokens = max(len(compact(message)) // _CHARACTERS_A_TOKEN, _SHORTEST_ANSWER_TOKENS)
        usage = {
            "prompt_tokens": self._read_characters // _CHARACTERS_A_TOKEN,
            "completion_tokens": tokens,
        }
        took_ms = self._random.randrange(*_FIRST_TOKEN_MS) + tokens * _TOKEN_MS
        self.now += timedelta(milliseconds=took_ms)
        self._add({**message, "timestamp": self._time(), "usage": usage})

    def _add(self, message: dict[str, Any]) -> None:
        said = {key: message.get(key) for key in ("role", "content", "tool_calls")}
        self._read_characters += len(compact(said))
        self.messages.append(message)

    def _call_id(self) -> str:
        return f"call_{self._run_id}_{self._calls}"

    def _time(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    """Return a value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
