"""How findings look in a terminal: the numbers first, then where to look."""

from collections.abc import Sequence

import click

from spanlore.cli.output import clean, print_table
from spanlore.schemas.types import Finding

__all__ = ["effect_text", "print_findings", "print_held_back", "seen_text", "traces_text"]

_TRACES_SHOWN = 3
_ALSO_SHOWN = 3
_ID_SHOWN = 12


def print_findings(findings: Sequence[Finding]) -> None:
    """Print confirmed findings, each with its numbers and the traces for and against."""
    for finding in findings:
        click.secho(f"{finding.finding_id[:_ID_SHOWN]}  {clean(finding.title)}", bold=True)
        click.echo(f"  seen      {seen_text(finding)}")
        click.echo(f"  effect    {effect_text(finding)}")
        for also in finding.detail.get("also", ())[:_ALSO_SHOWN]:
            click.echo(f"  likewise  {clean(also['title'])} ({also['k']} of {also['n']})")
        click.echo(f"  for       {traces_text(finding.evidence)}")
        click.echo(f"  against   {traces_text(finding.counter_evidence)}")
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


def seen_text(finding: Finding) -> str:
    """Return in how many of how many it was seen, with the interval of the rate."""
    text = f"{finding.k} of {finding.n}"
    rate = finding.detail.get("rate_interval")
    if rate and finding.n:
        text += f" ({finding.k / finding.n:.0%}, 95 % interval {rate[0]:.0%} to {rate[1]:.0%})"
    return text


def effect_text(finding: Finding) -> str:
    """Return the effect with its interval, against what, and how sure it is."""
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


def traces_text(trace_ids: Sequence[str]) -> str:
    """Return the first trace ids, cut short, and how many more there are."""
    shown = ", ".join(trace_id[:_ID_SHOWN] for trace_id in trace_ids[:_TRACES_SHOWN])
    more = len(trace_ids) - _TRACES_SHOWN
    return f"{shown or 'none'}{f' and {more} more' if more > 0 else ''}"
