"""Names that promise a secret, and how a text gives such a name its value.

Three ways: quoted (JSON, code), assigned (environments, URL queries, connection strings), and
alone on a line (YAML, headers).
"""

import re
from typing import Final

from spanlore.schemas.secret_kinds import has_digit, is_placeholder

_NAMES: Final = (
    r"(?i:pass(?:word|wd|phrase)|secret|token|authorization|cookie|credentials?"
    r"|(?:api|access|private|secret|signing|encryption|account|auth)[_.-]?key)"
)
_NAME: Final = f"([A-Za-z0-9_.$@-]*{_NAMES})"

# Name and value are captured.
FIELDS: Final = (
    _NAME + r"[\"']?[ \t]*(?:=>?|:)[ \t]*\"((?:[^\"\\]|\\.)+)",
    _NAME + r"[\"']?[ \t]*(?:=>?|:)[ \t]*'((?:[^'\\]|\\.)+)",
)
BARE_FIELDS: Final = (
    _NAME + r"=([^\s\"'`&;,<>(){}\[\]\\|]+)",
    r"(?m)^[ \t-]*" + _NAME + r":[ \t]+([^\s\"'#{}\[\]\\]+)[ \t]*\r?$",
)
# The bytes that a protobuf field may begin with.
_TAGS: Final = "".join(f"\\x{byte:02x}" for byte in range(256) if byte & 7 in {0, 1, 2, 5})
# What a scan of raw bytes looks for, in any depth of escaping. An object or a list behind the
# name is no secret. The second is an attribute: its key, then the tag of its value.
FIELD_HINTS: Final = (
    _NAMES + r"(?:[\"'\\ \t]|u002[27]|%2[027]|%5[cC])*(?:=>?|:|%3[aAdD]|u003[aAdD])"
    r"(?:[ \t+]|%20)*[^ \t\x00{\[(]",
    _NAMES + r"\x12",
)
_KEY = "[A-Za-z0-9_.$@-]"
# A key that its value does not follow at once, which is no encoder's way but is protobuf too. In
# each there is a core; before that are the key's length and any number of the key's bytes.
KEY_CORE: Final = f"{_NAMES}(?:[{_TAGS}]|\\z)"
KEY_HINT: Final = rf"(?:\x0a|\x8a\x80*\x00)[\x80-\xff]*[\x00-\x7f]{_KEY}*{KEY_CORE}"
KEY_BYTES: Final = bytes(byte for byte in range(256) if re.match(rf"{_KEY}|[\x80-\xff]", chr(byte)))
# Looked for in base64.
FIELD_PREFIXES: Final = tuple(
    style(name)
    for name in ("password", "passwd", "secret", "api_key", "apikey", "_token")
    for style in (str.lower, str.upper, str.title)
)

_SECRET_NAME: Final = re.compile(f"{_NAMES}\\Z".encode())
# The kinds.
_PASSWORD: Final = "password"  # noqa: S105 - a kind, not one
_CREDENTIAL: Final = "credential"

_PASSWORDS = (b"password", b"passwd", b"passphrase")
# Words of a language often stand behind these.
_VAGUE = (b"authorization", b"cookie", b"credential", b"credentials")
_PAGING = (b"page", b"next", b"prev", b"continuation", b"sync", b"cursor")
_PASSWORD_BYTES_MIN = 4
_KEY_BYTES_MIN = 8
_TOKEN_BYTES_MIN = 16


def field_kind(name: bytes, value: bytes, *, bare: bool = False) -> str | None:
    """Give the kind of secret that the value of a name that promises one is, None where it is none.

    ``bare`` is a value without quotes, which in code is an expression.
    """
    lower = name.lower()
    if is_placeholder(value) or (bare and _is_expression(value)):
        return None
    if lower.endswith(_PASSWORDS):
        return _PASSWORD if len(value) >= _PASSWORD_BYTES_MIN else None
    if len(value.split(None, 1)) != 1:
        return None
    if lower.endswith(b"token"):
        enough = len(value) >= _TOKEN_BYTES_MIN and has_digit(value)
        return _CREDENTIAL if enough and not any(word in lower for word in _PAGING) else None
    if (bare or lower.endswith(_VAGUE)) and not has_digit(value):
        return None
    return _CREDENTIAL if len(value) >= _KEY_BYTES_MIN else None


def is_secret_name(name: bytes) -> bool:
    """Say whether an attribute of this name may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def _is_expression(value: bytes) -> bool:
    """Say whether it is code that names a secret: ``settings.db_password``."""
    words = value.replace(b".", b"_").split(b"_")
    return len(words) > 1 and all(word.isalpha() for word in words)
