"""Takes tokens and keys out of texts before they are written to disk or sent.

The collector knows more: it looks into escapes and base64, at card numbers and short passwords,
and has RE2 for it (`spanlore.collector.redaction`). Here the standard library has to do, within a
few microseconds a text: a token is a long run of letters and digits, which sentences hardly have,
so one pass finds the runs, and only at these the kinds of `schemas.secret_kinds` are tried. Each
try starts at a fixed place and looks at a bounded piece, so the time grows with the text's length
and no faster, whatever the text.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import Final

from spanlore.instrumentation.grown_texts import (
    AHEAD_BYTES_MAX,
    GROWN_BYTES_MIN,
    Found,
    GrownTexts,
)
from spanlore.schemas.secret_kinds import KINDS, Kind, has_digit, is_login
from spanlore.schemas.secret_names import field_kind, is_secret_name

_RUN_BYTES_MIN: Final = 16
_NAME_BYTES_MAX: Final = 40
_PROMISE_BYTES_MAX: Final = 16
_START_BYTES: Final = 3

_IN_TOKENS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_SHAPE = bytes(ord("a") if byte in _IN_TOKENS else ord(" ") for byte in range(256))
_RUN = b"a" * _RUN_BYTES_MIN

# Kinds by how they begin; what begins otherwise, or needs a name before it, is found below.
_KINDS_BY_START: dict[bytes, list[Kind]] = {}
for _kind in KINDS:
    for _prefix in _kind.prefixes:
        _KINDS_BY_START.setdefault(_prefix[:_START_BYTES].encode(), []).append(_kind)

_BEFORE_VALUE = b" \"'=:>+"
_AROUND_VALUE = b" \t\\\"'+"
_ASSIGNS = b":=>"
_SCHEMES_END = b"rRcC"
# Between texts that are looked at together: no pattern reaches over it, and to what stands behind
# it is as the beginning of a text.
_APART = b"\n\x00\n"
_VALUE = re.compile(rb"[^\s\"'`&;,<>(){}\[\]\\|]{1,4096}")
_URL_BYTES_MAX: Final = len("://") + 256 + len(":") + 256
_URL_PASSWORD = re.compile(
    rb"://[^\s:/?#@\"'<>\\]{0,256}:([^\s/?#@\"'<>\\\[${][^\s/?#@\"'<>\\]{0,255})@"
)
_PASSWORD = re.compile(
    rb"([A-Za-z0-9_.$@-]{0,24}[Pp]assword)[\\\"']{0,4}[ \t]{0,4}(?:=>?|:)[ \t]{0,4}"
    rb"(?:\\?\"([^\"\\]{1,256})|\\?'([^'\\]{1,256})|([^\s\"'`&;,<>(){}\[\]\\|]{1,256}))"
)
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----(?:[A-Za-z0-9+/=:,\s-]|\\[nr])*"
)


def without_secrets(text: bytes) -> bytes:
    """Return UTF-8 with what looks like a token, a key or a URL's password named, not told."""
    found = secrets_in(text) if len(text) < GROWN_BYTES_MIN else _grown.found(text)
    return _marked(text, sorted(found)) if found else text


def secret_kind(name: str, value: bytes) -> str | None:
    """Return the kind of secret that an attribute of such a name holds; None where it is none."""
    return field_kind(name.encode("utf-8", "replace"), value)


def mark_of(kind: str) -> bytes:
    """Return what stands where a secret stood; the collector, which has a key, says which one."""
    return b"[redacted:%b]" % kind.encode()


def secrets_in(text: bytes) -> list[Found]:
    """Return begin, end and kind of what looks like a secret, in no order."""
    shape = text.translate(_SHAPE)
    at = shape.find(_RUN)
    found = _tokens(text, shape, at) if at >= 0 else []
    if b"assword" in text:
        found += _passwords(text)
    if b"@" in text and b"://" in text:
        found += [(*match.span(1), "url-password") for match in _URL_PASSWORD.finditer(text)]
    if b"PRIVATE KEY" in text:
        found += [(*match.span(), "private-key") for match in _PRIVATE_KEY.finditer(text)]
    return found


def texts_with_secrets(texts: Sequence[bytes]) -> list[int]:
    """Return which of the texts hold a secret, by one look at all, and at those in question."""
    whole = _APART.join(texts)
    places = list(_suspicious(whole))
    if not places:
        return []
    ends = list(accumulate(len(text) + len(_APART) for text in texts))
    return [at for at in sorted({bisect_right(ends, at) for at in places}) if secrets_in(texts[at])]


def _suspicious(whole: bytes) -> Iterator[int]:
    """Yield a place in each text where a secret may be."""
    shape = whole.translate(_SHAPE)
    at = shape.find(_RUN)
    if at >= 0:
        yield from (start for start, _, _ in _tokens(whole, shape, at))
    for words in (b"assword", b"PRIVATE KEY"):
        at = whole.find(words)
        while at >= 0:
            yield at
            at = _next_text(whole, at, words)
    at, seen = whole.find(b"@"), 0
    while at >= 0:
        if whole.find(b"://", max(seen, at - _URL_BYTES_MAX), at) >= 0:
            yield at
            at = _next_text(whole, at, b"@")
        else:
            seen, at = at, whole.find(b"@", at + 1)


def _next_text(whole: bytes, at: int, words: bytes) -> int:
    """Return where the words stand next, but not in the text that stands here."""
    apart = whole.find(_APART, at)
    return whole.find(words, apart) if apart >= 0 else -1


def _tokens(text: bytes, shape: bytes, at: int) -> list[Found]:
    """Look at every run. Most are ids: what is not even tried costs nearly nothing."""
    found: list[Found] = []
    while at >= 0:
        end = shape.find(b" ", at)
        end = len(text) if end < 0 else end
        one = None
        if text[at : at + _START_BYTES] in _KINDS_BY_START:
            one = _token_at(text, at)
        if one is None and at and text[at - 1] in _BEFORE_VALUE:
            introduced = _introduced(text[max(0, at - _NAME_BYTES_MAX) : at])
            if introduced is not None:
                find, by = introduced
                one = find(text, at, by)
        if one is not None:
            found.append(one)
            end = max(end, one[1])
        at = shape.find(_RUN, end)
    return found


def _token_at(text: bytes, start: int) -> Found | None:
    for kind in _KINDS_BY_START[text[start : start + _START_BYTES]]:
        match = _pattern(kind.name).match(text, start, start + AHEAD_BYTES_MAX)
        if match is not None:
            group = next((n for n in range(match.re.groups, 0, -1) if match[n] is not None), 0)
            if kind.accepts(match[group]):
                return (*match.span(group), kind.name)
    return None


@lru_cache(maxsize=1_024)
def _introduced(before: bytes) -> tuple[Callable[[bytes, int, bytes], Found | None], bytes] | None:
    """Return how to look at a value with this before it, and what of that is to be known then.

    The same stands before most: what a program writes as JSON before its ids.
    """
    before = before.rstrip(_AROUND_VALUE)
    if before[-1:] in _ASSIGNS:
        name = before.rstrip(_ASSIGNS).rstrip(_AROUND_VALUE)[-_PROMISE_BYTES_MAX:]
        return (_named_at, name) if is_secret_name(name) else None
    if before[-1:] in _SCHEMES_END:
        return _header_at, before
    return None


def _named_at(text: bytes, start: int, name: bytes) -> Found | None:
    """Find the value of a name that promises a secret."""
    value = _VALUE.match(text, start)
    kind = field_kind(name, value[0]) if value else None
    return (*value.span(), kind) if value and kind else None


def _header_at(text: bytes, start: int, before: bytes) -> Found | None:
    """Find what an Authorization header says behind its scheme."""
    value = _VALUE.match(text, start)
    if value and before[-6:].lower() == b"bearer" and has_digit(value[0]):
        return (*value.span(), "bearer")
    if value and before[-5:].lower() == b"basic" and is_login(value[0]):
        return (*value.span(), "basic")
    return None


def _passwords(text: bytes) -> Iterator[Found]:
    for match in _PASSWORD.finditer(text):
        group = match.lastindex or 0
        is_bare = group == match.re.groups
        if kind := field_kind(match[1], match[group], bare=is_bare):
            yield (*match.span(group), kind)


def _marked(text: bytes, found: list[Found]) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for start, end, kind in found:
        if start >= done:
            pieces += (text[done:start], mark_of(kind))
            done = end
    return b"".join((*pieces, text[done:]))


_grown = GrownTexts(secrets_in)


@cache
def _pattern(name: str) -> re.Pattern[bytes]:
    """Compile a kind when a text first begins like it: to compile all would be felt at a start."""
    return re.compile(next(kind.pattern for kind in KINDS if kind.name == name).encode())
