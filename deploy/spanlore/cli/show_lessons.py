"""How lessons look in a terminal: what they say, for whom, on what grounds, with what effect."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.output import clean, one_line, print_row, print_table
from spanlore.cli.show_findings import effect_text, seen_text, traces_text
from spanlore.schemas.lesson_state import content_hash
from spanlore.schemas.types import Arm, Effect, Finding, Lesson

if TYPE_CHECKING:
    from spanlore.analyzers.lessons.lesson_note import Note
    from spanlore.analyzers.lessons.lesson_usage import Usage

__all__ = [
    "SHORT_ID",
    "evaluation_text",
    "holds_for",
    "next_step",
    "print_effect",
    "print_lesson",
    "print_lessons",
    "print_notes",
    "print_usage",
    "print_verdicts",
]

SHORT_ID = 8
_HASH_SHOWN = 12
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
# What an entry says of itself, beside the numbers of its gate.
_ENVELOPE = frozenset({"verdict", "gate", "reason", "by", "at", "content_hash", "decision"})


def print_lessons(lessons: Sequence[Lesson]) -> None:
    """Print the list of lessons."""
    print_table(
        ("lesson", "state", "layer", "holds for", "title", "gate"),
        [
            (
                lesson.lesson_id[:SHORT_ID],
                lesson.state,
                lesson.layer,
                holds_for(lesson),
                lesson.title,
                lesson.evaluations[-1]["verdict"] if lesson.evaluations else None,
            )
            for lesson in lessons
        ],
    )


def print_verdicts(lessons: Sequence[Lesson]) -> None:
    """Print lessons as a round of learning leaves them: what each says, its gate, what follows."""
    for lesson in lessons:
        click.secho(f"{lesson.lesson_id[:SHORT_ID]}  {one_line(lesson.title)}", bold=True)
        print_row("  is", f"{lesson.state}, {lesson.layer} layer, for {holds_for(lesson)}")
        if lesson.evaluations:
            print_row("  gate", evaluation_text(lesson.evaluations[-1]))
        if lesson.patch:
            print_row("  diff", f"of {lesson.base_path}")
        print_row("  next", next_step(lesson))
        click.echo()


def print_lesson(
    lesson: Lesson, *, findings: Sequence[Finding] = (), effect: Effect | None = None
) -> None:
    """Print one lesson whole: to whom it holds, what it rests on, what it says, its diff."""
    click.secho(f"{lesson.lesson_id}  {one_line(lesson.title)}", bold=True)
    print_row("state", lesson.state)
    print_row("layer", f"{lesson.layer}, {lesson.kind}")
    print_row("holds for", holds_for(lesson))
    print_row("content", f"{content_hash(lesson)[:_HASH_SHOWN]} (what is evaluated and approved)")
    for entry in lesson.evaluations:
        print_row("evaluated", f"{evaluation_text(entry)} ({_by(entry)})")
        print_row("", _numbers(entry))
    for entry in lesson.approvals:
        print_row("approved", f"{_by(entry)}{_hold_out(entry)}")
    if effect is not None:
        print_row("effect", f"{_VERDICTS[effect.verdict]}: {effect.reason}")
    for finding in findings:
        print_row("finding", f"{finding.finding_id[:SHORT_ID]} {one_line(finding.title)}")
        print_row("", f"seen in {seen_text(finding)}; effect {effect_text(finding)}")
        print_row("", f"for {traces_text(finding.evidence)}")
        print_row("", f"against {traces_text(finding.counter_evidence)}")
    if not findings:
        print_row("findings", ", ".join(one[:SHORT_ID] for one in lesson.findings) or "none")
        print_row("evidence", traces_text(lesson.evidence))
    click.echo(f"\n{clean(lesson.body).strip()}\n")
    for line in clean(lesson.patch or "").splitlines():
        click.secho(line, fg=_COLOURS.get(line[:1]))


def print_usage(used: "Usage | None") -> None:
    """Print how many runs were given a lesson, and in how many of them it surely did something."""
    if used is None:
        return
    last = f", the last on {used.last_given:%Y-%m-%d}" if used.last_given else ""
    did = f"; helped in at least {used.helped:,}, harmed in at least {used.harmed:,}"
    print_row("given to", f"{used.runs:,} runs{last}{did}")


def print_notes(notes: "Sequence[Note]") -> None:
    """Print what the last round of learning would have a person look at."""
    for one in notes:
        click.echo(f"{one.kind}: {one.lesson_id[:SHORT_ID]}: {one_line(one.reason)}")


def holds_for(lesson: Lesson) -> str:
    """Return whom a lesson holds for: its scope, and what narrows it."""
    match lesson.scope:
        case "user":
            whom = f"user {lesson.scope_key}" + (f" of {lesson.tenant}" if lesson.tenant else "")
        case "tenant":
            whom = f"tenant {lesson.tenant or lesson.scope_key}"
        case "global":
            whom = f"all of {lesson.tenant}" if lesson.tenant else "everyone"
    narrowed = [
        f"{name.removeprefix('segment.')} {value}"
        for name, value in sorted(lesson.selector.items())
    ]
    return one_line(", ".join([whom, *narrowed]))


def evaluation_text(entry: Mapping[str, Any]) -> str:
    """Return a gate's verdict in words."""
    return one_line(f"{entry['verdict']} ({entry.get('gate', 'gate')}): {entry.get('reason', '')}")


def next_step(lesson: Lesson) -> str:
    """Return what a person may do next, with the command for it."""
    failed = bool(lesson.evaluations) and lesson.evaluations[-1]["verdict"] == "fail"
    match lesson.state, lesson.layer:
        case "evaluated", _:
            what, command = ("reject it", "reject {} --by NAME") if failed else _APPROVE
        case "approved", "harness":
            what, command = "make a branch of it", "apply {} --repo PATH"
        case "approved" | "rolled_out" | "verified" | "no_effect", _:
            what, command = "measure what it does", "effect {}"
        case "harmful", _:
            what, command = "revert its commit in git and take it back", "revoke {}"
        case _:
            what, command = "read it", "show {}"
    return f"{what}: spanlore lessons {command.format(lesson.lesson_id[:SHORT_ID])}"


_APPROVE = ("approve it, or reject it", "approve {} --by NAME")
_VERDICTS = {
    "improved": "improved",
    "no_effect": "no effect",
    "worse": "worse",
    "not_enough_data": "not enough data",
}
_METRICS = {
    "override": "runs whose proposal was overridden",
    "tool_error": "runs whose call failed",
}


def print_effect(effect: Effect) -> None:
    """Print both arms, their difference with its interval, and the verdict."""
    against = "held out by chance" if effect.randomised else "before it, so not by chance"
    arms = (("given the lesson", effect.exposed), (against, effect.other))
    alike = () if effect.clusters_are == "users" else (effect.clusters_are,)
    print_table(
        ("", "runs", "users", *alike, _METRICS.get(effect.metric, effect.metric), "rate"),
        [
            (name, arm.runs, arm.users, *((arm.clusters,) if alike else ()), arm.events, _rate(arm))
            for name, arm in arms
        ],
    )
    if effect.difference is not None:
        between = ""
        if effect.interval is not None:
            low, high = effect.interval
            between = (
                f", 95 % interval {low:+.1%} to {high:+.1%}, {effect.clusters_are} as clusters"
            )
        print_row("change", f"{effect.difference:+.1%} of runs{between}")
    print_row("verdict", f"{_VERDICTS[effect.verdict]}: {effect.reason}")


def _rate(arm: Arm) -> str | None:
    return None if arm.rate is None else f"{arm.rate:.1%}"


def _by(entry: Mapping[str, Any]) -> str:
    return f"by {entry.get('by', 'nobody')}, {str(entry.get('at', ''))[:19].replace('T', ' ')} UTC"


def _hold_out(entry: Mapping[str, Any]) -> str:
    share = entry.get("hold_out")
    return f", {share:.0%} held out to measure it" if share else ""


def _numbers(entry: Mapping[str, Any]) -> str:
    """Return what a gate counted, in its own names; its words stand in the reason."""
    numbers = {name: value for name, value in entry.items() if name not in _ENVELOPE}
    texts = {name: _number(value) for name, value in numbers.items()}
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in texts.items() if text)


def _number(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.3g}" if math.isfinite(value) else "–"
        case [float() | int() as low, float() | int() as high]:
            return f"[{low:.3g}, {high:.3g}]"
        case {"share": share, **rest} | {"rate": share, **rest}:
            of = f" ({rest['k']} of {rest['n']})" if {"k", "n"} <= rest.keys() else ""
            return f"{_number(share)} {_number(rest.get('interval'))}".strip() + of
    return ""
