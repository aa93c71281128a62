"""The user's own patterns: a TOML file of ``name = 'pattern'`` lines."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import re2

from spanlore.collector.redaction.hints import compiled, own_hint

PATTERNS_MAX = 200
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NEXT_STEP = "write one line a pattern, such as: email = '[\\w.+-]+@[\\w-]+\\.[\\w.-]+'"


class PatternError(Exception):
    """A file of patterns cannot be used; the message says which line and the next step."""


def read_patterns(path: Path) -> Mapping[str, str]:
    """Read patterns (RE2's syntax, over text) by the kind that marks what they match.

    Raises PatternError where the file, a name or a pattern cannot be used.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PatternError(f"{path} cannot be read ({error}): {_NEXT_STEP}") from error
    if len(found) > PATTERNS_MAX:
        raise PatternError(f"{path} has {len(found)} patterns, the limit is {PATTERNS_MAX}")
    for name, pattern in found.items():
        problem = _problem(name, pattern)
        if problem:
            raise PatternError(f"{path}: {name!r} {problem}")
    return found


def _problem(name: str, pattern: object) -> str | None:
    if not _NAME.fullmatch(name):
        return "is no name: use up to 32 small letters, digits and dashes"
    if not isinstance(pattern, str):
        return f"is no pattern: {_NEXT_STEP}"
    try:
        if compiled(pattern, is_text=True).search(b"") is not None:
            return "matches the empty text, so it would match everywhere: make it ask for something"
        compiled(own_hint([pattern]), is_text=True)
    except re2.error as error:
        return f"is not RE2's syntax ({error}); it has no look-around and no back-references"
    return None
