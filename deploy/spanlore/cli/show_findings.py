"""How findings and lessons look in a terminal: the numbers first, then where to look."""

from collections.abc import Sequence

import click

from spanlore.cli.output import clean, print_table
from spanlore.schemas.types import Finding, Lesson

__all__ = ["print_findings", "print_held_back", "print_lesson", "print_lessons"]

_TRACES_SHOWN = 3
_ALSO_SHOWN = 3
_ID_SHOWN = 12


def print_findings(findings: Sequence[Finding]) -> None:
    """Print confirmed findings, each with its numbers and the traces for and against."""
    for finding in findings:
        click.secho(f"{finding.finding_id[:_ID_SHOWN]}  {clean(finding.title)}", bold=True)
        click.echo(f"  seen      {_seen(finding)}")
        click.echo(f"  effect    {_effect(finding)}")
        for also in finding.detail.get("also", ())[:_ALSO_SHOWN]:
            click.echo(f"  likewise  {clean(also['title'])} ({also['k']} of {also['n']})")
        click.echo(f"  for       {_traces(finding.evidence)}")
        click.echo(f"  against   {_traces(finding.counter_evidence)}")
        click.echo()


def print_held_back(held_back: Sequence[Finding], *, rows_max: int | None = None) -> None:
    """Print what was seen and is not believed, with the reason; the first ``rows_max`` of it."""
    print_table(
        ("held back", "k of n", "why"),
        [(one.title, f"{one.k} of {one.n}", one.reason) for one in held_back[:rows_max]],
    )
    more = len(held_back) - len(held_back[:rows_max])
    if more:
        click.echo(f"and {more} more: spanlore findings --held-back")


def print_lessons(lessons: Sequence[Lesson]) -> None:
    """Print the list of lessons."""
    print_table(
        ("lesson", "state", "layer", "scope", "kind", "title", "patch"),
        [
            (
                lesson.lesson_id[:_ID_SHOWN],
                lesson.state,
                lesson.layer,
                f"{lesson.scope} {lesson.scope_key}".strip(),
                lesson.kind,
                lesson.title,
                lesson.base_path or None,
            )
            for lesson in lessons
        ],
    )


def print_lesson(lesson: Lesson) -> None:
    """Print one lesson whole: what it says, what it rests on, and its diff."""
    click.secho(f"{lesson.lesson_id}  {clean(lesson.title)}", bold=True)
    scope = f"{lesson.scope} {lesson.scope_key}".strip()
    click.echo(f"{lesson.state}, {lesson.layer} layer, scope {scope}, {lesson.kind}")
    click.echo(f"findings  {', '.join(lesson.findings)}")
    click.echo(f"evidence  {_traces(lesson.evidence)}")
    click.echo(f"\n{clean(lesson.body).strip()}\n")
    if lesson.patch:
        for line in clean(lesson.patch).splitlines():
            click.secho(line, fg=_COLOURS.get(line[:1]))


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _seen(finding: Finding) -> str:
    text = f"{finding.k} of {finding.n}"
    rate = finding.detail.get("rate_interval")
    if rate and finding.n:
        text += f" ({finding.k / finding.n:.0%}, 95 % interval {rate[0]:.0%} to {rate[1]:.0%})"
    return text


def _effect(finding: Finding) -> str:
    if finding.effect is None or finding.interval is None:
        return "not comparable"
    low, high = finding.interval
    against = finding.detail.get("compared_with")
    text = f"{finding.effect:+.0%} [{low:+.0%}, {high:+.0%}]"
    if against:
        text += f" against {clean(str(against))}"
    if finding.adjusted_for:
        text += f", adjusted for {', '.join(finding.adjusted_for)}"
    if finding.q is not None:
        text += f", q = {finding.q:.2g}, confirmed on the other half"
    return text


def _traces(trace_ids: Sequence[str]) -> str:
    shown = ", ".join(trace_id[:_ID_SHOWN] for trace_id in trace_ids[:_TRACES_SHOWN])
    more = len(trace_ids) - _TRACES_SHOWN
    return f"{shown or 'none'}{f' and {more} more' if more > 0 else ''}"
