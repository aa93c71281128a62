"""What someone who looks through bytes would find: the bytes, unescaped, and out of base64."""

import base64
import re
from collections.abc import Iterator

_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-fA-F])|\\([\"\\/n])|%([0-7][0-9A-Fa-f])")
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_LEVELS = 6
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def revealed(data: bytes) -> bytes:
    """Give the bytes with everything below their surface behind them."""
    layers = [data]
    for _ in range(_LEVELS):
        layer = _ESCAPE.sub(_character, layers[-1])
        if layer == layers[-1]:
            break
        layers.append(layer)
    return b"\0".join((*layers, *(out for layer in layers for out in _decoded(layer))))


def _character(escape: re.Match[bytes]) -> bytes:
    code = escape[1] or escape[3]
    return bytes([int(code, 16)]) if code else escape[2].replace(b"n", b"\n")


def _decoded(data: bytes) -> Iterator[bytes]:
    for run in _RUN.findall(data):
        for start in range(4):
            text = run[start:].translate(_TO_STANDARD)
            text = text[:-1] if len(text) % 4 == 1 else text
            yield base64.b64decode(text + b"=" * (-len(text) % 4))
