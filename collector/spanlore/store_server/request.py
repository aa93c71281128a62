"""An HTTP request as ClickHouse's clients write it, read into values. Pure."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from email.policy import compat32
from typing import Final
from urllib.parse import parse_qsl

from spanlore.schemas.empty_answer import BARE, EMPTY_ANSWER
from spanlore.store_server.errors import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    UNKNOWN_FORMAT,
    QueryError,
)
from spanlore.store_server.statement import Caller, Surroundings

# Parameters that speak to the transport; every other one is a setting. As ClickHouse's
# HTTPHandler and clickhouse-connect's CHDB_TRANSPORT_SETTINGS.
_TRANSPORT: Final = frozenset(
    {
        "add_http_cors_header",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "network_compression_method",
        "network_zstd_compression_level",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
_TRANSPORT_PREFIX: Final = "http_"
# Each insert is one file and one answer, so there is nothing to gather or to wait for later.
_IGNORED: Final = frozenset(
    {"async_insert", "wait_for_async_insert", "async_insert_busy_timeout_ms"}
    | {"async_insert_max_data_size", "async_insert_deduplicate"}
)
_WORD: Final = re.compile(r"\w+", re.ASCII)
_PARAMETER_PREFIX: Final = "param_"
_SESSION_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request: method, path, query parameters and lower-case headers."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, method: str, path: str, *, query: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> "Request":
        """Read an ASGI scope's parts; a parameter given twice counts the last time."""
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
        return cls(
            method,
            path,
            dict(pairs),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers},
        )

    def flag(self, name: str) -> bool:
        """Tell whether a parameter is switched on."""
        return self.params.get(name, "0").lower() in {"1", "true"}

    @property
    def login(self) -> tuple[str, str]:
        """Give (user, password) from ClickHouse's headers, Basic, or the parameters."""
        if "x-clickhouse-user" in self.headers or "x-clickhouse-key" in self.headers:
            user = self.headers.get("x-clickhouse-user", "default")
            return user, self.headers.get("x-clickhouse-key", "")
        if "authorization" in self.headers:
            return _basic(self.headers["authorization"])
        return self.params.get("user", "default"), self.params.get("password", "")

    @property
    def content_type(self) -> str:
        """Give the media type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def with_form(self, body: bytes) -> "Request":
        """Take the fields of a multipart body as parameters; raises QueryError for files."""
        fields = _form_fields(self.headers["content-type"], body)
        return replace(self, params={**self.params, **fields})

    def surroundings(self, caller: Caller) -> Surroundings:
        """Sort the parameters into what the engine needs; raises QueryError."""
        params, headers = self.params, self.headers
        default_format = params.get("default_format") or headers.get("x-clickhouse-format", "")
        _check_text(params)
        if default_format and not _WORD.fullmatch(default_format):
            raise QueryError(UNKNOWN_FORMAT, f"Unknown format {default_format!r}")
        session_id = params.get("session_id", "")
        return Surroundings(
            caller=caller,
            readonly=self.method != "POST",
            database=params.get("database") or headers.get("x-clickhouse-database", ""),
            default_format=default_format,
            settings={name: value for name, value in params.items() if _is_setting(name)},
            parameters={
                name.removeprefix(_PARAMETER_PREFIX): value
                for name, value in params.items()
                if name.startswith(_PARAMETER_PREFIX)
            },
            session_id=f"{caller.user}\0{session_id}" if session_id else "",
            session_timeout_s=_number(params, "session_timeout", _SESSION_TIMEOUT_S),
            native_revision=int(_number(params, "client_protocol_version", 0)),
            names_columns=headers.get(EMPTY_ANSWER.lower()) != BARE,
        )


def _check_text(params: Mapping[str, str]) -> None:
    for name, value in params.items():
        if name == "query":
            continue  # may carry data behind its statement
        try:
            (name + value).encode()
        except UnicodeEncodeError as error:
            raise QueryError(BAD_ARGUMENTS, "a URL parameter is not UTF-8") from error


def _is_setting(name: str) -> bool:
    return not (
        name in _TRANSPORT
        or name in _IGNORED
        or name.startswith((_TRANSPORT_PREFIX, _PARAMETER_PREFIX))
    )


def _number(params: Mapping[str, str], name: str, default: float) -> float:
    text = params.get(name, "")
    if not text:
        return default
    try:
        return float(int(text))
    except ValueError as error:
        raise QueryError(BAD_ARGUMENTS, f"{name} is not a number: {text!r}") from error


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, data = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "default", ""
    try:
        user, _, password = base64.b64decode(data, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "default", ""
    return user, password


def _form_fields(content_type: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    # The policy for today's mail reads a header ten times slower, and a form has two a field.
    message = BytesParser(policy=compat32).parsebytes(head + body)
    fields: dict[str, str] = {}
    for part in message.walk():
        if part.get_filename() is not None:
            raise QueryError(NOT_IMPLEMENTED, "external tables are not supported: insert the data")
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace")
    return fields
