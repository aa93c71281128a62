"""A request, read within bounds: its parameters, its body, and the values they name."""

import asyncio
import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from spanlore.review.memories import Identity
from spanlore.review.refusal import Refused, bad_request
from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.semconv import DEFAULT_TENANT

__all__ = [
    "BODY_BYTES_MAX",
    "Disconnected",
    "Request",
    "read_body",
    "trace_id",
    "who",
    "whole_number",
]

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
_BODY_S_MAX: Final = 30.0
_PARAMETERS_MAX: Final = 64
_PARAMETER_CHARACTERS_MAX: Final = 1_024
_BY_CHARACTERS_MAX: Final = 200
_DEPTH_MAX: Final = 32
_BUDGET_TOKENS_DEFAULT: Final = 1_000
_BUDGET_TOKENS_MAX: Final = 100_000
_SEGMENT: Final = "segment."
_IDENTITY: Final = frozenset({"user", "tenant", "agent", "task", "budget_tokens", "trace_id"})
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_NO_TRACE: Final = "0" * 32

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: ``path`` is unquoted, header names are lower case, ``named`` is from the path.

    ``tenant`` is the one whose memories it may ask for, and whose users it may erase.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    peer: str
    named: Mapping[str, str]
    body: bytes = b""
    tenant: str = EVERY_TENANT

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> "Request":
        """Read an ASGI scope."""
        pairs = ((k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"])
        client = scope.get("client")
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            headers=dict(pairs),
            peer=client[0] if client else "",
            named={},
        )

    def parameters(self, allowed: frozenset[str], *, prefix: str = "") -> dict[str, str]:
        """Return the query's parameters. Raises Refused for one that is unknown or comes twice."""
        try:
            pairs = parse_qsl(
                self.query.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_PARAMETERS_MAX,
            )
        except ValueError as error:
            raise bad_request(f"the query cannot be read: {error}") from error
        found: dict[str, str] = {}
        for name, value in pairs:
            if name not in allowed and not (prefix and name.startswith(prefix)):
                raise bad_request(f"there is no parameter {name!r}: {_these(allowed)}")
            if name in found or len(value) > _PARAMETER_CHARACTERS_MAX:
                raise bad_request(
                    f"give {name} once, with at most {_PARAMETER_CHARACTERS_MAX} characters"
                )
            found[name] = value
        return found

    def identity(self) -> tuple[Identity, int, str]:
        """Return who asks for memories, the budget in tokens, and the trace id ("" for none)."""
        found = self.parameters(_IDENTITY, prefix=_SEGMENT)
        identity = Identity(
            tenant=self._tenant(found.get("tenant", "")),
            user=found.get("user", ""),
            agent=found.get("agent", ""),
            task=found.get("task", ""),
            segments={
                name.removeprefix(_SEGMENT): value
                for name, value in found.items()
                if name.startswith(_SEGMENT)
            },
        )
        budget = whole_number(
            found, "budget_tokens", default=_BUDGET_TOKENS_DEFAULT, largest=_BUDGET_TOKENS_MAX
        )
        return identity, budget, self._trace_id(found.get("trace_id"))

    def erasing(self) -> tuple[str, str, str]:
        """Return the user who is to be erased, of which tenant, and who says so.

        The tenant may be EVERY_TENANT, where the one they are in is meant. Raises Refused.
        """
        found = self.parameters(frozenset({"user", "tenant", "by"}))
        user = found.get("user", "")
        if not user:
            raise bad_request("say whom: user is the id that the spans name")
        by = who({"by": found.get("by") or "spanlore forget"})
        return user, self._tenant(found.get("tenant", ""), otherwise=EVERY_TENANT), by

    def _tenant(self, asked: str, *, otherwise: str = DEFAULT_TENANT) -> str:
        """Return whose tenant is asked for; a token of one tenant need not say. Raises 403."""
        if self.tenant == EVERY_TENANT:
            return asked or otherwise
        if asked not in ("", self.tenant):
            message = f"the token is the tenant {self.tenant}'s, and not {asked}'s"
            raise Refused(HTTPStatus.FORBIDDEN, message)
        return self.tenant

    def _trace_id(self, given: str | None) -> str:
        if given is None:
            found = _TRACEPARENT.fullmatch(self.headers.get("traceparent", ""))
            return found[1] if found and found[1] != _NO_TRACE else ""
        return trace_id(given)

    def document(self) -> dict[str, Any]:
        """Return the body's JSON object. Raises Refused (400)."""
        try:
            found = json.loads(self.body, parse_constant=_no_number)
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise bad_request(f"the body is not JSON in UTF-8: {error}") from error
        if not isinstance(found, dict) or _depth(found) > _DEPTH_MAX:
            raise bad_request(f"the body is a JSON object, at most {_DEPTH_MAX} levels deep")
        return found


def who(document: Mapping[str, Any]) -> str:
    """Return who says they did it, without characters that control or hide text."""
    found = document.get("by")
    if isinstance(found, str):
        seen = "".join(one for one in found if unicodedata.category(one)[0] != "C")
        if name := " ".join(seen.split())[:_BY_CHARACTERS_MAX]:
            return name
    raise bad_request('say who does it: "by" is a name')


def trace_id(given: object) -> str:
    """Return a trace id in lower case. Raises Refused (400)."""
    found = given.lower() if isinstance(given, str) else ""
    if not _TRACE_ID.fullmatch(found) or found == _NO_TRACE:
        raise bad_request(f"a trace id is 32 hex digits, not all 0: {given!r}")
    return found


def whole_number(found: Mapping[str, str], name: str, *, default: int, largest: int) -> int:
    """Return a parameter as a number from 0 to ``largest``. Raises Refused (400)."""
    text = found.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)):
        raise bad_request(f"{name} is a whole number from 0 to {largest}")
    if int(text) > largest:
        raise bad_request(f"{name} is at most {largest}")
    return int(text)


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Read a body. Raises Refused (413, 408) or Disconnected."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_BYTES_MAX:
        raise _too_large()
    try:
        async with asyncio.timeout(_BODY_S_MAX):
            return await _chunks(receive)
    except TimeoutError as error:
        message = f"the body did not come within {_BODY_S_MAX:g} s"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, message) from error


async def _chunks(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES_MAX:
            raise _too_large()
    return bytes(body)


def _too_large() -> Refused:
    message = f"a request has at most {BODY_BYTES_MAX} bytes: send less at once"
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _depth(value: object) -> int:
    """Return how many levels of objects and lists there are, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else None
        if inner is not None:
            deepest = max(deepest, depth)
            waiting += [(each, depth + 1) for each in inner]
    return deepest


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _these(names: frozenset[str]) -> str:
    return f"there are {', '.join(sorted(names))}" if names else "this takes none"
