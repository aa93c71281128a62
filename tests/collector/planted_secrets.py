"""Secrets of every kind, made up from a seed: nothing here opens anything.

They are put together when a test runs, so that no scanner of repositories finds one in a file.
"""

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from spanlore.schemas.secret_kinds import KINDS, is_card_number

_ALNUM = string.ascii_letters + string.digits
_URL64 = _ALNUM + "-_"
_BASE64 = _ALNUM + "+/"
_HEX = "0123456789abcdef"
_BASE32 = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret of a kind: what must not be kept, and the text it stands in."""

    kind: str
    secret: str
    text: str

    @property
    def is_found_in_base64(self) -> bool:
        """Whether enough of it is fixed to be found without decoding everything."""
        return self.kind not in {"twilio", "telegram", "card"}


def planted(seed: int) -> Iterator[Planted]:
    """Give secrets without end, the kinds in turn."""
    rng = random.Random(seed)
    while True:
        for kind, make in _MAKERS.items():
            made = make(rng)
            yield Planted(kind, *(made if isinstance(made, tuple) else (made, made)))


def _some(rng: random.Random, alphabet: str, length: int) -> str:
    # With a digit in it, as every generator of tokens gives all but always.
    return "7" + "".join(rng.choice(alphabet) for _ in range(length - 1))


def _token(prefix: str, alphabet: str, length: int) -> Callable[[random.Random], str]:
    return lambda rng: prefix + _some(rng, alphabet, length)


def _in(text: str, alphabet: str, length: int) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        secret = _some(rng, alphabet, length)
        return secret, text.format(secret)

    return make


def _private_key(rng: random.Random) -> tuple[str, str]:
    lines = [_some(rng, _BASE64, 64) for _ in range(4)] + [_some(rng, _BASE64, 30) + "=="]
    kind = rng.choice(("", "RSA ", "EC ", "OPENSSH "))
    begin, end = (f"-----{word} {kind}PRIVATE KEY-----" for word in ("BEGIN", "END"))
    return lines[2], "\n".join((begin, *lines, end))


def _service_account(rng: random.Random) -> tuple[str, str]:
    secret, key = _private_key(rng)
    return secret, json.dumps({"type": "service_account", "private_key": key + "\n"})


def _jwt(rng: random.Random) -> str:
    def part(document: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    claims = {"sub": str(rng.randrange(10**9)), "name": _some(rng, _ALNUM, 12)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{_some(rng, _URL64, 43)}"


def _basic(rng: random.Random) -> tuple[str, str]:
    login = f"user:{_some(rng, _ALNUM, 14)}"
    secret = base64.b64encode(login.encode()).decode()
    return secret, f"Authorization: Basic {secret}"


def _card(rng: random.Random) -> tuple[str, str]:
    first = rng.choice(("4", "51", "2221", "6011"))
    while True:
        number = first + "".join(rng.choice(string.digits) for _ in range(16 - len(first)))
        if is_card_number(number.encode()):
            groups = [number[at : at + 4] for at in range(0, 16, 4)]
            written = rng.choice(("", " ", "-")).join(groups)
            return written, f"paid with {written}, thanks"


_MAKERS: dict[str, Callable[[random.Random], str | tuple[str, str]]] = {
    "openai": _token("sk-proj-", _URL64, 60),
    "openai user": _token("sk-", _ALNUM, 48),
    "anthropic": _token("sk-ant-api03-", _URL64, 90),
    "openrouter": _token("sk-or-v1-", _HEX, 64),
    "google": _token("AIza", _URL64, 35),
    "google oauth": _token("ya29.", _URL64, 60),
    "aws id": lambda rng: "AKIA" + _some(rng, _BASE32, 16),
    "aws secret": _in('aws_secret_access_key = "{}"', _BASE64, 40),
    "github": _token("ghp_", _ALNUM, 36),
    "github fine": _token("github_pat_", _ALNUM + "_", 82),
    "langfuse": lambda rng: "sk-lf-" + "-".join(_some(rng, _HEX, n) for n in (8, 4, 4, 4, 12)),
    "mailgun": _token("key-", _HEX, 32),
    "gitlab": _token("glpat-", _URL64, 20),
    "slack": _token("xoxb-", _ALNUM + "-", 50),
    "slack webhook": _in("https://hooks.slack.com/services/{}", _ALNUM + "/", 40),
    "stripe": _token("sk_live_", _ALNUM, 24),
    "twilio": _token("SK", _HEX, 32),
    "sendgrid": lambda rng: f"SG.{_some(rng, _URL64, 22)}.{_some(rng, _URL64, 43)}",
    "npm": _token("npm_", _ALNUM, 36),
    "pypi": _token("pypi-AgEIcHlwaS5vcmc", _URL64, 120),
    "hugging face": _token("hf_", string.ascii_letters, 34),
    "groq": _token("gsk_", _ALNUM, 52),
    "azure": _in("AccountName=a;AccountKey={}==;EndpointSuffix=b", _BASE64, 86),
    "databricks": _token("dapi", _HEX, 32),
    "vault": _token("hvs.", _URL64, 90),
    "telegram": lambda rng: f"{rng.randrange(10**8, 10**9)}:AA{_some(rng, _URL64, 33)}",
    "private key": _private_key,
    "service account": _service_account,
    "jwt": _jwt,
    "bearer": _in("Authorization: Bearer {}", _URL64, 40),
    "basic": _basic,
    "database url": _in("postgres://app:{}@db.internal:5432/app", _ALNUM, 16),
    "password": _in("password={}", _ALNUM, 12),
    "password field": _in('{{"user": "ada", "password": "{}"}}', _ALNUM + "!$%&+ ", 14),
    "key field": _in('{{"api_key": "{}", "n": 1}}', _ALNUM, 24),
    "token field": _in('{{"access_token": "{}"}}', _ALNUM, 32),
    "yaml": _in("user: ada\ndb_password: {}\nport: 5432", _ALNUM, 14),
    "card": _card,
}
FOUND_KINDS = {kind.name for kind in KINDS} | {"password", "credential"}
MADE_KINDS = len(_MAKERS)


def ways(text: str) -> dict[str, str]:
    """Give a text as programs write it into other texts."""
    inside = json.dumps({"content": text})
    return {
        "plain": text,
        "in a sentence": f"Use this: {text} and go on",
        "in JSON": inside,
        "in JSON in JSON": json.dumps([{"parts": [inside]}]),
        "in a URL": f"https://example.org/?q={quote(text, safe='')}&n=1",
        "as .NET escapes": json.dumps(text).replace("+", "\\u002B").replace('\\"', "\\u0022"),
        "as PHP escapes": json.dumps(text).replace("/", "\\/"),
        "as escapes only": "".join(f"\\u{ord(character):04x}" for character in text),
    }


def in_base64(text: str) -> dict[str, str]:
    """Give a text in base64, as it may fall on its groups of three bytes."""
    return {
        f"behind {len(before)} bytes": base64.b64encode(f"{before}{text}".encode()).decode()
        for before in ("", "a ", "ab ", "abc ")
    }
