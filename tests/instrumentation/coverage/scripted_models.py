"""A model server on loopback that speaks four APIs by one script.

They are OpenAI's, Anthropic's, Google's and Amazon Bedrock's.

What a model answers is in its name and in the request: ``busy-*`` is too busy once and asks to
come back at once, ``refused-*`` refuses, ``thinking-*`` reasons first, ``background-*`` does not
wait for an agent that it asks. A model that is given tools calls the first, and answers when it has
the result. Ids and token counts are always the same.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.instrumentation.coverage import (
    scripted_anthropic,
    scripted_bedrock,
    scripted_gemini,
    scripted_openai,
)
from tests.instrumentation.coverage.answers import Answer, Asked, Reply
from tests.instrumentation.loopback_server import Quiet, serving

# Claude Code's own tool, by which an agent hands a task to another.
_TO_HELPER = {
    "description": "Ask.",
    "prompt": "Is it sunny?",
    "subagent_type": "helper",
}
_TO_AGENTS = ("Agent", "Task")
_AMAZON_ERRORS = {400: "ValidationException", 429: "ThrottlingException"}
DOORS = (
    *scripted_openai.DOORS,
    *scripted_anthropic.DOORS,
    *scripted_gemini.DOORS,
    *scripted_bedrock.DOORS,
)


@dataclass(slots=True)
class ScriptedModels:
    """Where the models are, as the SDKs' environment variables, and what they were ``asked``."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": "of-nobody",
            "OPENAI_AGENTS_DISABLE_TRACING": "",
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "of-nobody",
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "GEMINI_API_KEY": "of-nobody",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-nobody",
            "AWS_SECRET_ACCESS_KEY": "of-nobody",
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def scripted_models() -> Iterator[ScriptedModels]:
    """Serve while the block runs."""
    lock, were_busy, models = threading.Lock(), set[str](), ScriptedModels("")

    class Door(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the library calls it so
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for prefix, suffix, read, write in DOORS:
                path = self.path.partition("?")[0]
                if path.startswith(prefix) and path.endswith(suffix):
                    asked = read(path, body)
                    models.asked.append(asked)
                    self.send(_refusal(asked) or write(asked, _answer(asked)))
                    return
            self.send(Reply({"error": {"message": f"no script for {self.path}"}}, status=404))

        def send(self, reply: Reply) -> None:
            text = reply.content()
            self.send_response(reply.status)
            self.send_header("content-type", reply.kind())
            self.send_header("content-length", str(len(text)))
            self.send_header("retry-after-ms", "1")
            self.send_header("request-id", "req_1")
            self.send_header("x-amzn-errortype", _AMAZON_ERRORS.get(reply.status, ""))
            self.end_headers()
            self.wfile.write(text)

    def _refusal(asked: Asked) -> Reply | None:
        if asked.script.startswith("refused"):
            return _error(400, "invalid_request_error", "refused by the script")
        with lock:
            if asked.script.startswith("busy") and asked.model not in were_busy:
                were_busy.add(asked.model)
                return _error(429, "rate_limit_error", "busy by the script")
        return None

    with serving(Door) as models.url:
        yield models


def _answer(asked: Asked) -> Answer:
    if asked.tool is not None and not asked.has_tool_result:
        return Answer(tool=asked.tool, arguments=_arguments(asked))
    reasoning = "It is short." if asked.script.startswith("thinking") else None
    return Answer(text="It is sunny.", reasoning=reasoning)


def _arguments(asked: Asked) -> Mapping[str, Any]:
    if asked.tool not in _TO_AGENTS:
        return {"city": "Paris"}
    return {**_TO_HELPER, "run_in_background": asked.script.startswith("background")}


def _error(status: int, kind: str, message: str) -> Reply:
    body: Mapping[str, Any] = {
        "type": "error",
        "error": {"type": kind, "message": message, "code": status, "status": kind},
    }
    return Reply(body, status=status)
