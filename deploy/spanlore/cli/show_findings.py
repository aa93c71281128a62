"""How findings look in a terminal: the numbers first, then where to look."""

from collections.abc import Sequence

import click

from spanlore.cli.output import clean, print_table
from spanlore.schemas.types import Finding

__all__ = [
    "chance_text",
    "effect_text",
    "guard_text",
    "print_findings",
    "print_held_back",
    "seen_text",
    "traces_text",
    "triage_text",
    "verdict_text",
]

_TRACES_SHOWN = 3
_ALSO_SHOWN = 3
_ID_SHOWN = 12
_LOOKS = (("calls", "n"), ("failing_calls", "k"))
_FACTORS = ("task", "agent", "model", "harness")
_WHOLE = "all"
_WHOLE_POINTS_FROM = 0.1
_Q_SHOWN_MIN = 1e-300


def print_findings(findings: Sequence[Finding]) -> None:
    """Print confirmed findings, each with its numbers and the traces for and against."""
    for finding in findings:
        click.secho(f"{finding.finding_id[:_ID_SHOWN]}  {clean(finding.title)}", bold=True)
        click.echo(f"  seen      {seen_text(finding)}")
        click.echo(f"  effect    {effect_text(finding)}")
        for label, text in (("chance", chance_text(finding)), ("guard", guard_text(finding))):
            if text:
                click.echo(f"  {label:<9} {text}")
        if says := (finding.detail.get("guard") or {}).get("says"):
            click.echo(f"  note      {clean(str(says))}")
        if triage := triage_text(finding):
            click.echo(f"  mend in   {triage}")
        for also in finding.detail.get("also", ())[:_ALSO_SHOWN]:
            click.echo(f"  likewise  {clean(also['title'])} ({also['k']} of {also['n']})")
        click.echo(f"  for       {traces_text(finding.evidence)}")
        click.echo(f"  against   {traces_text(finding.counter_evidence)}")
        click.echo()


def print_held_back(held_back: Sequence[Finding], *, rows_max: int | None = None) -> None:
    """Print what was seen and is not believed, with the reason; the first ``rows_max`` of it."""
    print_table(
        ("held back", "k of n", "verdict", "why"),
        [
            (one.title, f"{one.k} of {one.n}", verdict_text(one), one.reason)
            for one in held_back[:rows_max]
        ],
    )
    more = len(held_back) - len(held_back[:rows_max])
    if more:
        click.echo(f"and {more} more: spanlore findings --held-back")


def seen_text(finding: Finding) -> str:
    """Return in how many of how many it was seen, with the interval of the rate.

    The effect is not of this rate but of looks, which ``chance_text`` names.
    """
    text = f"{finding.k} of {finding.n}"
    rate = finding.detail.get("rate_interval")
    if rate and finding.n:
        text += f" ({finding.k / finding.n:.0%}, 95 % interval {rate[0]:.0%} to {rate[1]:.0%})"
    return text


def effect_text(finding: Finding) -> str:
    """Return the effect in points with its interval, against what, and how sure it is."""
    if finding.effect is None or finding.interval is None:
        return "not comparable"
    low, high = finding.interval
    against = finding.detail.get("compared_with")
    text = f"{_points(finding.effect)} points [{_points(low)}, {_points(high)}]"
    if against:
        text += f" against {clean(str(against))}"
    if finding.adjusted_for:
        text += f", adjusted for {', '.join(finding.adjusted_for)}"
    if finding.q is not None:
        text += f", q {_q_text(finding.q)}, confirmed on the other half"
    return text


def verdict_text(finding: Finding) -> str:
    """Return the verdict, and how many looks it would take where more would tell."""
    words = finding.verdict.replace("_", " ")
    return words if finding.n_needed is None else f"{words}: needs {finding.n_needed:,} looks"


def chance_text(finding: Finding) -> str | None:
    """Return how much of it was to be expected if nothing is there, None where that is unknown."""
    looks, expected = finding.detail.get("looks", {}), finding.detail.get("expected_by_chance")
    if expected is None or not looks:
        return None
    n, k = (looks.get(name, looks.get(other)) for name, other in _LOOKS)
    text = f"{expected:,.1f} of {k:,.0f} were to be expected by chance, in {n:,.0f} looks"
    looks_are = finding.detail.get("looks_are")
    return f"{text} ({clean(str(looks_are))})" if looks_are else text


def guard_text(finding: Finding) -> str | None:
    """Return the effect over everything, and what each factor held fixed leaves of it."""
    guard = finding.detail.get("guard") or {}
    if guard.get("crude") is None or not guard.get("by"):
        return None
    left = [
        f"{_points(guard['by'][name]['effect'])} by {clean(name)}"
        for name in sorted(guard["by"], key=_place)
        if guard["by"][name]["effect"] is not None
    ]
    if not left:
        return None
    return f"{_points(guard['crude'])} points over everything, {', '.join(left)}"


def _place(name: str) -> tuple[bool, int, str]:
    """Return where a factor is told: as they are held fixed, and all of them together last."""
    known = _FACTORS.index(name) if name in _FACTORS else len(_FACTORS)
    return name == _WHOLE, known, name


def _points(effect: float) -> str:
    digits = 0 if abs(effect) >= _WHOLE_POINTS_FROM or not effect else 1
    return f"{100 * effect:+.{digits}f}"


def _q_text(q: float) -> str:
    return f"< {_Q_SHOWN_MIN:.0e}" if q < _Q_SHOWN_MIN else f"= {q:.2g}"


def triage_text(finding: Finding) -> str | None:
    """Return the layer that a finding goes to, and why; None of one that was not triaged."""
    said = finding.detail.get("triage")
    if not said:
        return None
    layer = "no layer" if said["layer"] == "none" else f"the {said['layer']} layer"
    return f"{layer}: {clean(str(said['reason']))}"


def traces_text(trace_ids: Sequence[str]) -> str:
    """Return the first trace ids, cut short, and how many more there are."""
    shown = ", ".join(trace_id[:_ID_SHOWN] for trace_id in trace_ids[:_TRACES_SHOWN])
    more = len(trace_ids) - _TRACES_SHOWN
    return f"{shown or 'none'}{f' and {more} more' if more > 0 else ''}"
