"""The form of a call's arguments: the same JSON with each value replaced by what kind it is.

A form is JSON too, and small: a text is the name of its format ("date"), a number 0 or 0.5 (whole
or not), an array its different items' forms. Calls whose arguments say the same of keys, types,
formats and sizes have equal forms, so that thousands of calls are a handful of forms.
"""

import hashlib
import json
import re
from typing import Any

from spanlore.analyzers.runs.json_paths import DEPTH_MAX, nodes

WORD = "word"
WORD_CHARS_MAX = 60
TEXTS_MAX = 9  # of one path and call: one more than are ever told apart
_FORMATS = (
    ("empty", re.compile(r"")),
    ("number in quotes", re.compile(r"[-+]?\d+(?:\.\d+)?")),
    ("date", re.compile(r"\d{4}-\d{2}-\d{2}")),
    ("date and time", re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")),
    ("e-mail", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    ("JSON in quotes", re.compile(r"[\[{].*[\]}]", re.DOTALL)),
    ("identifier", re.compile(r"[\w.-]*\d[\w.-]*")),
    (WORD, re.compile(r"[^\W\d]\S*")),
)


def form_of(value: Any, depth: int = 0) -> Any:
    """Return the form of a JSON value; what is deeper than ``DEPTH_MAX`` is null."""
    if isinstance(value, str):
        return format_name(value)
    if isinstance(value, bool) or value is None or depth > DEPTH_MAX:
        return value if isinstance(value, bool) else None
    if isinstance(value, dict):
        return {str(key): form_of(value[key], depth + 1) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return _items([form_of(item, depth + 1) for item in value])
    return 0 if isinstance(value, int) else 0.5


def texts_of(value: Any) -> dict[str, list[str]]:
    """Return path -> the texts there, at most ``TEXTS_MAX`` different ones.

    A single word stands for itself (a long one is cut, and ends in a digest); of any other text
    there is but a digest, enough to tell how many different ones there are.
    """
    found: dict[str, dict[str, None]] = {}
    for path, one in nodes(value):
        if isinstance(one, str):
            texts = found.setdefault(path, {})
            if len(texts) < TEXTS_MAX:
                texts[_text(one)] = None
    return {path: list(texts) for path, texts in found.items()}


def word_of(text: str) -> str | None:
    """Return the word that a text of ``texts_of`` stands for, None where it stands for no word."""
    return text.partition("\x00")[0] or None


def format_name(text: str) -> str:
    """Name the form of a text: date, e-mail, number in quotes, ..."""
    for name, pattern in _FORMATS:
        if pattern.fullmatch(text):
            return name
    return "text"


def _items(forms: list[Any]) -> list[Any]:
    """Return the different forms of an array's items; two where several items are all alike."""
    different = {json.dumps(form): form for form in forms}
    kept = [different[text] for text in sorted(different)]
    return kept * 2 if len(kept) == 1 and len(forms) > 1 else kept


def _text(text: str) -> str:
    if format_name(text) != WORD:
        return f"\x00{_digest(text)}"
    return text if len(text) <= WORD_CHARS_MAX else f"{text[:WORD_CHARS_MAX]}\x00{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
