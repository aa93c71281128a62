"""Write answers as ClickHouse's HTTP server does: headers, packing, errors early and late."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from spanlore.store_server.encodings import encoder
from spanlore.store_server.errors import ClientGoneError, QueryError
from spanlore.store_server.request import Request

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_TAG_CHARACTERS: Final = 16
_SEND_S_MAX: Final = 300.0  # for the client to take one piece of its answer
_CONTENT_TYPES: Final = (
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONStringsEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("CSV", "text/csv; charset=UTF-8"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("XML", "application/xml; charset=UTF-8"),
    ("Markdown", "text/markdown; charset=UTF-8"),
    ("Native", "application/octet-stream"),
    ("RowBinary", "application/octet-stream"),
    ("Arrow", "application/octet-stream"),
    ("Parquet", "application/octet-stream"),
    ("ORC", "application/octet-stream"),
    ("Protobuf", "application/octet-stream"),
)
_PLAIN: Final = "text/plain; charset=UTF-8"

SERVER_NAME: Final = "spanlore"


def content_type(output_format: str) -> str:
    """Give the media type of a ClickHouse format."""
    for start, media_type in _CONTENT_TYPES:
        if output_format.startswith(start):
            return media_type
    return _PLAIN


class Answer:
    """The answer to one request. Exactly one of ``whole``, ``fail`` or ``begin`` starts it."""

    def __init__(self, request: Request, send: Send, *, query_id: str, version: str) -> None:
        self._send = send
        self._version = version
        self._head_only = request.method == "HEAD"
        self._tag = secrets.token_hex(_TAG_CHARACTERS // 2)
        offers = request.headers.get("accept-encoding", "")
        packed = request.flag("enable_http_compression")
        self._encoding, self._encoder = encoder(
            offers if packed else "", native_blocks=request.flag("compress")
        )
        self._headers: Headers = _headers(
            {"X-ClickHouse-Server-Display-Name": SERVER_NAME, "X-ClickHouse-Query-Id": query_id}
        )
        self.begun = False

    def describe(self, *, output_format: str, timezone: str, gives_rows: bool) -> None:
        """Name the format of the rows to come; an answer without rows names none."""
        self._headers += _headers({"X-ClickHouse-Timezone": timezone})
        self._headers += _headers({"X-ClickHouse-Exception-Tag": self._tag})
        self._headers += _headers({"Content-Type": content_type(output_format)})
        if gives_rows:
            self._headers += _headers({"X-ClickHouse-Format": output_format})

    async def whole(self, pieces: Iterable[bytes], *, summary: dict[str, int]) -> None:
        """Send an answer that is complete."""
        data = b"".join(pieces)
        headers = self._headers + _headers({"X-ClickHouse-Summary": _summary_json(summary)})
        if data:
            data, headers = self._packed(data, headers)
        await self._send_all(200, headers, data)

    async def begin(self, *, summary: dict[str, int]) -> None:
        """Send the head of an answer whose length is not known."""
        headers = self._headers + _headers({"X-ClickHouse-Summary": _summary_json(summary)})
        if self._encoding:
            headers += _headers({"Content-Encoding": self._encoding})
        self.begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def piece(self, data: bytes) -> None:
        """Send a part of the answer."""
        await self._body(self._encoder.feed(data), more=True)

    async def end(self) -> None:
        """Send what the encoder still holds, and close the answer."""
        await self._body(self._encoder.finish(), more=False)

    async def fail(self, error: QueryError) -> None:
        """Answer with an error: as status and text, or inside an answer that has begun."""
        if self.begun:
            await self.piece(self._exception_block(error))
            await self.end()
            return
        headers = _headers(
            {
                "Content-Type": _PLAIN,
                "X-ClickHouse-Exception-Code": str(error.code),
                "X-ClickHouse-Exception-Tag": self._tag,
            }
        )
        text = error.text(self._version) + "\n"
        data, headers = self._packed(text.encode(), headers + self._headers[:2])
        await self._send_all(error.status, headers, data)

    def _packed(self, data: bytes, headers: Headers) -> tuple[bytes, Headers]:
        if self._encoding:
            headers = headers + _headers({"Content-Encoding": self._encoding})
        return self._encoder.feed(data) + self._encoder.finish(), headers

    def _exception_block(self, error: QueryError) -> bytes:
        """Frame an error inside a body so that readers who know the tag find it."""
        text = error.text(self._version) + "\n"
        tag = self._tag
        size = len(text.encode())
        return f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n".encode()

    async def _send_all(self, status: int, headers: Headers, data: bytes) -> None:
        headers = headers + _headers({"Content-Length": str(len(data))})
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._body(b"" if self._head_only else data, more=False)

    async def _body(self, data: bytes, *, more: bool) -> None:
        if not data and more:
            return
        message = {"type": "http.response.body", "body": data, "more_body": more}
        try:
            async with asyncio.timeout(_SEND_S_MAX):
                await self._send(message)
        except TimeoutError as error:
            raise ClientGoneError(f"the client read nothing for {_SEND_S_MAX:.0f} s") from error


async def plain(send: Send, status: int, text: str) -> None:
    """Answer with a line of text."""
    data = text.encode()
    headers = _headers({"Content-Type": _PLAIN, "Content-Length": str(len(data))})
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _headers(values: dict[str, str]) -> Headers:
    """Encode headers; what could end a header line early is left out."""
    return [
        (name.encode(), value.translate({10: None, 13: None}).encode("latin-1", "replace"))
        for name, value in values.items()
    ]


def _summary_json(summary: dict[str, int]) -> str:
    return json.dumps({name: str(value) for name, value in summary.items()})
