"""What counts as a secret: one table.

A pattern is RE2's syntax over bytes and says nothing about its surroundings. What it captures is
replaced, or all of it where it captures nothing. Each is narrow enough to leave ids, hashes, UUIDs
and dates alone: a fixed prefix with a fixed alphabet and length, or a check of what was found.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_DIGITS = frozenset(b"0123456789")
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of secret.

    ``why`` is what it opens, ``example`` its shape with the secret part cut short. ``border`` is
    what must stand before the pattern. ``hint`` is what a scan of raw bytes looks for where that
    is not the pattern itself. ``core`` is something cheap to look for that every match of a hint
    without any fixed text holds, ``hint_bytes_max`` the length of the longest.
    ``prefixes`` are the texts it begins with that are also looked for in base64: three bytes tell
    too little there. ``accepts`` has the last word about what was captured. ``as_written`` is a
    kind that escapes are a part of.
    """

    name: str
    why: str
    example: str
    pattern: str
    border: str = r"(?:\A|[^A-Za-z0-9])"
    hint: str = ""
    core: str = ""
    hint_bytes_max: int = 0
    prefixes: tuple[str, ...] = ()
    accepts: Callable[[bytes], bool] = lambda _: True
    as_written: bool = False


def is_card_number(found: bytes) -> bool:
    """Say whether the digits pass the Luhn check (ISO/IEC 7812-1, annex B)."""
    digits = [byte - ord("0") for byte in found if byte in _DIGITS]
    doubled = sum(_LUHN_DOUBLED[digit] for digit in digits[-2::-2])
    return (doubled + sum(digits[-1::-2])) % 10 == 0


def is_login(found: bytes) -> bool:
    """Say whether base64 holds what an Authorization header of type Basic does: user:password."""
    try:
        user, colon, _ = base64.b64decode(found, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(colon) and user.isprintable()


def has_digit(found: bytes) -> bool:
    """Say whether there is a digit in it: words of a language have none."""
    return not _DIGITS.isdisjoint(found)


# Networks by their first digits (ISO/IEC 7812), sixteen digits, Amex' fifteen, Diners' fourteen.
_CARD = (
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[0-9]{2}|6(?:011|5[0-9]{2}|4[4-9][0-9]))"
    r"(?:[0-9]{12}|(?: [0-9]{4}){3}|(?:-[0-9]{4}){3})"
    r"|3[47][0-9]{2}(?:[0-9]{11}| [0-9]{6} [0-9]{5}|-[0-9]{6}-[0-9]{5})"
    r"|3(?:0[0-5]|[68][0-9])[0-9](?:[0-9]{10}| [0-9]{6} [0-9]{4}|-[0-9]{6}-[0-9]{4})"
)
_CARD_BORDER = r"[^0-9A-Za-z_.#-]"
# In raw bytes the character before it may be the length of the text it begins: then the tag of a
# field with text stands before that.
_CARD_BEFORE = rf"(?:\A|{_CARD_BORDER}|%[0-9a-fA-F]{{2}}|[\x0a\x12\x1a*:\x80-\xff][0-9A-Za-z_.#-])"
# Four digits begin a number of any network; ten follow, or a group.
_CARD_CORE = _CARD_BEFORE + r"[2-6][0-9]{3}(?:[0-9]{10}|(?: |%20|-)[0-9]{4})"

_PEM_BEGIN = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"
_PEM_END = r"-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"

KINDS: Final = (
    Kind(
        name="private-key",
        why="a private key as PEM: TLS, SSH, PGP, a Google service account",
        example="-----BEGIN RSA PRIVATE KEY-----\nMIIE…",
        # Cut off in its middle it is still most of a key.
        border="",
        pattern=_PEM_BEGIN + r"\s*(?:[A-Za-z-]+: [^\r\n]*\s+)*[A-Za-z0-9+/=]{16,}"
        r"(?:\s+[A-Za-z0-9+/=]{16,})*(?:\s*[A-Za-z0-9+/=]*\s*" + _PEM_END + ")?",
        hint=r"-----BEGIN[ +%A-Z0-9]*PRIVATE",
        prefixes=("-----BEGIN ",),
    ),
    Kind(
        name="anthropic",
        why="Anthropic API and admin keys",
        example="sk-ant-api03-…",
        pattern=r"sk-ant-[A-Za-z0-9_-]{20,}",
        prefixes=("sk-ant-",),
    ),
    Kind(
        name="openrouter",
        why="OpenRouter API keys",
        example="sk-or-v1-…",
        pattern=r"sk-or-v1-[0-9a-f]{32,}",
        prefixes=("sk-or-v1-",),
    ),
    Kind(
        name="langfuse",
        why="Langfuse secret keys",
        example="sk-lf-…",
        pattern=r"sk-lf-[0-9a-f]{8}-[0-9a-f-]{27}",
        prefixes=("sk-lf-",),
    ),
    Kind(
        name="openai",
        why="OpenAI project, service account, admin and user keys, and others of that shape",
        example="sk-proj-…",
        pattern=r"sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})",
        prefixes=("sk-",),
    ),
    Kind(
        name="google",
        why="Google API keys: Gemini, Maps, Firebase",
        example="AIzaSy…",
        pattern=r"AIza[0-9A-Za-z_-]{35}",
        prefixes=("AIza",),
    ),
    Kind(
        name="google-oauth",
        why="Google OAuth access tokens and client secrets",
        example="ya29.… GOCSPX-…",
        pattern=r"ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{28}",
        prefixes=("ya29.", "GOCSPX-"),
    ),
    Kind(
        name="aws-secret",
        why="AWS secret access keys, known by their name or by the key id before them",
        example="aws_secret_access_key = wJalr…",
        border="",
        pattern=r"(?:(?i:secret_?access_?key|aws_?secret_?key)[\"'\s:=>]{1,8}"
        r"|(?:AKIA|ASIA)[A-Z2-7]{16}[\"'\s:,;|/]{1,4})([A-Za-z0-9/+]{40})",
        hint=r"(?i:secret_?access_?key|aws_?secret_?key)",
        prefixes=("secret_access_key", "SECRET_ACCESS_KEY", "SecretAccessKey"),
    ),
    Kind(
        name="aws-id",
        why="AWS access key ids, long-lived and temporary",
        example="AKIA…",
        pattern=r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        prefixes=("AKIA", "ASIA"),
    ),
    Kind(
        name="github",
        why="GitHub classic, OAuth, app and refresh tokens",
        example="ghp_…",
        pattern=r"gh[pousr]_[A-Za-z0-9]{36,}",
        prefixes=("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    ),
    Kind(
        name="github-fine",
        why="GitHub fine-grained tokens",
        example="github_pat_…",
        pattern=r"github_pat_[A-Za-z0-9_]{22,}",
        prefixes=("github_pat_",),
    ),
    Kind(
        name="gitlab",
        why="GitLab personal, deploy, runner, CI, trigger, feed and agent tokens",
        example="glpat-…",
        pattern=r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{20,}",
        prefixes=("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glagent-"),
    ),
    Kind(
        name="slack",
        why="Slack bot, user, app and refresh tokens",
        example="xoxb-…",
        pattern=r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{20,}",
        prefixes=("xoxb-", "xoxp-", "xoxa-", "xoxs-", "xapp-"),
        accepts=has_digit,
    ),
    Kind(
        name="slack-webhook",
        why="Slack webhook addresses, which anyone may post to",
        example="https://hooks.slack.com/services/T…/B…/…",
        pattern=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{20,})",
        hint=r"hooks\.slack\.com",
        prefixes=("hooks.slack.com/",),
    ),
    Kind(
        name="stripe",
        why="Stripe secret and restricted keys, webhook signing secrets",
        example="sk_live_… whsec_…",
        pattern=r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}=*",
        hint=r"[sr]k_(?:live|test)_[A-Za-z0-9]{16}|whsec_",
        prefixes=("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
    ),
    Kind(
        name="twilio",
        why="Twilio API keys",
        example="SK0123…",
        pattern=r"SK[0-9a-f]{32}",
    ),
    Kind(
        name="sendgrid",
        why="SendGrid API keys",
        example="SG.….…",
        pattern=r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
        prefixes=("SG.",),
    ),
    Kind(
        name="mailgun",
        why="Mailgun API keys",
        example="key-0123…",
        pattern=r"key-[0-9a-f]{32}",
        prefixes=("key-",),
    ),
    Kind(
        name="npm",
        why="npm access tokens",
        example="npm_…",
        pattern=r"npm_[A-Za-z0-9]{36}",
        prefixes=("npm_",),
    ),
    Kind(
        name="pypi",
        why="PyPI and TestPyPI upload tokens (a macaroon that names its registry)",
        example="pypi-AgE…",
        pattern=r"pypi-Ag[A-Za-z0-9_-]{50,}",
        prefixes=("pypi-Ag",),
    ),
    Kind(
        name="huggingface",
        why="Hugging Face user and organisation tokens",
        example="hf_…",
        pattern=r"(?:hf|api_org)_[A-Za-z0-9]{34,}",
        prefixes=("hf_", "api_org_"),
    ),
    Kind(
        name="model-provider",
        why="keys of Groq, xAI, Perplexity, Replicate, NVIDIA, Tavily, Fireworks, LangSmith",
        example="gsk_… xai-… pplx-… r8_… nvapi-… tvly-… fw_… lsv2_pt_…",
        pattern=r"gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{60,}|pplx-[A-Za-z0-9]{40,}"
        r"|r8_[A-Za-z0-9]{37}|nvapi-[A-Za-z0-9_-]{60,}|tvly-(?:dev-|prod-)?[A-Za-z0-9]{24,}"
        r"|fw_[A-Za-z0-9]{22,24}|lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
        prefixes=("gsk_", "xai-", "pplx-", "nvapi-", "tvly-", "lsv2_"),
        accepts=has_digit,
    ),
    Kind(
        name="azure",
        why="Azure storage and service bus keys, and signatures of shared access URLs",
        example="AccountKey=…== sig=…%3D",
        pattern=r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})"
        r"|sig=([A-Za-z0-9+/%]{40,}(?:=|%3[dD]){1,2})",
        hint=r"AccountKey|SharedAccessKey|sig(?:=|%3[dD]|\\+u003[dD])[A-Za-z0-9+/%\\]{40}",
        prefixes=("AccountKey=", "SharedAccessKey="),
    ),
    Kind(
        name="databricks",
        why="Databricks access tokens",
        example="dapi0123…",
        pattern=r"dapi[0-9a-f]{32}(?:-[0-9])?",
        prefixes=("dapi",),
    ),
    Kind(
        name="platform",
        why="tokens of DigitalOcean, Docker Hub, HashiCorp Vault, Shopify, Linear, Atlassian",
        example="dop_v1_… dckr_pat_… hvs.… shpat_… lin_api_… ATATT3…",
        pattern=r"do[opr]_v1_[0-9a-f]{64}|dckr_pat_[A-Za-z0-9_-]{20,}|hvs\.[A-Za-z0-9_-]{24,}"
        r"|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|lin_api_[A-Za-z0-9]{32,}|ATATT3[A-Za-z0-9_=-]{50,}",
        prefixes=("dop_v1_", "dckr_pat_", "hvs.", "shpat_", "lin_api_", "ATATT3"),
    ),
    Kind(
        name="telegram",
        why="Telegram bot tokens",
        example="123456789:AA…",
        pattern=r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
        hint=r"[0-9]{8}(?::|%3[aA])AA[A-Za-z0-9_-]{33}",
    ),
    Kind(
        name="jwt",
        why="JSON web tokens: sessions, OAuth, Kubernetes and Supabase keys",
        example="eyJhbGciOi….eyJ….…",
        pattern=r"eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
        r"|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})",
        prefixes=("eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi"),
    ),
    Kind(
        name="bearer",
        why="the token of an Authorization header",
        example="Bearer …",
        pattern=r"(?i:bearer)[ +]+([A-Za-z0-9._~+/-]{16,}=*)",
        hint=r"(?i:bearer)(?: |\+|%20)+[A-Za-z0-9._~+/%\\-]{16}",
        prefixes=("Bearer ", "bearer "),
        accepts=has_digit,
    ),
    Kind(
        name="basic",
        why="user and password of an Authorization header",
        example="Basic dXNlcjpw…",
        pattern=r"(?i:basic)[ +]+([A-Za-z0-9+/]{12,}={0,2})",
        # Not a word, as in "basic connectivity" or "Basic Economy".
        hint=r"(?i:basic)(?: |\+|%20)+[A-Za-z0-9][a-z]{0,16}[A-Z0-9+/%][A-Za-z0-9+/%=]{7}",
        prefixes=("Basic ", "basic "),
        accepts=is_login,
    ),
    Kind(
        name="url-password",
        why="the password in a URL: databases, brokers, git remotes",
        example="postgres://user:…@host/db",
        border="",
        pattern=r"[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@\"'<>\\]*:([^\s/?#@\"'<>\\]+)@",
        hint=r"(?:://|%3[aA](?:%2[fF]){2}|:\\+/\\+/|:(?:\\+u002[fF]){2})"
        r"[^\x00-\x20:/?#@\"'<>]*(?::|%3[aA])[^\x00-\x20/?#@\"'<>]+(?:@|%40|\\u0040)",
        prefixes=("postgres://", "postgresql://", "mysql://", "mongodb", "redis://", "amqp://"),
        accepts=lambda found: not is_placeholder(found),
        as_written=True,
    ),
    Kind(
        name="card",
        why="payment card numbers with a known network and a right check digit",
        example="4111 1111 1111 …",
        border=rf"(?:\A|{_CARD_BORDER})",
        pattern=f"(?:{_CARD})" + r"\b",
        hint=_CARD_BEFORE + "(?:" + _CARD.replace(" ", "(?: |%20)") + ")",
        core=_CARD_CORE,
        hint_bytes_max=len("%ff4111%201111%201111%201111"),
        accepts=is_card_number,
    ),
)


def is_placeholder(value: bytes) -> bool:
    """Say whether a value stands for a secret instead of being one, or was redacted already."""
    return (
        b"[redacted:" in value
        or value.startswith((b"$", b"{", b"<", b"%(", b"[REDACTED", b"[FILTERED"))
        or not value.strip(b"*xX.-_ \x00")
        or value.lower() in _STANDS_FOR_ONE
    )


_STANDS_FOR_ONE: Final = frozenset(
    b"null none nil true false undefined string str optional required redacted hidden "
    b"password passwd secret token api_key changeme your_password your_api_key".split()
)
