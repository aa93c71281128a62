import base64
import json
import random
import re
import stat
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector.redaction.key import FILE_NAME, KeyFileError, load_or_create_key
from spanlore.collector.redaction.own_patterns import PatternError, read_patterns
from spanlore.collector.redaction.redactor import Redactor
from spanlore.schemas.secret_kinds import KINDS
from spanlore.schemas.secret_names import field_kind, is_secret_name
from tests.collector.planted_secrets import (
    FOUND_KINDS,
    MADE_KINDS,
    Planted,
    in_base64,
    planted,
    ways,
)
from tests.collector.revealed import revealed

ROOT = Path(__file__).parents[2]
KEY = b"k" * 32
REDACTOR = Redactor(KEY)
SEED = 20261128


def redacted(text: str, redactor: Redactor = REDACTOR) -> tuple[str, Counter[str]]:
    found: Counter[str] = Counter()
    return redactor.redact(text.encode(), found).decode(), found


def some_of_each(rounds: int) -> Iterator[Planted]:
    return islice(planted(SEED), MADE_KINDS * rounds)


def test_every_kind_is_found_in_every_way_a_text_is_written_into_another() -> None:
    found: Counter[str] = Counter()
    for secret in some_of_each(3):
        for way, text in ways(secret.text).items():
            after, kinds = redacted(text)
            found += kinds
            assert kinds, (secret, way)
            assert secret.secret.encode() not in revealed(after.encode()), (secret, way, after)
    assert found.keys() == FOUND_KINDS


def test_a_secret_in_base64_is_found_wherever_it_falls_and_the_rest_of_it_stays() -> None:
    for secret in some_of_each(3):
        if not secret.is_found_in_base64:
            continue
        for way, text in in_base64(secret.text).items():
            after, kinds = redacted(f"file {text} end")
            assert kinds, (secret, way)
            inside = base64.b64decode(after.split()[1])
            assert secret.secret.encode() not in inside
            before = base64.b64decode(text).partition(secret.secret.encode())[0]
            assert inside.startswith(before.partition(b"-----")[0][:4])


def test_a_kind_says_why_it_is_one_and_is_named_once() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names) >= 20
    assert all(kind.why and kind.example for kind in KINDS)


def test_the_documentation_lists_every_kind_as_the_table_has_it() -> None:
    document = (ROOT / "collector" / "docs" / "redaction.md").read_text()
    rows = re.findall(r"^\| ([a-z-]+) \| (.+) \| `(.+)` \|$", document, re.MULTILINE)
    ours = [(kind.name, kind.why, kind.example.replace("\n", "\\n")) for kind in KINDS]
    assert [row for row in rows if row[0] not in ("kind", "password", "credential")] == ours


@pytest.mark.parametrize(
    "text",
    [
        "reservation 4WQ150, order #W5918442, flight HAT263 on 2024-05-15",
        "123e4567-e89b-12d3-a456-426614174000",
        "conv_2b323543586840352425e827 resp_bb5345374873002319aeebc7c3f4e589",
        "call_abcdefghijklmnopqrstuvwx chatcmpl-tool-c2291753654640759fce8320dddc1f3a",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "1790000000000000000 1767607200123456 0.4539578763621486 4539578763621485",
        "credit_card_4421486 payment method gift_card_1402274, +1 415 555 2671",
        "Basic Economy, basic connectivity, basic authentication, Basic YWJjZGVmZ2hpamts",
        "the bearer of this letter, a bearer token, Bearer authentication-and-authorization",
        "task-oriented-dialogue-systems-with-retrieval and risk-adjusted-returns",
        "max_tokens=4096 input_tokens: 1200, next_page_token=CAUQAA1234567890abcd",
        "password = getpass() ; password=self.settings.password ; connect(password=db_password)",
        '{"password": {"type": "string"}, "required": ["password", "token"]}',
        '{"token": " responsibilities", "logprob": -0.1}',
        "api_key=os.environ['KEY'] password=${DB_PASSWORD} password=<your password> pass",
        "Reset your password: click the link. Forgot password? Your token: see below",
        "https://example.org:8080/a@b?x=1 http://localhost:4318/v1/traces me@example.org",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "arn:aws:iam::123456789012:role/Reader AIDAJQABLZS4A3QDU576Q",
        "PWD=/home/ada HOME=/root PATH=/usr/bin",
        "[redacted:password:1a2b3c4d] password=[redacted:password:1a2b3c4d]",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END",
        "write to ada@example.org, 12 Main Street, born 1990-01-02",
    ],
)
def test_what_an_analysis_needs_is_left_alone(text: str) -> None:
    for written in ways(text).values():
        assert redacted(written) == (written, Counter())


def test_a_mark_joins_equal_secrets_and_tells_nothing_without_the_key() -> None:
    [secret, other] = (made for made in some_of_each(2) if made.kind == "github")
    plain, _ = redacted(f"token {secret.text}!")
    nested, _ = redacted(json.dumps({"a": f"\n{secret.text}"}))
    mark = plain.split()[1].rstrip("!")
    assert mark.startswith("[redacted:github:")
    assert mark in nested
    assert mark not in redacted(other.text)[0]
    assert mark not in redacted(secret.text, Redactor(b"x" * 32))[0]


def test_json_stays_json_around_what_was_taken_out() -> None:
    inner = json.dumps({"password": 'hun"ter\\2 ä', "note": 'he said "hi"\n'})
    after, found = redacted(json.dumps({"arguments": inner, "n": 1}))
    outer = json.loads(after)
    document = json.loads(outer["arguments"])
    assert document["password"].startswith("[redacted:password:")
    assert (document["note"], outer["n"], found) == ('he said "hi"\n', 1, {"password": 1})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("db.password", "hunter2", "password"),
        ("http.request.header.x-api-key", "0123456789abcdef", "credential"),
        ("clientSecret", "correct-horse", "credential"),
        ("session_token", "abcdefgh12345678", "credential"),
        ("session_token", "abcdefgh", None),
        ("next_page_token", "abcdefgh12345678", None),
        ("password", "null", None),
        ("password_policy", "at least 8 letters", None),
        ("authorization", "required by the user", None),
        ("gen_ai.usage.input_tokens", "abcdefgh12345678", None),
    ],
)
def test_a_name_that_promises_a_secret_is_believed_if_its_value_can_be_one(
    name: str, value: str, kind: str | None
) -> None:
    promises = is_secret_name(name.encode())
    assert (field_kind(name.encode(), value.encode()) if promises else None) == kind


def test_own_patterns_are_read_and_what_they_match_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("email = '[\\w.+-]+@[\\w-]+\\.[\\w.-]+'\nname = '(?i)\\bmüller\\b'\n")
    redactor = Redactor(KEY, read_patterns(file))
    text = "MÜLLER <ada@example.org> wrote"
    for written in ways(text).values():
        after, found = redacted(written, redactor)
        assert found["email"] == 1, written
        assert b"ada@example.org" not in revealed(after.encode())
    assert redacted(text, redactor)[1] == {"email": 1, "name": 1}
    assert redacted(text) == (text, Counter())


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
        r"^[0-9]{3}-[0-9]{2}-[0-9]{4}$",
        r"(?:^|[^0-9])[0-9]{3}-[0-9]{2}-[0-9]{4}(?:$|[^$^0-9])",
        r"\Q123-45\E-\pN{4}\z",
        r"\A[[:digit:]-]{11}",
    ],
)
def test_an_own_pattern_may_ask_for_borders_that_raw_bytes_do_not_show(pattern: str) -> None:
    redactor = Redactor(KEY, {"number": pattern})
    # A text between a length and a tag that are letters: J is the tag of a span's attributes.
    assert redactor.suspects(b"\x0aJ123-45-6789J\x12")
    assert redacted("123-45-6789", redactor)[1] == {"number": 1}
    assert not redactor.suspects(b"\x0aJ123 45 6789J\x12")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("email = [", "cannot be read"),
        ("email = '(a'", "RE2"),
        ("email = '(?=a)'", "look-around"),
        ("email = 'a*'", "empty text"),
        ("email = 3", "no pattern"),
        ("'E mail' = 'a'", "no name"),
    ],
)
def test_a_file_of_patterns_that_cannot_work_says_what_to_do(
    tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(PatternError, match=says):
        read_patterns(file)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "data")
    assert load_or_create_key(tmp_path / "data") == key
    path = tmp_path / "data" / FILE_NAME
    assert (len(key), stat.S_IMODE(path.stat().st_mode)) == (32, 0o600)
    path.write_text("no key")
    with pytest.raises(KeyFileError, match="restore it"):
        load_or_create_key(tmp_path / "data")


def work(text: bytes) -> int:
    """Count the bytes that any rule is given for a text."""
    redactor = Redactor(KEY)
    given = 0

    def counted(rule: Any) -> Any:
        def find(view: bytes) -> Iterator[tuple[int, int, str]]:
            nonlocal given
            given += len(view)
            yield from rule(view)

        return find

    redactor.tokens = [counted(rule) for rule in redactor.tokens]
    redactor.values = [counted(rule) for rule in redactor.values]
    redactor.redact(text, Counter())
    return given


@pytest.mark.parametrize(
    "piece",
    [
        b"sk-ant-abc ",
        b"-----BEGIN PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n",
        b'password="',
        b'\\"password\\":\\"',
        b"password=hunter2&",
        b"://a:b",
        b"postgres://a:b7c@h ",
        b"%41%25%34%31",
        b"\\\\\\\\u0041",
        b"eyJhbGciOi.eyJ",
        b"QUtJQUFCQ0RFRkdI",
        b"4111 1111 1111 1111 ",
        b"Bearer aaaa",
        b"a",
    ],
)
def test_ten_times_the_text_is_ten_times_the_work(piece: bytes) -> None:
    small = work(piece * 200 + b" sk_live_" + b"7" * 24)
    large = work(piece * 2000 + b" sk_live_" + b"7" * 24)
    assert 0 < large <= 11 * small
    assert large <= (len(piece) * 2000 + 100) * RULE_RUNS_MAX


# A rule sees a text once in each of its five levels, and once more inside base64.
RULE_RUNS_MAX = 2 * 5 * (len(KINDS) + 4)


def test_random_bytes_come_back_as_they_are_but_for_what_is_marked() -> None:
    rng = random.Random(SEED)
    for _ in range(300):
        data = rng.randbytes(rng.randrange(2000))
        found: Counter[str] = Counter()
        assert REDACTOR.redact(data, found) == data or found
