"""The fuzzer's own parts, and a few thousand of its inputs without its guidance."""

import base64
import random
from collections import Counter

import pytest

from spanlore.collector.signals import SIGNALS
from tests.fuzz.case import PACKINGS, Case
from tests.fuzz.door import Doors
from tests.fuzz.mutation import often_mutated
from tests.fuzz.seeds import cases

CHANGED = 1000
CHANGES_MAX = 6
BODY_BYTES_MAX = 16 << 10
SEEDS = tuple(cases())


def test_the_seeds_know_every_way_in() -> None:
    ways = {(seed.signal, seed.is_json) for seed in SEEDS}
    assert ways == {(number, is_json) for number in range(len(SIGNALS)) for is_json in (0, 1)}
    assert {seed.packing for seed in SEEDS} == set(PACKINGS)
    assert all(Case.read(seed.write()) == seed for seed in SEEDS)


def test_what_holds_at_the_door_holds_for_every_seed() -> None:
    doors = Doors()
    taken = Counter(doors.take(seed.write()) for seed in SEEDS)
    assert taken[True] > taken[False] > 0


@pytest.mark.parametrize("seed", [random.randrange(2**32)])
def test_it_holds_for_requests_changed_within_their_structure(seed: int) -> None:
    rng = random.Random(seed)
    doors = Doors()
    taken: Counter[bool] = Counter()
    for _ in range(CHANGED):
        changes = rng.randrange(1, CHANGES_MAX)
        case = often_mutated(rng.choice(SEEDS), rng, changes=changes, body_bytes_max=BODY_BYTES_MAX)
        taken[doors.take(case.write())] += 1
    assert min(taken[True], taken[False]) > CHANGED / 20


def test_what_reads_like_a_secret_only_as_json_is_none() -> None:
    """A key that ends in ``passwd=``, written as JSON before a null."""
    found = base64.b64decode("AQAKFRITEhEqDzINCgsKCToHcGFzc3dkPQ==")
    assert Doors().take(found)


def test_changes_in_a_row_do_not_multiply_a_body_without_bound() -> None:
    spans = next(seed for seed in SEEDS if not seed.is_json and not seed.packing)
    rng = random.Random(1)
    changed = (often_mutated(spans, rng, changes=50, body_bytes_max=4096) for _ in range(50))
    # One change beyond the bound is the last: a field, or what is spliced in its place, 80 times.
    assert max(len(case.body) for case in changed) < 100 * 4096
