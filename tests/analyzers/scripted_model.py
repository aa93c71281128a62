"""A server on loopback with a scripted model behind OpenAI's and Anthropic's APIs."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from spanlore.analyzers.models.settings import ModelSettings
from tests.instrumentation.loopback_server import Quiet, serving

KEY = "sk-of-nobody-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as the model sees it: the system text and the turns, whatever the API."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    system: str
    turns: list[tuple[str, str]]

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answers: a model's text, or a status, or a body of its own."""

    text: str = ""
    status: int = 200
    refusal: bool = False
    body: bytes | None = None
    wait_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class ScriptedModel:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def settings(self, provider: str, **changes: Any) -> ModelSettings:
        values = {"timeout_s": 10.0, "retries_max": 2, **changes}
        base_url = f"{self.url}/v1" if provider == "openai" else self.url
        return ModelSettings(
            provider=provider, model="scripted-1", base_url=base_url, api_key=KEY, **values
        )

    def environment(self, provider: str) -> dict[str, str]:
        settings = self.settings(provider)
        return {
            "SPANLORE_MODEL_PROVIDER": provider,
            "SPANLORE_MODEL": settings.model,
            "SPANLORE_MODEL_BASE_URL": settings.base_url,
            "SPANLORE_MODEL_API_KEY": KEY,
        }


@contextmanager
def scripted_model(script: Callable[[Asked], Reply]) -> Iterator[ScriptedModel]:
    """Serve the script; ``asked`` are the requests in the order they came."""
    state = ScriptedModel()

    class Door(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the library calls it so
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked = _asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            state.asked.append(asked)
            reply = script(asked)
            time.sleep(reply.wait_s)
            answer = _document(asked, reply) if reply.body is None else reply.body
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked may have gone
                self.wfile.write(answer)

    with serving(Door) as state.url:
        yield state


def _asked(path: str, headers: dict[str, str], body: dict[str, Any]) -> Asked:
    turns = [(one["role"], one["content"]) for one in body["messages"]]
    system = body.get("system") or "".join(text for role, text in turns if role == "system")
    turns = [(role, text) for role, text in turns if role != "system"]
    return Asked(path=path, headers=headers, body=body, system=system, turns=turns)


def _document(asked: Asked, reply: Reply) -> bytes:
    if reply.status != 200:
        error = {"message": reply.text, "type": "scripted"}
        return json.dumps({"type": "error", "error": error}).encode()
    if asked.path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": reply.text}
        if reply.refusal:
            message |= {"content": "", "refusal": "I cannot help with that."}
        document = {
            "id": "reply-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted-1-2026",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
        }
    else:
        document = {
            "id": "reply-1",
            "type": "message",
            "role": "assistant",
            "model": "scripted-1-2026",
            "content": [{"type": "text", "text": reply.text}],
            "stop_reason": "refusal" if reply.refusal else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 4},
        }
    return json.dumps(document).encode()
