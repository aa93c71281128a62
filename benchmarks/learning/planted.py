"""What the analyzers say of worlds whose truth is known: precision and recall.

Recall of an analyzer is the share of planted patterns of its kind that a confirmed finding of it
says. Precision is the share of its confirmed findings, over all worlds, that say something true:
what was planted, or what follows from it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from learning.fill import empty, fill
from learning.world import Make, World
from learning.worlds import (
    change,
    corrections,
    error_cluster,
    failure_location,
    grounding,
    judges,
    loops,
    outliers,
    parser_failures,
    policy,
    routing,
    stale_memory,
    tool_misuse,
    tool_order,
    traps,
    truncation,
    unused,
    workflow,
)
from spanlore.analyzers.job import LearnReport, learn
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding, Lesson

_FAMILIES = (
    change,
    corrections,
    error_cluster,
    failure_location,
    grounding,
    judges,
    loops,
    outliers,
    parser_failures,
    policy,
    routing,
    stale_memory,
    tool_misuse,
    tool_order,
    traps,
    truncation,
    unused,
    workflow,
)
ALL: tuple[Make, ...] = tuple(make for family in _FAMILIES for make in family.ALL)


@dataclass(kw_only=True)
class Tally:
    """What was planted, found, right and false, by analyzer; and what to say about it."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    worlds: int = 0
    traps: int = 0
    traps_with_false: int = 0
    lessons: int = 0
    quarantined: int = 0
    said: list[str] = field(default_factory=list)

    def precision(self, *analyzers: str) -> float | None:
        """Return the share of right findings; of all analyzers where none is named."""
        names = analyzers or tuple(self.right | self.false)
        right = sum(self.right[name] for name in names)
        all_of_them = right + sum(self.false[name] for name in names)
        return right / all_of_them if all_of_them else None

    def recall(self, *analyzers: str) -> float | None:
        """Return the share of planted patterns that were found; None where none was planted."""
        names = analyzers or tuple(self.planted)
        planted = sum(self.planted[name] for name in names)
        return sum(self.found[name] for name in names) / planted if planted else None


def tally_of(
    store: Store,
    seeds: Sequence[int],
    *,
    makes: Iterable[Make] = ALL,
    progress: Callable[[str], None] = lambda _: None,
) -> Tally:
    """Let the analyzers look at every world of every seed."""
    tally = Tally()
    for make in makes:
        for seed in seeds:
            world = make(seed)
            report = looked_at(store, world)
            judge(world, report.findings, tally)
            tally.said += [
                f"{world.name}: {name} failed: {why}" for name, why in report.failed.items()
            ]
            count_lessons(report.lessons, tally)
            progress(f"{world.name}, seed {seed}")
    return tally


def looked_at(store: Store, world: World) -> LearnReport:
    """Empty the store, import the world, and learn from it without writing a lesson."""
    empty(store)
    fill(store, world)
    return learn(store)


def judge(world: World, findings: Iterable[Finding], tally: Tally) -> None:
    """Count what was found of a world's truth, and what else was said."""
    confirmed = list(findings)
    tally.worlds += 1
    for expected in world.truth:
        tally.planted[expected.analyzer] += 1
        if any(expected.is_said_by(finding) for finding in confirmed):
            tally.found[expected.analyzer] += 1
        else:
            tally.said.append(f"{world.name}: missed by {expected.analyzer}: {expected.words}")
    false = [finding for finding in confirmed if not _is_true(finding, world)]
    for finding in confirmed:
        (tally.false if finding in false else tally.right)[finding.analyzer] += 1
    tally.said += [f"{world.name}: false: {one.analyzer}: {one.title}" for one in false]
    if not world.truth:
        tally.traps += 1
        tally.traps_with_false += bool(false)


def count_lessons(lessons: Iterable[Lesson], tally: Tally) -> None:
    """Count lessons, and those that were quarantined though nobody poisoned anything."""
    for lesson in lessons:
        tally.lessons += 1
        tally.quarantined += lesson.state == "quarantined"
        if lesson.state == "quarantined":
            tally.said.append(f"quarantined: {lesson.kind}: {lesson.title}")


def _is_true(finding: Finding, world: World) -> bool:
    return any(one.is_said_by(finding) for one in (*world.truth, *world.follows))
