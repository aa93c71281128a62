"""Text inside base64: how it shows there without decoding, and decoding it where it may be."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from spanlore.collector.redaction.escapes import Edit

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_GROUP: Final = 4
_BYTES: Final = 3
_BITS: Final = 6
# What shows of fewer bytes occurs by chance in any text, but not with a run behind it.
_TELLING_BYTES_MIN: Final = 4
_GOES_ON: Final = "[A-Za-z0-9+/_-]{24}"
# Lines as MIME and PEM break them.
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]+)*={0,2}")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def hints_of(texts: Iterable[str]) -> list[str]:
    """Give RE2s of which one finds any of these texts in base64."""
    return sorted({way for text in texts for way in _shown_as(text.encode())})


def _shown_as(text: bytes) -> Iterator[str]:
    """Give the RE2 of a text in base64 for each of the three ways its bytes may fall."""
    after = "" if len(text) >= _TELLING_BYTES_MIN else _GOES_ON
    for before in range(_BYTES):
        start, end = before * 8, (before + len(text)) * 8
        bits = int.from_bytes(bytes(before) + text)
        yield (
            "".join(
                _sextet(bits, at, start=start, end=end)
                for at in range(start - start % _BITS, end, _BITS)
            )
            + after
        )


def _sextet(bits: int, at: int, *, start: int, end: int) -> str:
    """Give the class of characters whose bits agree with those of the text that are in it."""
    first, last = max(start, at), min(end, at + _BITS)
    known = bits >> (end - last) & ((1 << (last - first)) - 1)
    unknown_after = at + _BITS - last
    mask = (1 << (last - first)) - 1
    fit = [
        letter for value, letter in enumerate(_ALPHABET) if value >> unknown_after & mask == known
    ]
    return "[" + re.escape("".join(fit)).replace("/", "/_").replace("\\+", "+-") + "]"


def rewritten_runs(text: bytes, rewrite: Callable[[bytes], bytes]) -> Iterator[Edit]:
    """Decode each run of base64, rewrite it, and give the edit where that changed it."""
    for run in _RUN.finditer(text):
        new = _rewritten(run[0], rewrite)
        if new is not None:
            yield Edit(run.start(), run.end(), new)


def _rewritten(run: bytes, rewrite: Callable[[bytes], bytes]) -> bytes | None:
    """Give the run with its content rewritten; a run may begin with characters before it."""
    joined = run.translate(_TO_STANDARD, b"\r\n=")
    for start in range(_GROUP):
        whole = joined[start:]
        if len(whole) % _GROUP == 1:  # half a byte, of a run that was cut off
            whole = whole[:-1]
        decoded = base64.b64decode(whole + b"=" * (-len(whole) % _GROUP))
        changed = rewrite(decoded)
        if changed != decoded:
            encoded = joined[:start] + base64.b64encode(changed)
            if len(joined) % _GROUP and not run.endswith(b"="):  # as JSON web tokens do
                encoded = encoded.rstrip(b"=")
            return encoded.translate(_TO_URL) if b"-" in run or b"_" in run else encoded
    return None
