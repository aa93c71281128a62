"""`spanlore judge`: a person's verdict on a run, sent as the event that carries judgements."""

import getpass
import hashlib
import time
from pathlib import Path

import click

from spanlore.cli.chosen_run import chosen_run
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.judgement_door import send_judgements
from spanlore.cli.output import note, print_json
from spanlore.schemas.types import Run

__all__ = ["judge_command"]


@click.command("judge")
@click.argument("trace_id")
@click.argument("verdict", type=click.Choice(["pass", "fail"]))
@click.option(
    "--score", type=click.FloatRange(0, 1), help="0 to 1. Default: 1 for pass, 0 for fail."
)
@click.option("--reason", help="Why, in a sentence.")
@click.option("--by", help="Who says so. Default: your user name.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as one JSON object.")
@data_dir_option
def judge_command(
    trace_id: str,
    verdict: str,
    *,
    score: float | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Say how a run went. A person's verdict goes before every other judgement.

    TRACE_ID may be the beginning of one. The same person judging again replaces the verdict.
    """
    running = find_running(data_dir)
    run = _find(running, trace_id)
    known_score = score if score is not None else float(verdict == "pass")
    send_judgements(
        running,
        _event(run, verdict, score=known_score, reason=reason, by=by or getpass.getuser()),
    )
    if running.collector_token is None:
        note(
            f"sent to {running.grpc_endpoint} and not waited for: no token of its collector is "
            "known here, so the verdict may take a moment to appear"
        )
    else:
        flush(running)
    if as_json:
        print_json(_find(running, run.trace_id))
    else:
        click.echo(f"{run.trace_id} is judged: {verdict}")


def _find(running: Running, trace_id: str) -> Run:
    from spanlore.schemas.store import Store

    with Store.connect(running.store_url) as store:
        return chosen_run(store, trace_id)


def _event(run: Run, verdict: str, *, score: float, reason: str | None, by: str) -> bytes:
    """Return an export request with one ``gen_ai.evaluation.result`` event."""
    from spanlore.instrumentation.history.judgement import evaluation_event
    from spanlore.schemas import semconv

    return evaluation_event(
        bytes.fromhex(run.trace_id),
        at_ns=time.time_ns(),
        values={
            semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
            semconv.EVALUATION_LABEL: verdict,
            semconv.EVALUATION_SCORE: score,
            semconv.EVALUATION_EXPLANATION: reason,
            semconv.JUDGEMENT_SOURCE: "human",
            semconv.JUDGEMENT_EVALUATOR: by,
            semconv.JUDGEMENT_ID: hashlib.sha256(f"{run.trace_id}\0{by}".encode()).hexdigest()[:32],
            semconv.TENANT_ID: run.tenant,
        },
    )
