"""The constant words of an error text: what stays when ids, numbers and quoted values change.

A masker and not a log-template miner: the template of a text depends on that text alone, so that
counts do not depend on the order in which rows arrive.
"""

import re
from dataclasses import dataclass

TEMPLATE_CHARS_MAX = 300
_TEXT_CHARS_MAX = 4000
_PREFIX = re.compile(r"^(?:(?:error|exception|failed|failure)\b\s*[:\-]\s*)+", re.IGNORECASE)
_UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_VARIABLE = re.compile(
    r"""(?P<url>\b[a-z][a-z0-9+.-]*://\S+)
      | (?P<value>\{[^{}]*\})
      | (?P<text>"[^"]*"|(?<!`)`[^`]+`(?!`)|(?<!\w)'[^']*'(?!\w))
      | (?P<email>[\w.+-]+@[\w-]+\.[\w.-]+)
      | (?P<number>(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w-]|\.\d))
      | (?P<id>(?<!\w)(?=[\w-]*\d)\w(?:[\w.:/-]*\w)?)
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template where values change: its kind, and what stood there this time."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class ErrorTemplate:
    """An error text taken apart: lower-case constant words with ``<kind>`` slots, and values."""

    text: str
    slots: tuple[Slot, ...]


def error_template(error: str) -> ErrorTemplate:
    """Mask what varies in an error text; the leading word "Error:" and letter case go too."""
    plain = " ".join(_UNPRINTABLE.sub(" ", error[:_TEXT_CHARS_MAX]).split())
    plain = _PREFIX.sub("", plain)
    slots: list[Slot] = []

    def mask(found: re.Match[str]) -> str:
        kind = found.lastgroup or "id"
        slots.append(Slot(kind, found.group()))
        return f"<{kind}>"

    masked = _VARIABLE.sub(mask, plain).lower()
    return ErrorTemplate(masked[:TEMPLATE_CHARS_MAX].rstrip(), tuple(slots))
