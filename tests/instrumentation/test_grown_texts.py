"""Long texts that grow are looked at in part, and found in them is what a look at all finds."""

import random
import threading
from itertools import islice

import pytest

from spanlore.instrumentation.grown_texts import GROWN_BYTES_MIN, Found, GrownTexts
from spanlore.instrumentation.redaction import secrets_in, without_secrets
from tests.collector.planted_secrets import planted

CONVERSATIONS = 30
TURNS = 12
SECRETS = [secret.text for secret in islice(planted(20261129), 200)]
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA1234567890abcdef\n" * 300


def words(rng: random.Random, size: int) -> str:
    letters = "abcdefghijklmnop      =:\"'"
    return "".join(rng.choices(letters, k=size))


def turn(rng: random.Random) -> str:
    """Some words, and where chance will a secret, or a piece of one, or a long key."""
    parts = [words(rng, rng.choice([10, 500, 5_000, 20_000]))]
    if rng.random() < 0.5:
        secret = rng.choice([*SECRETS, PEM])
        parts.append(secret[: rng.randrange(len(secret) + 1)] if rng.random() < 0.3 else secret)
    return rng.choice(["", " ", '", "']).join(parts)


@pytest.mark.parametrize("conversation", range(CONVERSATIONS))
def test_what_is_found_in_a_grown_text_is_what_is_found_in_the_whole(conversation: int) -> None:
    rng = random.Random(conversation)
    memory, text = GrownTexts(secrets_in), "["
    for _ in range(TURNS):
        text += turn(rng)
        if rng.random() < 0.2:  # another conversation that began alike
            text = text[: rng.randrange(len(text))] + turn(rng)
        whole = f"{text}]".encode()
        assert sorted(memory.found(whole)) == sorted(secrets_in(whole))


def test_a_secret_is_taken_out_of_every_turn_after_the_one_that_told_it() -> None:
    secret = "sk-proj-" + "a1B2c3D4" * 8
    rng = random.Random(1)
    text = words(rng, GROWN_BYTES_MIN) + f" {secret} "
    for _ in range(5):
        text += words(rng, GROWN_BYTES_MIN)
        assert secret.encode() not in without_secrets(text.encode())


def test_less_is_looked_at_the_second_time() -> None:
    look = Look()
    memory = GrownTexts(look)
    text = b"some words " * 100_000
    memory.found(text)
    memory.found(text + b"and some more")
    assert look.sizes[0] == len(text)
    assert look.sizes[1] < 20_000


def test_what_is_remembered_is_bounded() -> None:
    look = Look()
    memory = GrownTexts(look)
    texts = [b"%02d " % number * 350_000 for number in range(40)]
    for text in texts:
        memory.found(text)
    look.sizes.clear()
    memory.found(texts[-1])
    memory.found(texts[0])
    assert look.sizes[0] < 20_000 < look.sizes[1]


def test_conversations_that_begin_with_the_same_instructions_are_told_apart() -> None:
    look = Look()
    memory = GrownTexts(look)
    begun = [b"instructions " * 1_000 + b"%d words " % number * 10_000 for number in range(5)]
    for text in begun:
        memory.found(text)
    look.sizes.clear()
    for text in begun:
        memory.found(text + b"and more")
    assert max(look.sizes) < 20_000


def test_another_thread_is_not_waited_for() -> None:
    look, may_go_on, is_at_it = Look(), threading.Event(), threading.Event()

    def look_slowly(text: bytes) -> list[Found]:
        if text.startswith(b"slow"):
            is_at_it.set()
            may_go_on.wait(30)
        return look(text)

    memory = GrownTexts(look_slowly)
    slow = threading.Thread(target=memory.found, args=(b"slow" * GROWN_BYTES_MIN,))
    slow.start()
    assert is_at_it.wait(30)
    memory.found(b"fast" * GROWN_BYTES_MIN)
    assert look.sizes == [4 * GROWN_BYTES_MIN]
    may_go_on.set()
    slow.join(30)


class Look:
    """Finds nothing, and notes how much it was given to look at."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, text: bytes) -> list[Found]:
        self.sizes.append(len(text))
        return []
