"""Amazon Bedrock's Converse, and InvokeModel with a model that speaks Anthropic's messages."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.instrumentation.coverage import scripted_anthropic
from tests.instrumentation.coverage.answers import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Answer,
    Asked,
    Reply,
)

_USAGE = {
    "inputTokens": INPUT_TOKENS - CACHED_TOKENS,
    "outputTokens": OUTPUT_TOKENS,
    "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "cacheReadInputTokens": CACHED_TOKENS,
    "cacheWriteInputTokens": 0,
}
_METRICS = {"latencyMs": 1}
_A_STRING = 7  # the type of a header's value


def _asked(path: str, body: dict[str, Any]) -> Asked:
    parts = [part for message in body["messages"] for part in message["content"]]
    tools = body.get("toolConfig", {}).get("tools", ())
    return Asked(
        model=_model(path),
        is_stream=path.endswith("-stream"),
        tool=next((tool["toolSpec"]["name"] for tool in tools), None),
        has_tool_result=any("toolResult" in part for part in parts),
    )


def _model(path: str) -> str:
    return unquote(path.split("/")[2])


def _converse(asked: Asked, answer: Answer) -> Reply:
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        text = {"text": answer.reasoning, "signature": "s"}
        content.append({"reasoningContent": {"reasoningText": text}})
    if answer.tool:
        call = {"toolUseId": "tooluse_1", "name": answer.tool, "input": dict(answer.arguments)}
        content.append({"toolUse": call})
    else:
        content.append({"text": answer.text})
    reason = "tool_use" if answer.tool else "end_turn"
    if asked.is_stream:
        return _stream(
            ("messageStart", {"role": "assistant"}),
            *_blocks(content),
            ("messageStop", {"stopReason": reason}),
            ("metadata", {"usage": _USAGE, "metrics": _METRICS}),
        )
    message = {"role": "assistant", "content": content}
    return Reply(
        {
            "output": {"message": message},
            "stopReason": reason,
            "usage": _USAGE,
            "metrics": _METRICS,
        }
    )


def _blocks(content: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, block in enumerate(content):
        if call := block.get("toolUse"):
            start = {"toolUse": {key: call[key] for key in ("toolUseId", "name")}}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
            delta: dict[str, Any] = {"toolUse": {"input": json.dumps(call["input"])}}
        elif thought := block.get("reasoningContent"):
            delta = {"reasoningContent": {"text": thought["reasoningText"]["text"]}}
        else:
            delta = block
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}


def _asked_to_invoke(path: str, body: dict[str, Any]) -> Asked:
    is_stream = path.endswith("-stream")
    return scripted_anthropic.asked(path, {**body, "model": _model(path), "stream": is_stream})


def _invoke(asked: Asked, answer: Answer) -> Reply:
    reply = scripted_anthropic.message(asked, answer)
    if not asked.is_stream:
        return reply
    return _stream(
        *(
            ("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})
            for _, event in reply.events
        )
    )


def _embed(asked: Asked, answer: Answer) -> Reply:
    del asked, answer
    return Reply({"embedding": [0.25, 0.5], "inputTextTokenCount": INPUT_TOKENS})


def _stream(*events: tuple[str, dict[str, Any]]) -> Reply:
    """Return events in Amazon's binary frames."""
    raw = b"".join(_frame(kind, json.dumps(event).encode()) for kind, event in events)
    return Reply(raw=raw, content_type="application/vnd.amazon.eventstream")


def _frame(kind: str, payload: bytes) -> bytes:
    said = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_header(name, value) for name, value in said.items())
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return head + struct.pack(">I", zlib.crc32(head))


def _header(name: str, value: str) -> bytes:
    given = value.encode()
    return bytes([len(name)]) + name.encode() + struct.pack(">BH", _A_STRING, len(given)) + given


DOORS = (
    ("/model/", "/converse", _asked, _converse),
    ("/model/", "/converse-stream", _asked, _converse),
    (
        "/model/amazon.titan-embed",
        "/invoke",
        lambda path, _: Asked(model=_model(path)),
        _embed,
    ),
    ("/model/", "/invoke", _asked_to_invoke, _invoke),
    ("/model/", "/invoke-with-response-stream", _asked_to_invoke, _invoke),
)
