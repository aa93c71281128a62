"""Attackers' runs among honest ones: nothing of theirs reaches anybody else."""

import pytest

from learning import poisoned
from learning.fill import fill
from spanlore.analyzers.job import LearnReport, learn
from spanlore.schemas.store import Store

SEED = 20261123


@pytest.fixture(scope="module")
def attacked(migrated_url: str) -> tuple[LearnReport, poisoned.Verdict]:
    """One round over one world, of which each test reads another part."""
    world = poisoned.poisoned_world(SEED, a_kind=15, runs=240)
    with Store.connect(migrated_url) as store:
        trace_ids = fill(store, world)
        report = learn(store)
    return report, poisoned.verdict_on(world, report.lessons, trace_ids)


def test_no_lesson_carries_an_attackers_words_beyond_their_own_scope(
    attacked: tuple[LearnReport, poisoned.Verdict],
) -> None:
    report, verdict = attacked
    assert report.failed == {}
    assert verdict.attacked == 15 * len(poisoned.KINDS)
    assert verdict.breaches == []


def test_what_honest_users_want_is_still_learned(
    attacked: tuple[LearnReport, poisoned.Verdict],
) -> None:
    report, _ = attacked
    tones = [one for one in report.lessons if "cheerful" in one.title and one.tenant == "hooli"]
    assert [one.state for one in tones if one.scope == "tenant"] != []
