"""An OpenAI-compatible server on loopback with the scripted model behind it.

`python -m spanlore.demo.model_server --port 0 --seed 7` prints one line, {"ready": true,
"port": N}, and serves POST /v1/chat/completions until SIGTERM or the end of its stdin, so that it
never outlives whoever holds the other end.
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from threading import Thread
from typing import Any

import uvicorn

from spanlore.demo.model import Reply, reply

__all__ = ["app_for", "completion", "main"]

_PATH = "/v1/chat/completions"
_BODY_BYTES_MAX = 4 << 20
_CHARACTERS_A_TOKEN = 4

Message = dict[str, Any]
App = Callable[
    [Mapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


def completion(request: Mapping[str, Any], body: bytes, *, seed: int) -> dict[str, Any]:
    """Answer a chat request, whose JSON is ``body``, in the API's form."""
    answer = reply(request, seed=seed)
    digest = hashlib.sha256(body).hexdigest()
    message = _message(answer, digest)
    prompt = len(body) // _CHARACTERS_A_TOKEN
    said = len(json.dumps(message)) // _CHARACTERS_A_TOKEN
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls" if answer.calls else "stop",
                "message": message,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
    }


def app_for(seed: int) -> App:
    """Return the server as an ASGI application."""

    async def app(
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        status, document = await _answered(scope, receive, seed=seed)
        body = json.dumps(document).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _answered(
    scope: Mapping[str, Any], receive: Callable[[], Awaitable[Message]], *, seed: int
) -> tuple[int, dict[str, Any]]:
    if (scope["method"], scope["path"]) != ("POST", _PATH):
        return 404, _error(f"there is nothing here but POST {_PATH}")
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect" or len(body) > _BODY_BYTES_MAX:
            return 413, _error(f"a request has at most {_BODY_BYTES_MAX} bytes")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        return 200, completion(json.loads(body), body, seed=seed)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return 400, _error(f"the scripted model does not understand this: {error!r}")


def _message(answer: Reply, digest: str) -> dict[str, Any]:
    if not answer.calls:
        return {"role": "assistant", "content": answer.text}
    calls = [
        {
            "id": f"call_{digest[:12]}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for number, call in enumerate(answer.calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _error(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error"}}


async def _serve(port: int, seed: int) -> None:
    # A socket of our own, because its port is said before anything is asked; it names its protocol
    # because asyncio turns Nagle's delay off for no other.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()  # who reads the ready line may ask at once
        config = uvicorn.Config(
            app_for(seed),
            interface="asgi3",
            lifespan="off",
            log_level="error",
            access_log=False,
            ws="none",
        )
        print(json.dumps({"ready": True, "port": listening.getsockname()[1]}), flush=True)  # noqa: T201 - the ready line
        server = uvicorn.Server(config)
        Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
        await server.serve(sockets=[listening])


def _end_with_stdin(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.should_exit = True


def main() -> None:
    """Serve until SIGTERM or the end of stdin."""
    parser = argparse.ArgumentParser(description="A scripted model behind OpenAI's chat API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.seed))


if __name__ == "__main__":
    main()
