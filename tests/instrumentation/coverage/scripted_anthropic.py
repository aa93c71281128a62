"""Anthropic's messages."""

import json
from typing import Any

from tests.instrumentation.coverage.answers import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Answer,
    Asked,
    Reply,
)


def asked(path: str, body: dict[str, Any]) -> Asked:
    del path
    parts = [part for message in body["messages"] for part in message["content"]]
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        tool=next((tool["name"] for tool in body.get("tools", ())), None),
        has_tool_result=any(
            isinstance(part, dict) and part["type"] == "tool_result" for part in parts
        ),
    )


def message(asked: Asked, answer: Answer) -> Reply:
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "s"})
    if answer.tool:
        call_id = "toolu_0" if answer.tool in ("Agent", "Task") else "toolu_1"
        call = {"id": call_id, "name": answer.tool, "input": dict(answer.arguments)}
        content.append({"type": "tool_use", **call})
    else:
        content.append({"type": "text", "text": answer.text})
    reason = "tool_use" if answer.tool else "end_turn"
    usage = {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
        "cache_read_input_tokens": CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "output_tokens": OUTPUT_TOKENS,
    }
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{asked.model}-1",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return _stream(whole) if asked.is_stream else Reply(whole)


def _stream(whole: dict[str, Any]) -> Reply:
    usage = {**whole["usage"], "output_tokens": 1}  # by then
    begun = {**whole, "content": [], "stop_reason": None, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(whole["content"]):
        first, delta = _in_parts(block)
        events += [
            {"type": "content_block_start", "index": index, "content_block": first},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": OUTPUT_TOKENS}
    events += [
        {"type": "message_delta", "delta": delta, "usage": usage},
        {"type": "message_stop"},
    ]
    return Reply(events=[(each["type"], each) for each in events])


def _in_parts(block: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        return {**block, "input": {}}, {"type": "input_json_delta", "partial_json": text}
    key = block["type"]  # "text" or "thinking": the field is named as the type is
    return {**block, key: ""}, {"type": f"{key}_delta", key: block[key]}


DOORS = (("/v1", "/messages", asked, message),)
