"""What `spanlore demo` says to a person, step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli.connection import HOST
from spanlore.cli.datadir import read_run_file
from spanlore.cli.output import print_table
from spanlore.cli.run_tree import print_run
from spanlore.cli.show_findings import print_findings, print_held_back, print_lesson
from spanlore.demo.faults import CONFOUNDED, RARE
from spanlore.schemas.types import Finding, Run

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport
    from spanlore.schemas.store import Store

__all__ = [
    "print_keep",
    "print_learned",
    "print_next",
    "print_opening",
    "print_proposals",
    "print_runs",
]


def print_opening() -> None:
    """Say what this is about."""
    click.echo(
        "An assistant that arranges meetings has worked for four weeks, for four companies.\n"
        "Too many of its runs fail. spanlore reads the runs and says what to change, and why.\n"
        "Everything stays on this machine: no keys, no network.\n"
    )


def print_runs(runs: Sequence[Run], *, spans: int) -> None:
    """Print how the runs came out, by type of task."""
    tasks = sorted({run.task or "" for run in runs})
    rows = [_row(task, [run for run in runs if run.task == task]) for task in tasks]
    click.echo()
    print_table(
        ("task", "runs", "passed", "tool calls", "failed calls", "tokens", "cost $"),
        [*rows, _row("all", runs)],
    )
    users, tenants = {run.user for run in runs}, {run.tenant for run in runs}
    click.echo(f"{len(runs):,} runs, {spans:,} spans, {len(users)} users, {len(tenants)} tenants\n")


def print_learned(store: "Store", runs: Sequence[Run], report: "LearnReport") -> None:
    """Print a run that failed, what was found, and what was held back."""
    from spanlore.schemas.runs import run_spans

    failed = _failed_run(runs, report.findings)
    if failed is not None:
        _heading("One of the runs that failed")
        print_run(failed, run_spans(store, failed.trace_id), full=False)
    _heading(f"What goes wrong, and not by chance: {len(report.findings)} findings")
    print_findings(report.findings)
    _heading(f"What is not believed: {len(report.held_back)} held back, two of them")
    rare, confounded = (list(filter(is_it, report.held_back)) for is_it in (_is_rare, _is_trap))
    print_held_back([*rare, *confounded])
    for finding in confounded:
        _explain_trap(finding)
    click.echo()


def print_proposals(report: "LearnReport", *, checked: bool) -> None:
    """Print the lessons in full, with their diffs."""
    if not checked:
        click.echo("git is not installed here, so that was not checked")
    _heading(f"What to change: {len(report.lessons)} lessons")
    for lesson in report.lessons:
        print_lesson(lesson)
        click.echo()


def print_keep(directory: Path, *, to_stderr: bool) -> None:
    """Print how to reach what goes on running, and how to stop it."""
    running = read_run_file(directory) or {}
    collector = running["collector"]
    click.echo(f"\nIt goes on running on {directory}:", err=to_stderr)
    for what, address in (
        ("store", running["store"]["url"]),
        ("OTLP gRPC", f"http://{HOST}:{collector['grpc_port']}"),
        ("OTLP HTTP", f"http://{HOST}:{collector['http_port']}"),
    ):
        click.echo(f"  {what:<10} {address}", err=to_stderr)
    for command in ("runs --failed", "findings --held-back", "lessons list", "down"):
        click.echo(f"  spanlore {command} --data-dir {directory}", err=to_stderr)


def print_next(*, seconds: float, left: str) -> None:
    """Print what is left of the demo, and what to do with one's own runs."""
    click.echo(f"\nDone in {seconds:.0f} s; {left}.")
    click.secho("\nNow your own agent:", bold=True)
    for command, why in (
        ("spanlore up --detach", "then point any OpenTelemetry exporter at it,"),
        ("spanlore import RUNS.jsonl", "or bring in what you have recorded"),
        ("spanlore learn --repo PATH", "what to change in the code at PATH"),
    ):
        click.echo(f"  {command:<28} {why}")


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


def _failed_run(runs: Sequence[Run], findings: Sequence[Finding]) -> Run | None:
    """Choose the shortest run that failed and is evidence of the first finding."""
    evidence = set(findings[0].evidence) if findings else set()
    failed = [run for run in runs if run.outcome == "fail" and run.trace_id in evidence]
    return min(failed, key=lambda run: (run.spans, run.trace_id), default=None)


def _is_rare(finding: Finding) -> bool:
    return (finding.detail["tool"], finding.detail.get("template")) == (RARE.tool, RARE.template)


def _is_trap(finding: Finding) -> bool:
    shape = {"path": CONFOUNDED.argument, "kind": "value", "value": CONFOUNDED.value}
    return finding.detail["tool"] == CONFOUNDED.tool and finding.detail.get("shape") == shape


def _explain_trap(finding: Finding) -> None:
    looks = finding.detail["looks"]
    private = looks["failing_calls"] / looks["calls"]
    other = looks["compared_failing_calls"] / looks["compared_calls"]
    click.echo(
        f"`{CONFOUNDED.value}` is a trap: {private:.0%} of those calls fail, {other:.0%} of the "
        "others. But planning meetings are mostly private,\nand everything fails more often in "
        "them; compared within one task there is nothing left to believe."
    )


def _heading(text: str) -> None:
    click.secho(f"\n{text}\n", bold=True)
