"""Erasing a user from the quarantine: what the store refused may hold their words as well."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanlore.collector import record
from spanlore.collector.record import BadRecordError
from spanlore.collector.segment import write_private
from spanlore.collector.wire import varint

__all__ = ["ErasedFiles", "erase_quarantined", "text_value"]

# A trace id as OTLP writes it: of a span (field 1), of a link (1) or of a log record (9).
_TRACE_ID: Final = re.compile(rb"(?=[\x0a\x4a]\x10(.{16}))", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedFiles:
    """How many records went, and the files that name the user and cannot be read as records."""

    records: int
    unread: tuple[Path, ...]


def erase_quarantined(
    directory: Path, *, user: str, tenant: str, trace_ids: AbstractSet[str]
) -> ErasedFiles:
    """Take the records out of the quarantine that name a user, or a trace of theirs (hex).

    A record that came with the token of another tenant stays. May run beside a collector, which
    reads nothing there. Raises OSError.
    """
    ids = {bytes.fromhex(one) for one in trace_ids}
    erased, unread = 0, []
    for path in sorted(directory.glob("*.pb")):
        data = path.read_bytes()
        if not _names(data, user, ids):
            continue
        try:
            records = list(record.read(data))
        except BadRecordError:
            unread.append(path)
            continue
        kept = [
            one
            for one in records
            if one.tenant not in ("", tenant) or not _names(one.body, user, ids)
        ]
        erased += len(records) - len(kept)
        if not kept:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink()
        elif len(kept) < len(records):
            write_private(path, b"".join(data[one.start : one.end] for one in kept))
    return ErasedFiles(records=erased, unread=tuple(unread))


def _names(data: bytes, user: str, ids: AbstractSet[bytes]) -> bool:
    """Say whether bytes hold a user's name as a whole value of OTLP, or a trace of theirs."""
    return text_value(user) in data or not ids.isdisjoint(_trace_ids(data))


def text_value(text: str) -> bytes:
    """Give a text as OTLP writes it: a string as an AnyValue (field 1) has it."""
    written = text.encode()
    return b"\x0a" + varint(len(written)) + written


def _trace_ids(data: bytes) -> Iterator[bytes]:
    return (match[1] for match in _TRACE_ID.finditer(data))
