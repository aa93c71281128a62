"""`spanlore judges`: let judges say how runs went, and hold them against gold labels."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.asked_model import asked_model, configured_model
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.judgement_door import send_judgements
from spanlore.cli.options import period
from spanlore.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from spanlore.analyzers.judges.calibration import Rate
    from spanlore.analyzers.judges.installed import InstalledJudge, Judge
    from spanlore.analyzers.judges.judge_report import JudgeCalibration
    from spanlore.analyzers.judges.judge_runs import JudgeReport, RunVerdict
    from spanlore.analyzers.models.settings import ModelSettings
    from spanlore.analyzers.window import Window

__all__ = ["judges_command"]

MODEL_VERDICTS_DEFAULT = 100
_ID_HEX_DIGITS = 32


@click.group("judges")
def judges_command() -> None:
    """Let judges (code, or a model with a rubric) judge runs, and see how good they are."""


@judges_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
def list_command(*, as_json: bool, data_dir: Path | None) -> None:
    """List the judges that are installed."""
    del data_dir  # every command takes it; what is installed is the same for all
    from spanlore.analyzers.judges.installed import installed_judges

    settings = configured_model()
    model = f"{settings.provider}:{settings.model}" if settings else None
    rows = [
        {
            "name": one.name,
            "version": one.version,
            "source": "llm" if one.asks_a_model else "code",
            "model": model if one.asks_a_model else None,
            "ready": not one.asks_a_model or model is not None,
        }
        for one in installed_judges().values()
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("name", "version", "source", "model")
    shown = [
        [row[name] if row[name] or row["ready"] else "not set" for name in columns] for row in rows
    ]
    print_table(columns, shown)


@judges_command.command("run")
@click.argument("name")
@click.option("--since", help="Only runs received since: 30m, 12h, 7d. Default: all runs.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"At most so many verdicts. Default: {MODEL_VERDICTS_DEFAULT} where a model is asked, "
    "else all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def run_command(
    *, name: str, since: str | None, limit: int | None, as_json: bool, data_dir: Path | None
) -> None:
    """Let the judge NAME judge the runs that it has not judged yet, newest first.

    A judgement of a better source (a person, an end user, the environment, code) stays the run's
    outcome. Exit code 1 when errors ended it before it was done.
    """
    from spanlore.analyzers.judges.judge_runs import judge_runs
    from spanlore.schemas.store import Store

    installed, window = _installed(name), _window(since)
    settings = configured_model() if installed.asks_a_model else None
    running = find_running(data_dir)
    if running.collector_token is not None:
        flush(running)
    limit = limit or (MODEL_VERDICTS_DEFAULT if installed.asks_a_model else None)
    with (
        Store.connect(running.store_url) as store,
        _ready(installed, settings, running, limit=limit) as judge,
    ):
        report = judge_runs(store, judge, window, deliver=_sender(running), limit=limit)
    if running.collector_token is not None:
        flush(running)
    if as_json:
        print_json({**asdict(report), "judged": report.judged})
    else:
        _print_report(report)
    if report.stopped is not None and report.failed:
        raise CommandFailed(f"ended early: {report.stopped}")


@judges_command.command("calibration")
@click.option("--since", help="Only runs received since: 30m, 12h, 7d. Default: all runs.")
@click.option(
    "--gold",
    default="human,environment,code",
    show_default=True,
    help="Sources whose labels are gold, the best first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
def calibration_command(
    *, since: str | None, gold: str, as_json: bool, data_dir: Path | None
) -> None:
    """Hold every judge against gold labels: agreement, and the pass rate corrected by it."""
    from spanlore.analyzers.judges.judge_report import judge_calibrations
    from spanlore.schemas.store import Store
    from spanlore.schemas.types import JUDGEMENT_SOURCES

    wanted = [one.strip() for one in gold.split(",") if one.strip()]
    known = [one for name in wanted for one in JUDGEMENT_SOURCES if one == name]
    if len(known) != len(wanted) or not known:
        message = f"name sources of {', '.join(JUDGEMENT_SOURCES)}, with commas"
        raise click.BadParameter(message, param_hint="--gold")
    window = _window(since)
    with Store.connect(find_running(data_dir).store_url) as store:
        rows = list(judge_calibrations(store, window, known))
    if as_json:
        print_json([one.json() for one in rows])
    else:
        _print_calibrations(rows)


def _installed(name: str) -> "InstalledJudge":
    from spanlore.analyzers.judges.installed import UnknownJudge, installed_judge

    try:
        return installed_judge(name)
    except UnknownJudge as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error


def _window(since: str | None) -> "Window":
    from spanlore.analyzers.window import Window

    window = period(since, "--since")
    return Window(None if window is None else datetime.now(UTC) - window)


@contextmanager
def _ready(
    installed: "InstalledJudge",
    settings: "ModelSettings | None",
    running: Running,
    *,
    limit: int | None,
) -> Iterator["Judge"]:
    """Give the judge with the model that it asks, its answers cached in the data directory."""
    from spanlore.analyzers.judges.installed import NoModel

    if settings is None:
        try:
            judge = installed.ready()
        except NoModel as error:
            raise CannotReach(str(error)) from error
        yield judge
        return
    with asked_model(running, questions_max=limit) as model:
        yield installed.ready(model)


def _sender(running: Running) -> "Callable[[Sequence[RunVerdict]], None]":
    def deliver(verdicts: "Sequence[RunVerdict]") -> None:
        # Messages of Protocol Buffers one after the other are one message with all their records.
        send_judgements(running, b"".join(_event(one) for one in verdicts))

    return deliver


def _event(one: "RunVerdict") -> bytes:
    """Return an export request with one ``gen_ai.evaluation.result`` event."""
    from spanlore.instrumentation.history.judgement import evaluation_event
    from spanlore.schemas import semconv

    said = one.verdict
    identifier = hashlib.sha256(f"{one.trace_id}\0{one.evaluator}".encode()).hexdigest()
    return evaluation_event(
        bytes.fromhex(one.trace_id),
        at_ns=one.at_ns,
        values={
            semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
            semconv.EVALUATION_LABEL: said.label,
            semconv.EVALUATION_SCORE: float(said.label == "pass")
            if said.score is None
            else said.score,
            semconv.EVALUATION_EXPLANATION: said.reason or None,
            semconv.JUDGEMENT_SOURCE: one.source,
            semconv.JUDGEMENT_EVALUATOR: one.evaluator,
            semconv.JUDGEMENT_ID: identifier[:_ID_HEX_DIGITS],
            semconv.TENANT_ID: one.tenant,
        },
    )


def _print_report(report: "JudgeReport") -> None:
    left = report.waiting - report.judged - report.silent
    click.echo(
        f"{report.evaluator}: judged {report.judged} of {report.waiting} runs "
        f"({report.passed} pass, {report.not_passed} fail); of {report.silent} it says nothing"
        + (f"; {left} are left" if left else "")
    )
    for reason, count in report.failed.items():
        note(f"{count} failed: {reason}")
    if report.stopped is not None and not report.failed:
        note(report.stopped)


def _print_calibrations(rows: "Sequence[JudgeCalibration]") -> None:
    if not rows:
        click.echo(
            "no run is judged yet: spanlore judge TRACE_ID pass, or spanlore judges run NAME"
        )
        return
    columns = (
        "judge",
        "judged",
        "gold",
        "missing",
        "kappa",
        "passes",
        "right on passes",
        "on fails",
    )
    table: list[Sequence[Any]] = []
    for one in rows:
        known = one.calibration
        table.append(
            (
                f"{one.source}: {one.version}" if one.version else one.source,
                known.confusion.judged,
                known.confusion.gold,
                known.gold_missing,
                _rate_text(known.kappa, percent=False),
                _rate_text(known.judge_rate),
                _rate_text(known.sensitivity),
                _rate_text(known.specificity),
                _rate_text(known.prediction_powered),
            )
        )
    print_table((*columns, "corrected pass rate"), table)
    click.echo(
        "missing: gold labels still wanted for a corrected pass rate within 10 points. That rate "
        "is of the runs that the judge judged; gold labels must be of runs that stand for them."
    )


def _rate_text(rate: "Rate | None", *, percent: bool = True) -> str | None:
    if rate is None:
        return None
    low, high = rate.interval
    if percent:
        return f"{rate.value:.0%} [{low:.0%}, {high:.0%}]"
    return f"{rate.value:.2f} [{low:.2f}, {high:.2f}]"
