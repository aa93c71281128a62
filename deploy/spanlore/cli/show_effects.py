"""How `spanlore demo` shows what the lessons did: both arms, intervals, verdicts, and the log."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from spanlore.cli.output import one_line, print_table
from spanlore.cli.show_lessons import SHORT_ID, holds_for
from spanlore.schemas.types import Arm, Effect, Lesson, Run

__all__ = ["print_effects", "print_log", "print_overall"]

_METRICS = {"override": "what was proposed was changed", "tool_error": "a call failed so"}
_VERDICTS = {"no_effect": "no effect", "not_enough_data": "not enough data"}


def print_effects(effects: Sequence[Effect], lessons: Sequence[Lesson]) -> None:
    """Print one row a lesson: how often it went wrong with it and without, and what follows."""
    by_id = {lesson.lesson_id: lesson for lesson in lessons}
    click.secho("\nWhat each lesson did\n", bold=True)
    print_table(
        ("lesson", "with it", "without", "change in points", "so it is"),
        [_row(effect, by_id[effect.lesson_id]) for effect in effects],
    )
    click.echo(
        "With and without: in what share of how many runs it happened. A memory is compared with\n"
        "users held out from it by chance; what one user alone has, and a diff, with the time "
        "before.\n"
    )


def print_overall(before: Sequence[Run], after: Sequence[Run]) -> None:
    """Print how the agent did as a whole in both phases."""
    click.secho("The agent as a whole\n", bold=True)
    print_table(
        ("", "runs", "passed", "tool calls", "failed calls", "failed"),
        [_phase("before", before), _phase("with what was learned", after)],
    )


def print_log(log: Mapping[str, Any], lessons: Sequence[Lesson]) -> None:
    """Print what the log says of the lessons that were rolled back, and whether it is whole."""
    gone = {one.lesson_id: one for one in lessons if one.state == "rolled_back"}
    for lesson_id, lesson in gone.items():
        click.secho(f"\nTaken back by itself: {one_line(lesson.title)}\n", bold=True)
        entries = [entry for entry in log["entries"] if entry["lesson_id"] == lesson_id]
        print_table(("n", "who", "what", "why"), [_entry(entry) for entry in entries])
    whole = "its chain of hashes is whole" if log["verified"] else "BROKEN: it was changed"
    click.echo(f"The log of what agents know has {len(log['entries'])} entries; {whole}.")


def _row(effect: Effect, lesson: Lesson) -> tuple[object, ...]:
    clusters = effect.clusters_are.split()[0]
    return (
        f"{lesson.lesson_id[:SHORT_ID]} {_what(lesson)}\n{_METRICS[effect.metric]}",
        _arm(effect.exposed, clusters),
        _arm(effect.other, clusters),
        _change(effect),
        f"{_VERDICTS.get(effect.verdict, effect.verdict)}:\n{lesson.state.replace('_', ' ')}",
    )


def _what(lesson: Lesson) -> str:
    """Name a lesson in a few words."""
    slot = lesson.content.get("slot")
    if slot:
        field = str(slot["field"]).lstrip("/")
        return one_line(f"{field} {lesson.content['value']}, {holds_for(lesson)}")
    return one_line(f"{lesson.kind.replace('_', ' ')} of {lesson.content['tool']}")


def _arm(arm: Arm, clusters: str) -> str | None:
    if arm.rate is None:
        return None
    return f"{arm.rate:.0%} of {arm.runs}\n{arm.clusters} {clusters}"


def _change(effect: Effect) -> str | None:
    if effect.difference is None or effect.interval is None:
        return None
    low, high = effect.interval
    return f"{effect.difference * 100:+.0f}\n[{low * 100:+.0f}, {high * 100:+.0f}]"


def _phase(name: str, runs: Sequence[Run]) -> tuple[object, ...]:
    calls, errors = sum(run.tool_calls for run in runs), sum(run.tool_errors for run in runs)
    passed = sum(run.outcome == "pass" for run in runs)
    share = passed / max(len(runs), 1)
    failed = errors / max(calls, 1)
    return (name, len(runs), f"{share:.0%}", f"{calls:,}", f"{errors:,}", f"{failed:.1%}")


def _entry(entry: Mapping[str, Any]) -> tuple[object, ...]:
    detail = entry.get("detail") or {}
    why = [detail.get("verdict") or detail.get("effect"), detail.get("reason")]
    return (entry["seq"], entry["by"], entry["event"], ": ".join(str(one) for one in why if one))
