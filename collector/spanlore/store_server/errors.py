"""What can go wrong with a query, in ClickHouse's own terms: code, name and HTTP status."""

import re
from typing import Final

READONLY: Final = (164, "READONLY")
ACCESS_DENIED: Final = (497, "ACCESS_DENIED")
AUTHENTICATION_FAILED: Final = (516, "AUTHENTICATION_FAILED")
BAD_ARGUMENTS: Final = (36, "BAD_ARGUMENTS")
CANNOT_DECOMPRESS: Final = (271, "CANNOT_DECOMPRESS")
CHECKSUM_DOESNT_MATCH: Final = (40, "CHECKSUM_DOESNT_MATCH")
FILE_DOESNT_EXIST: Final = (107, "FILE_DOESNT_EXIST")
LIMIT_EXCEEDED: Final = (290, "LIMIT_EXCEEDED")
NOT_ENOUGH_SPACE: Final = (243, "NOT_ENOUGH_SPACE")
NOT_IMPLEMENTED: Final = (48, "NOT_IMPLEMENTED")
QUERY_IS_TOO_LARGE: Final = (55, "QUERY_IS_TOO_LARGE")
QUERY_WAS_CANCELLED: Final = (394, "QUERY_WAS_CANCELLED")
SESSION_IS_LOCKED: Final = (373, "SESSION_IS_LOCKED")
SOCKET_TIMEOUT: Final = (209, "SOCKET_TIMEOUT")
SYNTAX_ERROR: Final = (62, "SYNTAX_ERROR")
TIMEOUT_EXCEEDED: Final = (159, "TIMEOUT_EXCEEDED")
TOO_MANY_QUERIES: Final = (202, "TOO_MANY_SIMULTANEOUS_QUERIES")
TOO_MANY_ROWS_OR_BYTES: Final = (396, "TOO_MANY_ROWS_OR_BYTES")
UNKNOWN_FORMAT: Final = (73, "UNKNOWN_FORMAT")
UNKNOWN_SETTING: Final = (115, "UNKNOWN_SETTING")
UNKNOWN_EXCEPTION: Final = (1002, "UNKNOWN_EXCEPTION")

# As ClickHouse's exceptionCodeToHTTPStatus: what the client got wrong is 400, what is not there
# 404, what it may not do 403; all else is 500. 444 and 32 are undecodable Protobuf and RowBinary.
_BAD_REQUEST: Final = frozenset(
    {6, 26, 27, 32, 33, 36, 38, 40, 41, 43, 53, 62, 69, 70, 72, 117, 130, 131, 271, 349}
    | {386, 427, 441, 444, 456, 457}
)
_NOT_FOUND: Final = frozenset({16, 46, 47, 50, 56, 60, 63, 73, 81, 115})
_FORBIDDEN: Final = frozenset({164, 192, 193, 497, 516})
_TOO_LARGE: Final = frozenset({55, 290})

_ENGINE_TEXT = re.compile(
    r"Code: (?P<code>\d+)\. (?:DB::)?Exception: (?P<message>.*)", re.DOTALL | re.ASCII
)
_REPEATED = re.compile(r"^(?:Code: \d+\. DB::Exception: )+", re.ASCII)
_NAME = re.compile(r" ?\((?P<name>[A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*$", re.ASCII)
_POSITION = re.compile(r"(?<=failed at position )\d+", re.ASCII)


class QueryError(Exception):
    """A query that failed: ClickHouse's error code, its name, and what happened."""

    def __init__(self, kind: tuple[int, str], message: str) -> None:
        super().__init__(message)
        self.code, self.name = kind
        self.message = message

    @property
    def status(self) -> int:
        """Give the HTTP status that ClickHouse answers this code with."""
        if self.code in _BAD_REQUEST:
            return 400
        if self.code in _NOT_FOUND:
            return 404
        if self.code in _FORBIDDEN:
            return 403
        return 413 if self.code in _TOO_LARGE else 500

    def text(self, version: str = "") -> str:
        """Word the error as ClickHouse does; clients parse this line."""
        tail = f" (version {version})" if version else ""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}){tail}"


def moved(error: QueryError, by: int) -> QueryError:
    """Count the position that a syntax error names from another beginning."""
    message = _POSITION.sub(lambda found: str(int(found[0]) + by), error.message, count=1)
    return QueryError((error.code, error.name), message)


class ClientGoneError(Exception):
    """The client closed its connection, or stopped reading, before it had its answer."""


class LockHeldError(Exception):
    """The data directory belongs to another running process."""


class PortBusyError(Exception):
    """The port cannot be bound."""


def from_engine(text: str) -> QueryError:
    """Read chDB's error text; text without a code becomes UNKNOWN_EXCEPTION."""
    found = _ENGINE_TEXT.search(text)
    if found is None:
        return QueryError(UNKNOWN_EXCEPTION, text.strip() or "the engine gave no reason")
    message = _REPEATED.sub("", found["message"].strip())
    name = _NAME.search(message)
    if name is None:
        return QueryError((int(found["code"]), UNKNOWN_EXCEPTION[1]), message)
    return QueryError((int(found["code"]), name["name"]), message[: name.start()])
