"""OpenAI's chat completions, responses, embeddings, and completions of a text."""

import json
from typing import Any

from tests.instrumentation.coverage.answers import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Answer,
    Asked,
    Reply,
)

# What a response has always, with a value or without: some clients insist.
_EMPTY = (
    *("error", "incomplete_details", "instructions", "max_output_tokens", "metadata"),
    *("previous_response_id", "reasoning", "temperature", "text", "top_p", "truncation", "user"),
)


def _asked(path: str, body: dict[str, Any]) -> Asked:
    del path
    said = body.get("messages", body.get("input", []))
    tools = [tool.get("function", tool)["name"] for tool in body.get("tools", ())]
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        tool=next(iter(tools), None),
        has_tool_result=any(
            isinstance(each, dict)
            and (each.get("role") == "tool" or each.get("type") == "function_call_output")
            for each in said
        ),
    )


def _chat(asked: Asked, answer: Answer) -> Reply:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool:
        function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    reason = "tool_calls" if answer.tool else "stop"
    whole = {"id": "chat_1", "created": 1, "model": f"{asked.model}-1"}
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    }
    if not asked.is_stream:
        choice = {"index": 0, "finish_reason": reason, "message": message}
        return Reply({**whole, "object": "chat.completion", "choices": [choice], "usage": usage})
    for index, call in enumerate(message.get("tool_calls", ())):
        call["index"] = index
    part = {**whole, "object": "chat.completion.chunk"}
    chunks: list[dict[str, Any]] = [
        {**part, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {**part, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {**part, "choices": [], "usage": usage},
    ]
    return Reply(events=[("", chunk) for chunk in chunks] + [("", "[DONE]")])


def _response(asked: Asked, answer: Answer) -> Reply:
    output: list[dict[str, Any]] = []
    if answer.reasoning:
        # As compatible servers write it: OpenAI's own carries a status.
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if answer.tool:
        call = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        output.append(
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
            | call
        )
    else:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        output.append(
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
            | {"content": content}
        )
    done: dict[str, Any] = {
        **dict.fromkeys(_EMPTY),
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": f"{asked.model}-1",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "output_tokens": OUTPUT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        },
    }
    if not asked.is_stream:
        return Reply(done)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": answer.text}
        | {"output_index": 0, "content_index": 0, "logprobs": []},
        {"type": "response.completed", "response": done},
    ]
    return Reply(
        events=[(each["type"], {**each, "sequence_number": n}) for n, each in enumerate(events)]
    )


def _text(asked: Asked, answer: Answer) -> Reply:
    choice = {"index": 0, "text": answer.text, "finish_reason": "stop", "logprobs": None}
    whole = {"id": "text_1", "object": "text_completion", "created": 1}
    whole |= {"model": f"{asked.model}-1", "choices": [choice]}
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    if not asked.is_stream:
        return Reply({**whole, "usage": usage})
    chunks = [whole, {**whole, "choices": [], "usage": usage}]
    return Reply(events=[("", chunk) for chunk in chunks] + [("", "[DONE]")])


def _embeddings(asked: Asked, answer: Answer) -> Reply:
    del answer
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
    usage = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}
    return Reply({"object": "list", "model": asked.model, "data": data, "usage": usage})


DOORS = (
    ("/v1/chat", "/completions", _asked, _chat),
    ("/v1", "/completions", _asked, _text),
    ("/v1", "/responses", _asked, _response),
    ("/v1", "/embeddings", _asked, _embeddings),
)
