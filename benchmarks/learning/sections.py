"""The sections of the table, each a few rows."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import bench_preference
import judge_coverage
from learning import planted, poisoned, recorded, scale, shuffles
from learning.fill import empty, fill, scratch_store
from learning.table import Row, share
from preference_worlds import LEVELS, world
from spanlore.analyzers.job import learn

PRECISION_MIN, RECALL_MIN = 0.95, 0.9
FALSE_SHARE_MAX = 0.05
QUARANTINE_SHARE_MAX = 0.02
COVERAGE_MIN = 0.93
GROWTH_MAX = 1.2
"""Times as much CPU a span at the larger size; 1 is linear."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How much to do. ``data`` is the folder of recorded runs, None where there is none."""

    quick: bool
    seed: int
    data: Path | None
    rounds: int
    say: Callable[[str], None]


def planted_rows(asked: Asked) -> Iterator[Row]:
    """Yield precision and recall on planted patterns, of each analyzer and of all together."""
    seeds = [asked.seed + number for number in range(1 if asked.quick else 5)]
    with scratch_store() as store:
        tally = planted.tally_of(store, seeds, progress=asked.say)
    for text in tally.said:
        asked.say(text)
    goal = f"precision ≥ {PRECISION_MIN}, recall ≥ {RECALL_MIN}"
    for name in ("", *sorted(tally.planted | tally.right | tally.false)):
        of = (name,) if name else ()
        precision, recall = tally.precision(*of), tally.recall(*of)
        names = of or tuple(tally.planted)
        counts = (
            f"{sum(tally.found[one] for one in names)} of "
            f"{sum(tally.planted[one] for one in names)} planted, "
            f"{tally.false.total() if not name else tally.false[name]} false"
        )
        yield Row(
            what=f"planted patterns: {name or f'together ({tally.worlds} worlds)'}",
            measured=f"precision {share(precision)}, recall {share(recall)} ({counts})",
            goal=goal,
            reached=(precision is None or precision >= PRECISION_MIN)
            and (recall is None or recall >= RECALL_MIN),
        )
    yield Row(
        what="traps (nothing, A/A, task mix, an agent's habit): with a false finding",
        measured=f"{tally.traps_with_false} of {tally.traps}",
        goal=f"≤ {FALSE_SHARE_MAX:.0%}",
        reached=tally.traps_with_false <= FALSE_SHARE_MAX * tally.traps,
    )
    yield Row(
        what="lessons from clean worlds that were quarantined",
        measured=f"{tally.quarantined} of {tally.lessons}",
        goal=f"≤ {QUARANTINE_SHARE_MAX:.0%}",
        reached=tally.quarantined <= QUARANTINE_SHARE_MAX * tally.lessons,
    )


def shuffle_rows(asked: Asked) -> Iterator[Row]:
    """Yield in how many analyses of shuffled outcomes something false was confirmed."""
    if asked.data is None:
        return
    false = []
    for found in shuffles.false_findings(
        asked.data, rounds=asked.rounds, seed=asked.seed, progress=asked.say
    ):
        false.append(len(found))
        for one in found:
            asked.say(f"false under a shuffle: {one}")
    with_false = sum(number > 0 for number in false)
    yield Row(
        what=f"analyses with a false finding, outcomes shuffled within tasks ({len(false)} times)",
        measured=f"{with_false} ({with_false / len(false):.1%}), {sum(false)} findings in all",
        goal=f"≤ {FALSE_SHARE_MAX:.0%}",
        reached=with_false <= FALSE_SHARE_MAX * len(false),
    )


def preference_rows(asked: Asked) -> Iterator[Row]:
    """Yield power, false discoveries, scope and leaks on users with known preferences."""
    worlds, empty_worlds = (30, 15) if asked.quick else (200, 100)
    plans = list(combinations(LEVELS, bench_preference.PREFERENCES_A_WORLD))
    for runs in (500, 2000):
        tally = bench_preference.Tally()
        for number in range(worlds + empty_worlds):
            levels = plans[number % len(plans)] if number < worlds else ()
            bench_preference.judge(world(asked.seed + number, levels=levels), runs, tally)
        power = sum(tally.found.values()) / sum(tally.planted.values())
        false = sum(tally.false_shares) / len(tally.false_shares)
        scope = tally.kinds["right"] / max(sum(tally.kinds.values()), 1)
        measured = (
            f"power {power:.3f}, FDR {false:.3f}, right scope {scope:.3f}, {tally.leaks} leaks, "
            f"{tally.null_false} of {tally.null_worlds} empty worlds with a false finding"
        )
        yield Row(
            what=f"preferences of simulated users, {runs:,} runs ({worlds} worlds)",
            measured=measured,
            goal="power ≥ 0.9, FDR ≤ 0.05, scope ≥ 0.9, 0 leaks" if runs == 2000 else "",
            reached=(power >= 0.9 and false <= 0.05 and scope >= 0.9 and not tally.leaks)
            if runs == 2000
            else None,
        )


def poisoned_rows(asked: Asked) -> Iterator[Row]:
    """Yield what of attackers' runs got into lessons for others."""
    with scratch_store() as store:
        for seed in range(asked.seed, asked.seed + (1 if asked.quick else 5)):
            empty(store)
            made = poisoned.poisoned_world(seed)
            trace_ids = fill(store, made)
            verdict = poisoned.verdict_on(made, learn(store).lessons, trace_ids)
            for text in verdict.breaches:
                asked.say(f"broke out: {text}")
            yield Row(
                what=f"poisoned runs: {verdict.attacked} of {len(made.lines)}, "
                f"{len(poisoned.KINDS)} kinds, seed {seed}",
                measured=f"{len(verdict.breaches)} beyond the attackers' own scope "
                f"({verdict.lessons} lessons: {verdict.quarantined} quarantined, "
                f"{verdict.own_scope} in their own scope, {verdict.waiting} without their words "
                "waiting for a person)",
                goal="0",
                reached=not verdict.breaches,
            )


def judge_rows(asked: Asked) -> Iterator[Row]:
    """Yield how often the corrected interval of a judge holds the truth, with 30 labels."""
    found = judge_coverage.judge_coverage(asked.seed, 100 if asked.quick else 1000)
    corrected = [one for one in found if one.method == "prediction_powered"]
    least = min(corrected, key=lambda one: one.coverage)
    mean = sum(one.coverage for one in corrected) / len(corrected)
    given = sum(one.given for one in corrected) / len(corrected)
    yield Row(
        what=f"corrected interval of a judge holds the truth, {judge_coverage.GOLD_LABELS} labels "
        f"({len(corrected)} judges and pass rates)",
        measured=f"{mean:.3f} on average, {least.coverage:.3f} at the worst; given in {given:.0%}",
        goal=f"≥ {COVERAGE_MIN} on average",
        reached=mean >= COVERAGE_MIN,
    )


def scale_rows(asked: Asked) -> Iterator[Row]:
    """Yield time, memory and disk of learning from many spans, and how they grow."""
    sizes = (60_000, 240_000) if asked.quick else (1_000_000, 5_000_000)
    first: dict[str, scale.Cost] = {}
    begun = time.monotonic()
    for when, cost in scale.costs(sizes, progress=asked.say):
        before = first.setdefault(when, cost)
        times, most = cost.cpu_s / before.cpu_s, GROWTH_MAX * cost.spans / before.spans
        is_larger = cost is not before and when == "all"
        grown = f", {times:.1f} x" if cost is not before else ""
        yield Row(
            what=f"learning from {cost.spans:,} spans, {when}",
            measured=f"extracting {cost.extracting_s:,.1f} s, counting {cost.counting_s:,.1f} s; "
            f"CPU of all processes {cost.cpu_s:,.0f} s{grown}, "
            f"{1000 * cost.cpu_s / cost.new_runs:,.1f} ms a new run; "
            f"peak RSS learner {cost.learner_peak_bytes // _MIB:,} MiB, store "
            f"{cost.store_peak_bytes // _MIB:,} MiB; disk facts {cost.facts_bytes // _MIB:,} MiB "
            f"of {cost.spans_bytes // _MIB:,} MiB spans; {cost.failed} analyzers failed",
            goal=f"≤ {most:.1f} x" if is_larger else "",
            reached=times <= most if is_larger else None,
        )
    asked.say(f"scale: {time.monotonic() - begun:,.0f} s")


def recorded_rows(asked: Asked) -> Iterator[Row]:
    """Yield the findings on the recorded runs, each counted again from the lines."""
    if asked.data is None:
        return
    with scratch_store() as store:
        yield from recorded.rows(store, asked.data, say=asked.say)
