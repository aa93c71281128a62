"""The scan by Hyperscan says of any bytes what RE2 says of them."""

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.collector.redaction import scan
from spanlore.collector.redaction.hints import CORED_HINTS, SECRET_HINT, TEXT_HINTS, compiled
from spanlore.collector.redaction.scan import SecretScan
from spanlore.schemas.secret_kinds import KINDS
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import traces
from tests.collector.planted_secrets import MADE_KINDS, in_base64, planted, ways

hyperscan = pytest.importorskip("hyperscan")

SEED = 20261129
RE2 = compiled(SECRET_HINT)
SCAN = SecretScan(re2_bytes_max=0)
SECRETS = [made.text for made in islice(planted(SEED), MADE_KINDS)]
WRITTEN = [
    written.encode()
    for text in SECRETS
    for written in (*ways(text).values(), *in_base64(text).values())
]
# Of each network, as solid digits and in the groups it is printed in.
NUMBERS = [
    *((f"{first}{'1' * (16 - len(first))}", (4, 4, 4, 4)) for first in ("4", "51", "2221", "35")),
    *((f"{first}{'1' * (16 - len(first))}", (4, 4, 4, 4)) for first in ("6011", "65", "644")),
    *((f"{first}{'1' * 13}", (4, 6, 5)) for first in ("34", "37")),
    *((f"{first}{'1' * (14 - len(first))}", (4, 6, 4)) for first in ("300", "305", "36", "38")),
    ("1" * 16, (4, 4, 4, 4)),
    ("3061" + "1" * 10, (4, 6, 4)),
]
SEPARATORS = ("", " ", "%20", "-", ".")
BORDERS = (b"", *(bytes([byte]) for byte in range(256)), b"%2e", b"%fF", b"%g1", b"\x0a1", b"\xff4")


def agrees(data: bytes) -> bool:
    """Check that both say the same, and say it."""
    answer = RE2.search(data) is not None
    assert SCAN.suspects(data) is answer, data[:2000]
    return answer


def cards() -> Iterator[bytes]:
    for (digits, groups), *between in product(NUMBERS, SEPARATORS, SEPARATORS):
        at = [sum(groups[:number]) for number in range(len(groups) + 1)]
        parts = [digits[start:end] for start, end in pairwise(at)]
        written = parts[0] + "".join(
            between[number % 2] + part for number, part in enumerate(parts[1:])
        )
        yield written.encode()


def test_it_is_hyperscan_that_is_tested_here() -> None:
    agrees(b"any")
    assert SCAN.is_fast


def test_both_say_the_same_of_every_kind_however_it_is_written_and_cut() -> None:
    assert all(agrees(written) for written in map(str.encode, SECRETS))
    assert sum(agrees(written) for written in WRITTEN) > len(WRITTEN) * 0.9
    for text in map(str.encode, SECRETS):
        cuts = [agrees(text[:end]) for end in range(len(text))]
        cuts += [agrees(text[start:]) for start in range(len(text))]
        assert not all(cuts)


def test_both_say_the_same_of_card_numbers_in_any_groups_behind_any_byte() -> None:
    every = list(cards())
    seen = [agrees(border + card) for card in every for border in (b" ", b"x", b"1", b"\x0a\x10")]
    assert min(seen.count(True), seen.count(False)) > 100
    for card in every[:: len(every) // 8]:
        for before, border, behind in product((b"", b"a", b"-1"), BORDERS, (b"", b"1", b"\xff")):
            agrees(before + border + card + behind)


def keys() -> Iterator[bytes]:
    """Give keys that promise a secret, short and long, behind their tags and lengths."""
    for name, size in product((b"password", b"Api-Key", b"x.TOKEN"), (0, 1, 200, 240, 260, 3000)):
        filler = b"ab-" * (size // 3)
        tags = (b"\x0a", b"\x8a\x00", b"\x8a" + b"\x80" * 300 + b"\x00", b"\x8a", b"\x09")
        for tag, length in product(tags, (b"\x08", b"\xff\x01", b"\xff" * 300 + b"\x01", b"")):
            yield tag + length + filler + name


def test_both_say_the_same_of_keys_of_any_length_before_any_byte() -> None:
    seen = [agrees(key + bytes([byte])) for key in keys() for byte in (0, 0x12, 0x0F, 0x20, 0x30)]
    assert min(seen.count(True), seen.count(False)) > 100
    for key in islice(keys(), 0, None, 17):
        for byte, before in product(range(256), (b"", b" a text, " * 40, b"a" * 300)):
            agrees(before + key + bytes([byte]))
        agrees(b"words " * 60 + key)


def test_what_is_within_reach_of_a_core_settles_whether_there_is_a_match() -> None:
    texts = [border + card for card in cards() for border in BORDERS]
    texts += [key + b"\x12" for key in keys()]
    for cored in CORED_HINTS:
        hint, core = compiled(cored.hint), compiled(cored.core)
        found = [match for text in texts if (match := hint.search(text))]
        assert all(core.search(match[0]) for match in found)
        within = [match for match in found if len(match[0]) <= cored.reach_bytes]
        beyond = [match[0][-cored.reach_bytes :] for match in found if match not in within]
        others = [len(end.translate(None, cored.endless)) for end in beyond]
        assert max(others, default=0) == cored.others_max
        assert cored.endless or max(len(match[0]) for match in within) == cored.reach_bytes


def test_the_hints_say_nothing_that_the_two_read_differently() -> None:
    for hint in (*TEXT_HINTS, *(cored.core for cored in CORED_HINTS)):
        escaped = {letter for letter in re.findall(r"\\(.)", hint) if letter.isalpha()}
        assert escaped <= {"x", "z", "t", "A"}, "\\s and others are not the same bytes to both"
        bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", hint)
        assert not {".", "^", "$"} & set(bare), "newlines are not the same to both"


PIECES = st.one_of(
    st.sampled_from(WRITTEN),
    st.sampled_from(list(cards())),
    st.sampled_from(list(keys())),
    st.sampled_from([prefix.encode() for kind in KINDS for prefix in kind.prefixes]),
    st.sampled_from(
        [b"password", b"API_KEY", b"\x0a\x08", b"\x12\x04", b"://", b"%3D", b"\\u003a"]
    ),
    st.integers(0, 40).map(lambda count: b"7" * count),
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
)


def changed(data: bytes, place: int, byte: int) -> bytes:
    at = place % (len(data) or 1)
    return data[:at] + bytes([byte]) + data[at + 1 :]


@given(st.lists(PIECES, max_size=8), st.integers(0), st.integers(0, 255))
def test_both_say_the_same_of_pieces_of_secrets_in_any_order(
    pieces: list[bytes], place: int, byte: int
) -> None:
    data = b"".join(pieces)
    agrees(data)
    agrees(changed(data, place, byte))


@given(
    st.sampled_from(WRITTEN),
    st.sampled_from([b"words of a text, ", b"\x0a\x10\x12", b"4111 1111 ", b"4", b"-", b"Basic "]),
    st.sampled_from([0, 100, 10_000, 1 << 20]),
    st.integers(0),
)
def test_both_say_the_same_of_a_secret_anywhere_in_much_text(
    secret: bytes, filler: bytes, size: int, place: int
) -> None:
    text = filler * (size // len(filler))
    at = place % (len(text) + 1)
    agrees(text)
    agrees(text[:at] + secret + text[at:])


@pytest.mark.parametrize("numbers", [10, 1000, 100_000])
def test_a_card_among_numbers_that_look_like_one_is_found(numbers: int) -> None:
    rng = random.Random(SEED)
    # At the many of the last Hyperscan gives up, and RE2 goes on.
    near = [b"4111 1111 %03d" % rng.randrange(1000) for _ in range(numbers)]
    assert agrees(b", ".join(near)) is False
    near[rng.randrange(numbers)] = b"4111-1111-1111-1111"
    assert agrees(b", ".join(near)) is True


def test_many_threads_at_once_say_what_one_says() -> None:
    rng = random.Random(SEED)
    clean = b"a run of words without anything, 2024-05-15 1234 5678 " * 200
    texts = [clean + rng.choice((b"", *WRITTEN)) + clean for _ in range(400)]
    expected = [RE2.search(text) is not None for text in texts]
    for each in (SCAN, SecretScan(re2_bytes_max=1 << 20)):
        with ThreadPoolExecutor(8) as threads:
            answers = [list(threads.map(each.suspects, texts * 3)) for _ in range(2)]
        assert answers == [expected * 3] * 2
        assert each.is_fast


def test_a_scan_of_few_bytes_compiles_nothing() -> None:
    scan = SecretScan(re2_bytes_max=1000)
    assert not scan.suspects(b"a" * 999)
    assert scan.suspects(b"4111111111111111")
    assert not scan.is_fast
    assert scan.suspects(b"4111111111111111")
    assert scan.is_fast


def test_where_hyperscan_cannot_work_re2_goes_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing() -> None:
        raise hyperscan.ArchitectureError("this machine is too old")

    monkeypatch.setattr(scan, "_database", refusing)
    slow = SecretScan(re2_bytes_max=0)
    answers = [slow.suspects(text) for text in (b"any", b"4111111111111111") * 2]
    assert answers == [False, True] * 2
    assert not slow.is_fast
    assert caplog.text.count("Hyperscan cannot be used here") == 1


def test_recorded_runs_are_scanned_alike(recorded_runs: Path) -> None:
    for file in recorded_runs.glob("*.jsonl"):
        data = file.read_bytes()
        for start in range(0, len(data), 100_000):
            agrees(data[start : start + 100_000])


def test_a_collector_without_the_package_says_so_once_and_redacts_as_well(data_dir: Path) -> None:
    module = "tests.collector.collector_without_hyperscan"
    with CollectorProcess(data_dir, NOWHERE, module=module) as collector:
        collector.export(traces(1, text="paid with 4111 1111 1111 1111"))
        assert collector.status()["redacted"] == {"card": 1}
        assert collector.stop() == 0
    assert sum("hyperscan is not installed" in line for line in collector.said) == 1
