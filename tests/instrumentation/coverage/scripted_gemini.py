"""Google's generateContent, whole and streamed, and its embeddings."""

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


def _asked(path: str, body: dict[str, Any]) -> Asked:
    model, _, verb = path.rpartition("/")[2].partition(":")
    parts = [part for content in body.get("contents", ()) for part in content["parts"]]
    declared = [
        each["name"] for tool in body.get("tools", ()) for each in tool["functionDeclarations"]
    ]
    return Asked(
        model=model,
        is_stream=verb.startswith("stream"),
        tool=next(iter(declared), None),
        has_tool_result=any("functionResponse" in part for part in parts),
    )


def _content(asked: Asked, answer: Answer) -> Reply:
    parts: list[dict[str, Any]] = []
    if answer.reasoning:
        parts.append({"text": answer.reasoning, "thought": True})
    if answer.tool:
        call = {"id": "call_1", "name": answer.tool, "args": dict(answer.arguments)}
        parts.append({"functionCall": call})
    else:
        parts.append({"text": answer.text})
    whole = {
        "responseId": "resp_1",
        "modelVersion": f"{asked.model}-1",
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        ],
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS - REASONING_TOKENS,
            "thoughtsTokenCount": REASONING_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }
    return Reply(events=[("", whole)]) if asked.is_stream else Reply(whole)


def _embeddings(asked: Asked, answer: Answer) -> Reply:
    del asked, answer
    return Reply({"embeddings": [{"values": [0.25, 0.5]}]})


# Version 3 of the SDK speaks v1, those before it v1beta.
DOORS = tuple(
    (f"/{version}/models/", f":{verb}", _asked, write)
    for version in ("v1beta", "v1")
    for verb, write in (
        ("generateContent", _content),
        ("streamGenerateContent", _content),
        ("batchEmbedContents", _embeddings),
        ("embedContent", _embeddings),
    )
)
