"""Bytes of one text in, the same without its secrets out."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from spanlore.collector.redaction.base64_runs import rewritten_runs
from spanlore.collector.redaction.escapes import Edit, View, edited, views_of
from spanlore.collector.redaction.hints import BASE64_HINT, compiled, own_hint
from spanlore.collector.redaction.scan import SecretScan
from spanlore.schemas.secret_kinds import KINDS, Kind
from spanlore.schemas.secret_names import BARE_FIELDS, FIELDS, field_kind

_MARK_DIGITS: Final = 8
# Base64 of base64 is looked into, not more.
_BASE64_LEVELS_MAX: Final = 2

# Finds (start, end, kind) in a text.
Rule = Callable[[bytes], Iterator[tuple[int, int, str]]]
# Says what to change in a text.
Editor = Callable[[bytes], Iterator[Edit]]


class Redactor:
    """Knows what to take out, and marks it so that equal secrets stay equal. Safe from any thread.

    A secret becomes ``[redacted:KIND:MARK]``, where the mark is the start of an HMAC of the secret
    under ``key``: two runs that used one token can be joined, the token cannot be guessed from it.
    ``own`` are the user's patterns by name.

    ``tokens`` are looked for with all escapes undone first, ``values`` with as few as can be:
    undone once more, a quote within a value would look like its end.
    """

    def __init__(self, key: bytes, own: Mapping[str, str] | None = None) -> None:
        own = own or {}
        self._key = key
        self._secrets = SecretScan()
        self._base64_hint = compiled(BASE64_HINT)
        self._own_hint = compiled(own_hint(own.values()), is_text=True) if own else None
        self.tokens = [_kind_rule(kind) for kind in KINDS if not kind.as_written]
        self.values = [
            *(_kind_rule(kind) for kind in KINDS if kind.as_written),
            *(_field_rule(pattern, bare=False) for pattern in FIELDS),
            *(_field_rule(pattern, bare=True) for pattern in BARE_FIELDS),
        ]
        self.own = [_own_rule(name, pattern) for name, pattern in own.items()]

    def suspects(self, data: bytes) -> bool:
        """Say whether anything in these bytes, a request's or a text's, may have to go."""
        return self._secrets.suspects(data) or self._may_be_own(data)

    def _may_be_own(self, data: bytes) -> bool:
        return self._own_hint is not None and self._own_hint.search(data) is not None

    def redact(self, text: bytes, found: Counter[str]) -> bytes:
        """Give a text without its secrets; count them by kind into ``found``."""
        return self._redact(text, found, base64_levels=_BASE64_LEVELS_MAX)

    def redact_value(self, name: bytes, value: bytes, *, found: Counter[str]) -> bytes:
        """Give the value of an attribute whose name promises a secret."""
        kept = self.redact(value, found)
        kind = field_kind(name, kept)
        if kind is None:
            return kept
        found[kind] += 1
        return self._mark(kind, kept)

    def _redact(self, text: bytes, found: Counter[str], *, base64_levels: int) -> bytes:
        secret, own = self._secrets.suspects(text), self._may_be_own(text)
        if not (secret or own):
            return text
        tokens = [partial(self._edits, rule, found) for rule in self.tokens if secret]
        if secret and base64_levels:
            inner = partial(self._redact, found=found, base64_levels=base64_levels - 1)
            tokens.append(partial(self._base64_edits, inner))
        rules = [*(self.values if secret else ()), *(self.own if own else ())]
        values = [partial(self._edits, rule, found) for rule in rules]
        path = views_of(text)
        levels = range(len(path) + 1)
        for level in reversed(levels):
            text, path = _edited(text, path, level=level, editors=tokens)
        for level in levels:
            text, path = _edited(text, path, level=level, editors=values)
        return text

    def _edits(self, rule: Rule, found: Counter[str], text: bytes) -> Iterator[Edit]:
        for start, end, kind in rule(text):
            found[kind] += 1
            yield Edit(start, end, self._mark(kind, text[start:end]))

    def _base64_edits(self, rewrite: Callable[[bytes], bytes], text: bytes) -> Iterator[Edit]:
        if self._base64_hint.search(text) is not None:
            yield from rewritten_runs(text, rewrite)

    def _mark(self, kind: str, secret: bytes) -> bytes:
        digest = hmac.new(self._key, secret, hashlib.sha256).hexdigest()
        return f"[redacted:{kind}:{digest[:_MARK_DIGITS]}]".encode()


def _edited(
    text: bytes, path: list[View], *, level: int, editors: Iterable[Editor]
) -> tuple[bytes, list[View]]:
    """Give a text, and its views, after editors have seen it so many levels unescaped."""
    for edits_of in editors:
        seen = path[:level]
        edits = list(edits_of(seen[-1].text if seen else text))
        if edits:
            text = edited(text, seen, edits)
            path = views_of(text)
    return text, path


def _kind_rule(kind: Kind) -> Rule:
    """Find a kind of secret: what its pattern captures, or all of it."""
    secret = compiled(f"{kind.border}({kind.pattern})")
    groups = range(secret.groups, 0, -1)

    def find(text: bytes) -> Iterator[tuple[int, int, str]]:
        for match in secret.finditer(text):
            group = next(number for number in groups if match[number] is not None)
            if kind.accepts(match[group]):
                yield match.start(group), match.end(group), kind.name

    return find


def _field_rule(pattern: str, *, bare: bool) -> Rule:
    """Find the value of a name that promises a secret."""
    field = compiled(pattern)

    def find(text: bytes) -> Iterator[tuple[int, int, str]]:
        for match in field.finditer(text):
            kind = field_kind(match[1], match[2], bare=bare)
            if kind is not None:
                yield match.start(2), match.end(2), kind

    return find


def _own_rule(name: str, pattern: str) -> Rule:
    """Find what a pattern of the user's matches."""
    own = compiled(pattern, is_text=True)

    def find(text: bytes) -> Iterator[tuple[int, int, str]]:
        for match in own.finditer(text):
            if match.end() > match.start():
                yield match.start(), match.end(), name

    return find
