"""What the one scan of a request's bytes looks for, to say whether anything in it may be a secret.

It runs over raw protobuf, so a hint names no border: the byte before a text is its length, the
one behind it the next field's tag. It may be wrong in one way only, by finding too much.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import re2

from spanlore.collector.redaction.base64_runs import hints_of
from spanlore.schemas.secret_kinds import KINDS
from spanlore.schemas.secret_names import (
    FIELD_HINTS,
    FIELD_PREFIXES,
    KEY_BYTES,
    KEY_CORE,
    KEY_HINT,
)

# No encoder escapes a letter, a digit, a dash or an underscore unless it means to hide it.
_UNRESERVED = r"(?:2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
_HIDDEN: Final = (r"\\u00" + _UNRESERVED, r"%" + _UNRESERVED)
# Behind these a part of what an own pattern looks for may hide.
_ESCAPED: Final = r"%[0-7][0-9A-Fa-f]|\\(?:u00[0-7]|[\"\\/bfnrt])"
# The parts of a pattern: quoted text, escapes, classes, single characters.
_PARTS: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|.", re.DOTALL
)
_BORDERS: Final = frozenset({r"\b", r"\B", r"\A", r"\z", "^", "$"})


# How far a key is looked at from its end: hardly any is longer.
_KEY_REACH_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CoredHint:
    """A hint that is slow to look for among many, and the core of it that is not.

    Each match of the hint holds a match of the core and is within ``reach_bytes`` of that one's
    end. Where ``endless`` has bytes, it may also begin before: then at most ``others_max`` of the
    bytes within reach are not of these.
    """

    core: str
    hint: str
    reach_bytes: int
    endless: bytes = b""
    others_max: int = 0


def compiled(pattern: str, *, is_text: bool = False) -> "re2._Regexp":
    """Compile RE2; over bytes, or over UTF-8 where the user wrote it (``is_text``)."""
    options = re2.Options()
    options.log_errors = False
    if is_text:
        return re2.compile(pattern, options)
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)


def any_of(patterns: Iterable[str]) -> str:
    """Give the RE2 that finds any of these."""
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def own_hint(patterns: Iterable[str]) -> str:
    """Give the RE2 that finds whatever may hold something that one of these patterns matches.

    It is the patterns without what they say of a text's borders, which raw bytes do not show, and
    every escape.
    """
    return any_of([*(_borderless(pattern) for pattern in patterns), _ESCAPED])


def _borderless(pattern: str) -> str:
    return _PARTS.sub(lambda part: "" if part[0] in _BORDERS else part[0], pattern)


_BASE64_HINTS: Final = hints_of(
    [*(text for kind in KINDS for text in kind.prefixes), *FIELD_PREFIXES]
)
BASE64_HINT: Final = any_of(_BASE64_HINTS)
# All that is fast to look for, since it has fixed text in it.
TEXT_HINTS: Final = (
    *(kind.hint or kind.pattern for kind in KINDS if not kind.core),
    *FIELD_HINTS,
    *_HIDDEN,
    *_BASE64_HINTS,
)
CORED_HINTS: Final = (
    *(
        CoredHint(core=kind.core, hint=kind.hint, reach_bytes=kind.hint_bytes_max)
        for kind in KINDS
        if kind.core
    ),
    # Of one that began before: the zero before the key's length, the length, the tag behind it.
    CoredHint(
        core=KEY_CORE,
        hint=KEY_HINT,
        reach_bytes=_KEY_REACH_BYTES,
        endless=KEY_BYTES,
        others_max=3,
    ),
)
SECRET_HINT: Final = any_of([*TEXT_HINTS, *(cored.hint for cored in CORED_HINTS)])
