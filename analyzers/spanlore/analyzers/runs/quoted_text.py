"""Text that came from a trace, made fit to be quoted - or refused.

Trace text is untrusted: whoever can make a tool fail can write its error text. Only the constant
words of a template are ever quoted, capped and within quotation marks, and a template that looks
like more than an error message is refused, so that what would be built on it is quarantined.
"""

import re
import unicodedata

QUOTE_CHARS_MAX = 120
_SLOT = re.compile(r"<(?:url|value|text|email|number|id)>")
_SUSPICIOUS = (
    ("a URL", re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|net|org|io|dev|ai)\b")),
    ("a code fence", re.compile(r"```|~~~")),
    (
        "a role marker",
        re.compile(
            r"<\|?\s*/?\s*(?:im_start|im_end|system|assistant|user|inst)\b"
            r"|\[/?inst\]|<</?sys>>|(?:^|[\n.;!?])\s*(?:system|assistant|developer|human)\s*:",
        ),
    ),
    (
        "an instruction to a model",
        re.compile(
            r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|previous|above|"
            r"prior|rule|polic|prompt)|\b(?:you are|act as|pretend|from now on|always|never)\b"
            r"|\b(?:system prompt|api[ _-]?key|password|secret|exfiltrat)",
        ),
    ),
    (
        "a secret",
        re.compile(
            r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[a-z0-9]{12,}|\b(?:akia|asia)[0-9a-z]{12,}"
            r"|\bgh[pousr]_[a-z0-9]{16,}|\bxox[abprs]-[a-z0-9-]{10,}|\beyj[a-z0-9_-]{10,}\.[a-z0-9_-]+"
            r"|-----begin [a-z ]*private key|\bbearer\s+[a-z0-9._-]{16,}",
        ),
    ),
    ("markup", re.compile(r"</?[a-z!][^>]*>|\[[^\]]*\]\([^)]*\)")),
    ("an encoded blob", re.compile(r"[a-z0-9+/=]{48,}")),
)
# Letters of other alphabets that look like Latin ones: a word is read as a person would read it.
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһᴦνοαρτικ", "aeopcyxijsdhrvoaptik")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNQUOTABLE = re.compile(_UNPRINTABLE.pattern + r"|[\"'`\u2018-\u201f\\<>]")


def refusal(template: str) -> str | None:
    """Return what makes a template unfit to be quoted ("a URL"), None when nothing does."""
    return "a URL" if "<url>" in template else _suspicion(template)


def quoted(template: str) -> str:
    """Return the template's constant words in plain single quotation marks, slots as "...".

    At most ``QUOTE_CHARS_MAX`` characters between the marks. A template that ``refusal`` names
    something in is not quoted at all, but for a masked URL, of which nothing is left.
    """
    if _suspicion(template) is not None:
        return "an error text that is not quoted here"
    words = " ".join(_UNQUOTABLE.sub(" ", _SLOT.sub("...", template)).split())
    if len(words) > QUOTE_CHARS_MAX:
        words = words[: QUOTE_CHARS_MAX - 3].rsplit(" ", 1)[0] + "..."
    return f"'{words}'"


def plain(text: str, *, chars_max: int = 300) -> str:
    """Return a name or title from a trace on one line, without control and direction marks."""
    return " ".join(_UNPRINTABLE.sub(" ", text[:chars_max]).split())


def _suspicion(template: str) -> str | None:
    masked = _SLOT.sub(" ", template.lower())
    if any(unicodedata.category(sign) == "Cf" for sign in masked):
        return "invisible characters"
    folded = unicodedata.normalize("NFKC", masked).translate(_LOOKALIKES)
    readings = (masked, folded)
    return next((name for name, pattern in _SUSPICIOUS if any(map(pattern.search, readings))), None)
