"""A server on loopback that speaks as much of OpenAI's chat API as an agent needs, scripted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.instrumentation.loopback_server import Quiet, serving


@dataclass(slots=True)
class FakeOpenAI:
    """``asked`` are the requests; with ``status`` it answers as one that fails."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200


def environment(server: FakeOpenAI) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "of-nobody"}


@contextmanager
def fake_openai() -> Iterator[FakeOpenAI]:
    state = FakeOpenAI()

    class Door(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the library calls it so
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.asked.append(request)
            body = json.dumps(_reply(request) if state.status == 200 else {"error": {}}).encode()
            self.send_response(state.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Door) as state.url:
        yield state


def _reply(request: dict[str, Any]) -> dict[str, Any]:
    """Call the first tool once, then say that it is booked."""
    tools, last = request.get("tools"), request["messages"][-1]
    message: dict[str, Any] = {"role": "assistant", "content": "It is booked."}
    if tools and last["role"] == "user":
        arguments = {"title": last["content"], "start": "09:00"}
        function = {"name": tools[0]["function"]["name"], "arguments": json.dumps(arguments)}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    return {
        "id": "reply-1",
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
                "message": message,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
    }
