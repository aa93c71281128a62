"""What `spanlore demo` says to a person, step by step."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli.connection import HOST
from spanlore.cli.datadir import read_run_file
from spanlore.cli.output import clean, one_line, print_table
from spanlore.cli.run_tree import print_run
from spanlore.cli.show_findings import print_findings, print_held_back
from spanlore.cli.show_lessons import SHORT_ID, evaluation_text, holds_for
from spanlore.demo.faults import CONFOUNDED, RARE
from spanlore.schemas.types import Finding, Lesson, Run

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport
    from spanlore.schemas.store import Store

__all__ = [
    "print_approved",
    "print_keep",
    "print_learned",
    "print_next",
    "print_opening",
    "print_runs",
]

_WIDTH = 100
_LABEL_WIDTH = 10
_SHORT_RUN_SPANS = 14
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def print_opening() -> None:
    """Say what this is about."""
    click.echo(
        "An assistant on the openai SDK arranges meetings for the users of four companies. Many\n"
        "of its calls fail, and its users keep changing what it proposes. spanlore records its\n"
        "runs, says what to change and why, hands back what a person approves, and measures what\n"
        "that did. Users and model are simulated; all stays here: no keys, no network.\n"
    )


def print_runs(runs: Sequence[Run]) -> None:
    """Print how the runs came out, by type of task."""
    tasks = sorted({run.task or "" for run in runs})
    rows = [_row(task, [run for run in runs if run.task == task]) for task in tasks]
    click.echo()
    print_table(
        ("task", "runs", "passed", "tool calls", "failed calls", "tokens", "cost $"),
        [*rows, _row("all", runs)],
    )
    users, tenants = {run.user for run in runs}, {run.tenant for run in runs}
    spans = sum(run.spans for run in runs)
    click.echo(f"{len(runs):,} runs, {spans:,} spans, {len(users)} users, {len(tenants)} tenants\n")


def print_learned(store: "Store", runs: Sequence[Run], report: "LearnReport") -> None:
    """Print a run that went wrong, what was found, and what was held back."""
    from spanlore.schemas.runs import run_spans

    shown = _telling_run(runs, report.findings)
    if shown is not None:
        _heading("One of the runs that the findings rest on")
        print_run(shown, run_spans(store, shown.trace_id), full=False)
        _print_overrides(store, shown)
    _heading(f"What is so, and not by chance: {len(report.findings)} findings")
    print_findings(report.findings)
    rare, confounded = (list(filter(is_it, report.held_back)) for is_it in (_is_rare, _is_trap))
    _heading(f"What is not believed: {len(report.held_back)} held back, two of them")
    print_held_back([*rare, *confounded])
    for finding in confounded:
        _explain_trap(finding)
    click.echo()


def print_approved(lessons: Sequence[Lesson], *, by: str, hold_out: float, agent: Path) -> None:
    """Print what a person approved, with the verdict of each gate, and where it went."""
    _heading(f"What to change: {len(lessons)} lessons, evaluated, then approved by {by}")
    for lesson in lessons:
        _print_lesson(lesson)
    click.echo(
        f"{hold_out:.0%} of the users, drawn by chance, go without the memories of a tenant or of "
        "everyone, so that\nwhat those do can be measured. The diffs were merged, a branch each: "
        f"git -C {agent} log\n"
    )


def print_keep(directory: Path, lessons: Sequence[Lesson], *, to_stderr: bool) -> None:
    """Print how to reach what goes on running, and how to stop it."""
    running = read_run_file(directory) or {}
    collector = running["collector"]
    click.echo(f"\nIt goes on running on {directory}:", err=to_stderr)
    for what, address in (
        ("store", running["store"]["url"]),
        ("OTLP gRPC", f"http://{HOST}:{collector['grpc_port']}"),
        ("OTLP HTTP", f"http://{HOST}:{collector['http_port']}"),
        ("review", f"http://{HOST}:{running['review']['port']}"),
    ):
        click.echo(f"  {what:<10} {address}", err=to_stderr)
    some = lessons[0].lesson_id[:SHORT_ID] if lessons else "LESSON"
    for command in (
        "runs --failed",
        "findings --held-back",
        "lessons list",
        f"lessons show {some}",
        "lessons log",
        "memory --user ana --tenant acme --agent meeting-assistant",
        "down",
    ):
        click.echo(f"  spanlore {command} --data-dir {directory}", err=to_stderr)


def print_next(*, seconds: float, left: str) -> None:
    """Print what is left of the demo, and what to do with one's own agent."""
    click.echo(f"\nDone in {seconds:.0f} s; {left}.")
    click.secho("\nNow your own agent:", bold=True)
    for command, why in (
        ("spanlore up --detach", "the store, the collector and the review door"),
        ("spanlore run -- python app.py", "your agent, recorded; or `import spanlore.auto` in it"),
        ("spanlore learn --repo PATH", "what to change, with diffs of the code at PATH"),
        ("spanlore lessons list", "read, approve, apply, and measure the effect"),
    ):
        click.echo(f"  {command:<30} {why}")


def _print_lesson(lesson: Lesson) -> None:
    click.secho(f"{lesson.lesson_id[:SHORT_ID]}  {one_line(lesson.title)}", bold=True)
    _labelled("is", f"{lesson.layer} layer, for {holds_for(lesson)}")
    _labelled("gate", evaluation_text(lesson.evaluations[-1]))
    if lesson.patch is None:
        _labelled("says", lesson.body)
    for line in clean(lesson.patch or "").splitlines():
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            click.secho(f"  {line}", fg=_COLOURS[line[:1]])
    click.echo()


def _labelled(label: str, text: str) -> None:
    margin = " " * (2 + _LABEL_WIDTH)
    first = f"  {label:<{_LABEL_WIDTH}}"
    lines = textwrap.wrap(one_line(text), _WIDTH, initial_indent=first, subsequent_indent=margin)
    click.echo("\n".join(lines))


def _print_overrides(store: "Store", run: Run) -> None:
    """Print what the user changed of a draft, as the agent's application told it."""
    from spanlore.schemas.learning_tables import OVERRIDES

    rows = store.query(
        f"SELECT ToolName, Field, Original, Replacement FROM {OVERRIDES} FINAL "
        "WHERE TraceId = {id:String} ORDER BY Field",
        {"id": run.trace_id},
    )
    for row in rows:
        click.echo(
            one_line(
                f"its user changed the draft: {row['ToolName']} {row['Field']} from "
                f"{row['Original']} to {row['Replacement']}"
            )
        )


def _row(name: str, runs: Sequence[Run]) -> tuple[object, ...]:
    passed = sum(run.outcome == "pass" for run in runs)
    return (
        name,
        len(runs),
        f"{passed / max(len(runs), 1):.0%}",
        f"{sum(run.tool_calls for run in runs):,}",
        f"{sum(run.tool_errors for run in runs):,}",
        f"{sum((run.input_tokens or 0) + (run.output_tokens or 0) for run in runs):,}",
        f"{sum(run.cost_usd or 0.0 for run in runs):.2f}",
    )


def _telling_run(runs: Sequence[Run], findings: Sequence[Finding]) -> Run | None:
    """Choose the run that is evidence of most findings, among those that are short."""
    traces = Counter(trace for finding in findings for trace in finding.evidence)
    return max(
        (run for run in runs if traces[run.trace_id]),
        key=lambda run: (run.spans <= _SHORT_RUN_SPANS, traces[run.trace_id], run.trace_id),
        default=None,
    )


def _is_rare(finding: Finding) -> bool:
    said = (finding.detail.get("tool"), finding.detail.get("template"))
    return said == (RARE.tool, RARE.template)


def _is_trap(finding: Finding) -> bool:
    shape = {"path": CONFOUNDED.argument, "kind": "value", "value": CONFOUNDED.value}
    is_tool = finding.detail.get("tool") == CONFOUNDED.tool
    return is_tool and finding.detail.get("shape") == shape


def _explain_trap(finding: Finding) -> None:
    looks = finding.detail["looks"]
    private = looks["failing_calls"] / looks["calls"]
    other = looks["compared_failing_calls"] / looks["compared_calls"]
    click.echo(
        f"`{CONFOUNDED.value}` is a trap: {private:.0%} of those calls fail, {other:.0%} of the "
        "others. But planning meetings are\nmostly private, and everything fails more often in "
        "them; within one task nothing of it is shown."
    )


def _heading(text: str) -> None:
    click.secho(f"\n{text}\n", bold=True)
