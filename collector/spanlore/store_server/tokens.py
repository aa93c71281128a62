"""Cut ClickHouse SQL into words, strings and signs, as far as routing a statement needs.

The text is Latin-1 decoded bytes: one character a byte, so that offsets are offsets into the body
and binary data behind a statement does no harm.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space>   \s++ | --[^\n]*+ | \#[ !][^\n]*+ | /\*.*?\*/ )
    | (?P<string>  '(?:[^'\\]|\\.|'')*+' | \$(?P<tag>\w*+)\$.*?\$(?P=tag)\$ )
    | (?P<quoted>  `(?:[^`\\]|\\.|``)*+` | "(?:[^"\\]|\\.|"")*+" )
    | (?P<word>    [^\W\d]\w*+ )
    | (?P<number>  \d[\w.]*+ )
    | (?P<sign>    . )
    """,
    re.VERBOSE | re.DOTALL,
)

_OPEN = frozenset("([{")
_CLOSE = frozenset(")]}")


class Token(NamedTuple):
    """One piece of a statement: what it is, its text, and where it stands."""

    kind: str
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Tell whether this is one of these (upper case) keywords."""
        return self.kind == "word" and self.text.upper() in words


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the pieces of ``text`` in order, without spaces and comments."""
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup or "sign"
        if kind == "tag":
            kind = "string"
        if kind != "space":
            yield Token(kind, match.group(), match.start(), match.end())


def outer_tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the pieces that stand outside every bracket, and the brackets that open there."""
    depth = 0
    for token in tokens(text, start):
        if token.kind == "sign" and token.text in _OPEN:
            if depth == 0:
                yield token
            depth += 1
        elif token.kind == "sign" and token.text in _CLOSE:
            depth = max(0, depth - 1)
        elif depth == 0:
            yield token
