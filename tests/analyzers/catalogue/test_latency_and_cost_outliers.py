"""Time and tokens that buy nothing: what a run says, what is usual, what is found where planted."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import latency_and_cost_outliers as analyzer
from spanlore.analyzers.counting.spent_ratio import spent_ratio
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.traced import asked, called, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


def test_a_run_says_its_slowest_call_of_each_tool_and_model() -> None:
    calls = [called("look", {"q": 1}, ms=3), called("look", {"q": 2}, ms=70)]
    calls.append(called("tap", ms=9, asked_by="user"))
    found = traced.facts(analyzer, run(calls=calls, model_calls=[asked(ms=500), asked(ms=20)]))
    assert found == {"took|tool:look": (1, 1, 70.0), "took|model:m-1": (1, 1, 500.0)}


def test_a_run_without_known_times_says_nothing_of_time() -> None:
    assert traced.facts(analyzer, run(calls=[called("look")], time_unknown=True)) == {}


def test_a_prefix_that_comes_again_and_is_not_read_from_the_cache_is_missed() -> None:
    hit = [asked(tokens=(2_000, 1), cached=0), asked(tokens=(2_500, 1), cached=1_900)]
    miss = [asked(tokens=(2_000, 1), cached=0), asked(tokens=(2_500, 1), cached=0)]
    short = [asked(tokens=(200, 1), cached=0), asked(tokens=(250, 1), cached=0)]
    unknown = [asked(tokens=(2_000, 1)), asked(tokens=(2_500, 1))]
    other = [asked(tokens=(9_000, 1), cached=0), asked(tokens=(2_000, 1), cached=0)]

    def said(calls: list[ModelCall]) -> tuple[int, int, float] | None:
        found = traced.facts(analyzer, run(model_calls=calls, time_unknown=True))
        return found.get("cache_miss|m-1")

    assert said(hit) == (1, 0, 100.0)
    assert said(miss) == (1, 1, 2_000.0)
    assert (said(short), said(unknown), said(other)) == (None, None, None)


def test_a_ratio_has_the_interval_of_its_units() -> None:
    """Ten units of 100 tokens, of which each other one wasted 40: the ratio is that of a mean."""
    parts, wholes = [0.0, 40.0] * 5, [100.0] * 10
    row = {
        "Part": sum(parts),
        "Whole": sum(wholes),
        "PartPart": sum(one * one for one in parts),
        "PartWhole": sum(one * other for one, other in zip(parts, wholes, strict=True)),
        "WholeWhole": sum(one * one for one in wholes),
        "UnitCount": 10,
    }
    found = spent_ratio(row)
    assert found is not None
    assert found.ratio == pytest.approx(0.2)
    deviation = (sum((one - 20) ** 2 for one in parts) / 9) ** 0.5 / 100
    assert found.interval == pytest.approx(
        (0.2 - 1.959964 * deviation / 10**0.5, 0.2 + 1.959964 * deviation / 10**0.5)
    )
    assert spent_ratio({**row, "UnitCount": 1}).interval is None  # type: ignore[union-attr]
    assert spent_ratio({**row, "Whole": 0}) is None


def timed_runs(seed: int, *, stalls: float, runs: int = 600) -> list[RunTrace]:
    """Make runs of a tool whose time is log-normal; at a rate it takes a minute more."""
    random = Random(seed)
    made = []
    for number in range(runs):
        ms = random.lognormvariate(5, 0.4) + (60_000 if random.random() < stalls else 0)
        calls = [called("look", {"n": number}, ms=ms), called("read", {"n": number}, ms=0.2)]
        made.append(run(number, calls=calls))
    return made


@SEEDS
def test_planted_stalls_are_found_with_their_milliseconds(store: Store, seed: int) -> None:
    found = traced.by_kind(store, analyzer, timed_runs(seed, stalls=0.06))
    assert found.keys() == {"slow"}
    slow = found["slow"]
    assert slow.title == "look take far longer than usual in some runs"
    assert 120 < slow.detail["usual_ms"] < 180
    lost = slow.detail["ms_over_usual_a_run"]
    assert lost["part"] == pytest.approx(60_000 * slow.k, rel=0.01)
    assert lost["interval"][0] < lost["part"] / 600 < lost["interval"][1]


@SEEDS
def test_a_long_tail_that_is_as_usual_is_not_found(store: Store, seed: int) -> None:
    assert traced.by_kind(store, analyzer, timed_runs(seed, stalls=0.0)) == {}


def spending_runs(seed: int, *, costly: float, harm: float, runs: int = 600) -> list[RunTrace]:
    """Make runs of about 1,000 tokens, at a rate of five times that, which fail more often."""
    random = Random(seed)
    made = []
    for number in range(runs):
        is_costly = random.random() < costly
        fails = random.random() < 0.05 + harm * is_costly
        tokens = round(random.lognormvariate(6.9, 0.2)) * (5 if is_costly else 1)
        calls = [asked(tokens=(tokens, 50))]
        outcome = "fail" if fails else "pass"
        made.append(run(number, model_calls=calls, outcome=outcome, time_unknown=True))
    return made


@SEEDS
def test_runs_that_cost_far_more_and_fail_more_are_found(store: Store, seed: int) -> None:
    found = traced.by_kind(store, analyzer, spending_runs(seed, costly=0.25, harm=0.6))
    assert found.keys() == {"outcome", "spent_on_failure"}
    assert found["outcome"].title.startswith("runs that use over 2 times the tokens usual")
    assert found["outcome"].detail["tokens_over_usual"] > 3_000 * found["outcome"].n


@SEEDS
def test_runs_that_cost_more_and_do_not_fail_more_are_not(store: Store, seed: int) -> None:
    assert traced.by_kind(store, analyzer, spending_runs(seed, costly=0.25, harm=0.0)) == {}


def test_tokens_of_failed_runs_are_stated_with_an_interval(store: Store) -> None:
    runs = spending_runs(1, costly=0.25, harm=0.6)
    found = traced.by_kind(store, analyzer, runs)["spent_on_failure"]
    used = [
        (one, sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in one.model_calls))
        for one in runs
    ]
    whole = sum(tokens for _, tokens in used)
    part = sum(tokens for one, tokens in used if one.outcome == "fail")
    spent = found.detail["tokens_on_failure"]
    assert (spent["part"], spent["whole"]) == (part, whole)
    assert spent["interval"][0] < part / whole < spent["interval"][1]
    assert found.detail["by_task"]["tasks"] == 40
    assert len(found.detail["by_task"]["most"]) == 3
    assert found.detail["by_user"] is None


def test_users_are_counted_and_not_named(store: Store) -> None:
    runs = [
        replace(one, user=f"user-{number % 9}")
        for number, one in enumerate(spending_runs(1, costly=0.25, harm=0.6))
    ]
    found = traced.by_kind(store, analyzer, runs)["spent_on_failure"]
    assert found.detail["by_user"].keys() == {"users", "share_of_top_tenth"}
    assert found.detail["by_user"]["users"] == 9


@SEEDS
def test_planted_cache_misses_are_found_with_their_tokens(store: Store, seed: int) -> None:
    random = Random(seed)
    runs = []
    for number in range(300):
        cached = 0 if random.random() < 0.5 else 4_000
        calls = [asked(tokens=(4_000, 9), cached=0), asked(tokens=(5_000, 9), cached=cached)]
        runs.append(run(number, model_calls=calls, time_unknown=True))
    found = traced.by_kind(store, analyzer, runs)
    assert found.keys() == {"cache_miss"}
    missed = found["cache_miss"].detail["tokens_not_cached_a_run"]
    assert missed["part"] == 4_000 * found["cache_miss"].k


def test_tokens_of_failed_runs_are_found_in_runs_read_from_a_store(
    store: Store, tmp_path: Path
) -> None:
    runs = [
        run(number, calls=[called("look", {"q": 1})] * 2, outcome="fail" if number % 2 else "pass")
        for number in range(120)
    ]
    load_lines(store, tmp_path, traced.lines(runs))
    extract_pending(store, Window())
    [found] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert found.detail["tokens_on_failure"]["whole"] == 120 * 220
    assert found.detail["tokens_on_failure"]["part"] == 60 * 220
    repeats = {"tokens_repeated": 120 * 110, "runs_repeated": 120}
    assert found.detail["tokens_on_repeats"] == repeats
