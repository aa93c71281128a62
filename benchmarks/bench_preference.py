"""Power and false discoveries of `preference_override` on worlds whose truth is known.

A confirmed finding is right when slot, value and the users of its group are those of a planted
preference; narrow when its users are only some of them; else false. Power is the share of planted
preferences with a right finding. It leaks if some of its evidence is of others than its group, or
if its group has a tenant that neither wants it nor has a run among those counted for it. The
gate's verdicts are those on the lessons of right findings.
"""

import argparse
import os
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from preference_worlds import LEVELS, Preference, World, choices_in, world
from spanlore.analyzers.catalogue.preference_override import preference_hypotheses
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.evaluation.memory_gate import held_out_match
from spanlore.analyzers.lessons.memory_lesson import memory_lessons
from spanlore.analyzers.preferences.preference_counts import Group
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.preferences.slot_values import slot_of
from spanlore.schemas.types import Finding

PREFERENCES_A_WORLD = 3
GOALS = {"power": 0.9, "FDR": 0.05, "right scope": 0.9}


@dataclass(kw_only=True)
class Tally:
    """What came of the worlds of one size."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    gate: Counter[str] = field(default_factory=Counter)
    false_shares: list[float] = field(default_factory=list)
    null_worlds: int = 0
    null_false: int = 0
    leaks: int = 0
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--null-worlds", type=int, default=100)
    parser.add_argument("--runs", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--verbose", action="store_true", help="say what was missed or wrong")
    options = parser.parse_args()
    python = platform.python_version()
    print(f"- machine: {os.cpu_count()} cores, {platform.platform()}, Python {python}")
    print(
        f"- seed {options.seed}, {options.worlds} worlds with preferences, "
        f"{options.null_worlds} without, goals at 2,000 runs: {GOALS}, 0 leaks\n"
    )
    print(
        f"| runs | {' | '.join(f'power: {level}' for level in LEVELS)} | power | FDR | right scope "
        "| too narrow | leaks | null worlds with a false finding | gate: pass / inconclusive / "
        "fail | s a world |"
    )
    print("| ---: " * (len(LEVELS) + 9) + "|")
    plans = list(combinations(LEVELS, PREFERENCES_A_WORLD))
    for runs in options.runs:
        tally = Tally()
        for number in range(options.worlds + options.null_worlds):
            levels = plans[number % len(plans)] if number < options.worlds else ()
            judge(world(options.seed + number, levels=levels), runs, tally)
        print(row(runs, tally))
        if options.verbose:
            print("\n".join(tally.said))


def row(runs: int, tally: Tally) -> str:
    """Render the worlds of one size."""
    findings = sum(tally.kinds.values())
    powers = [f"{tally.found[level] / max(tally.planted[level], 1):.2f}" for level in LEVELS]
    worlds = len(tally.false_shares) + tally.null_worlds
    cells = [
        f"{runs:,}",
        *powers,
        f"**{sum(tally.found.values()) / max(sum(tally.planted.values()), 1):.3f}**",
        f"**{sum(tally.false_shares) / max(len(tally.false_shares), 1):.3f}**",
        f"**{tally.kinds['right'] / max(findings, 1):.3f}**",
        f"{tally.kinds['narrow'] / max(findings, 1):.3f}",
        f"**{tally.leaks}**",
        f"{tally.null_false} of {tally.null_worlds}",
        " / ".join(str(tally.gate[verdict]) for verdict in ("pass", "inconclusive", "fail")),
        f"{tally.seconds / worlds:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def judge(the_world: World, runs: int, tally: Tally) -> None:
    """Let the users of a world work, analyse the runs, and count what was right."""
    choices = choices_in(the_world, runs)
    begun = time.perf_counter()
    confirmed = [one for one in findings_of(list(preference_hypotheses(choices))) if one.confirmed]
    tally.seconds += time.perf_counter() - begun
    kinds = Counter[str]()
    found: set[Preference] = set()
    for finding in confirmed:
        kind, truth = kind_of(finding, the_world)
        kinds[kind] += 1
        tally.leaks += leaks(finding, the_world, choices)
        if kind == "right" and truth is not None:
            found.add(truth)
            [lesson] = memory_lessons([finding])
            tally.gate[str(held_out_match(lesson, choices)["verdict"])] += 1
        else:
            tally.said.append(f"{the_world.seed}: {kind}: {finding.title}; truth: {truth}")
    for one in the_world.preferences:
        tally.planted[one.group.level] += 1
        tally.found[one.group.level] += one in found
        if one not in found:
            tally.said.append(f"{the_world.seed}: missed: {one}")
    if the_world.preferences:
        tally.kinds += kinds
        tally.false_shares.append(kinds["false"] / max(len(confirmed), 1))
    else:
        tally.null_worlds += 1
        tally.null_false += bool(confirmed)


def kind_of(finding: Finding, the_world: World) -> tuple[str, Preference | None]:
    """Say whether a finding is right, narrow or false, and what it is about."""
    slot, value = slot_of(finding.detail["slot"]), finding.detail["value"]
    mine = members(group_of(finding), the_world)
    same = [one for one in the_world.preferences if (one.slot, one.value) == (slot, value)]
    for one in same:
        theirs = members(one.group, the_world)
        if mine <= theirs:
            return ("right" if mine == theirs else "narrow"), one
    return "false", next(iter(same), None)


def leaks(finding: Finding, the_world: World, choices: Sequence[SlotChoice]) -> bool:
    """Whether evidence lies outside of the scope, or a tenant is given what only others want."""
    group, slot = group_of(finding), slot_of(finding.detail["slot"])
    value, evidence = finding.detail["value"], {*finding.evidence}
    if any(one.trace_id in evidence and not group.holds(one) for one in choices):
        return True
    told_by = {
        one.tenant
        for one in choices
        if one.slot == slot and one.overridden and one.final == value and group.holds(one)
    }
    wanted_by = {
        tenant
        for one in the_world.preferences
        if (one.slot, one.value) == (slot, value)
        for tenant, _ in members(one.group, the_world)
    }
    return not {tenant for tenant, _ in members(group, the_world)} <= told_by | wanted_by


def members(group: Group, the_world: World) -> set[tuple[str, str]]:
    """Return (tenant, user) of all who belong to the group."""
    return {
        (user.tenant, user.name)
        for user in the_world.users
        if group.has(tenant=user.tenant, user=user.name, segments=user.segments)
    }


def group_of(finding: Finding) -> Group:
    """Return the group that a finding is about."""
    scope = finding.detail["scope"]
    segment = [
        part
        for name, value in scope["selector"].items()
        for part in (name.removeprefix("segment."), value)
    ]
    return Group(
        tenant=scope["tenant"] or "",
        user=scope["key"] if scope["level"] == "user" else "",
        segment=tuple(segment),
    )


if __name__ == "__main__":
    main()
