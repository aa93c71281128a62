"""What the HTTP door answers: OTLP in the request's own encoding, words as text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from spanlore.collector.otlp_json import to_json
from spanlore.collector.refusal import Code, Refused, retry_after_header, status

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: status, body, its content type and further headers."""

    status: HTTPStatus
    body: bytes
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """Give a request's content type in small letters, without its parameters."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


def refusal(refused: Refused, media: str) -> Answer:
    """Answer with `google.rpc.Status` in the request's encoding; as text where it has none."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if refused.code is Code.UNAUTHENTICATED:
        headers = ((b"www-authenticate", b"Bearer"),)
    if refused.retryable:
        headers = ((b"retry-after", retry_after_header(refused).encode()),)
    if media == PROTOBUF:
        body = status(refused).SerializeToString()
    elif media == JSON:
        body = to_json(status(refused))
    else:
        return text(refused.http_status, refused.message, *headers)
    return Answer(status=refused.http_status, body=body, content_type=media, headers=headers)


def text(code: HTTPStatus, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Answer with a line of text."""
    return Answer(status=code, body=f"{message}\n".encode(), content_type=_TEXT, headers=headers)


def document(value: Mapping[str, Any]) -> Answer:
    """Answer with a JSON document."""
    return Answer(status=HTTPStatus.OK, body=json.dumps(value).encode(), content_type=JSON)
