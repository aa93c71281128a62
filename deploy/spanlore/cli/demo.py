"""`spanlore demo`: the loop on this machine, from recorded runs to a diff, in one command."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.git import patch_problem
from spanlore.cli.output import print_json
from spanlore.cli.scratch import scratch_directory, scratch_stack
from spanlore.cli.signals import deferred
from spanlore.cli.steps import Steps
from spanlore.demo import RECORDING, TOOLS

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport
    from spanlore.schemas.store import Store
    from spanlore.schemas.types import Lesson, Run

__all__ = ["demo_command"]

_NEEDED = ("chdb", "clickhouse_connect", "numpy", "rich", "scipy", "statsmodels", "uvicorn")
_AGENT_FOLDER = "meeting-assistant"
_RUNS_MAX = 100_000
_FLUSH_S_MAX = 60.0


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running; say how to look around and stop it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="New directory for the data, which then stays. Default: a temporary one, removed.",
)
def demo_command(*, keep: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show the whole loop on this machine: no keys, no network, nothing left behind.

    Recorded runs of a small agent go in through OTLP. Out come findings with their evidence, what
    was held back and why, and lessons with a diff of the agent's tool definitions.
    """
    _require_everything()
    steps = Steps(to_stderr=as_json)
    # The statistics take seconds to import; the store takes as long to start.
    Thread(target=import_module, args=("spanlore.analyzers.job",), daemon=True).start()
    from spanlore.cli import show_demo

    if not as_json:
        show_demo.print_opening()
    with (
        scratch_directory(data_dir, prefix="spanlore-demo-", keep=keep) as directory,
        scratch_stack(directory, steps, keep=keep) as running,
    ):
        runs, report = _show(running, directory, steps, as_json=as_json)
    steps.end()
    if keep:
        show_demo.print_keep(directory, to_stderr=as_json)
    if as_json:
        said = report.json()
        found = {key: said[key] for key in ("findings", "held_back", "lessons")}
        print_json({"runs": runs, **found, "seconds": steps.seconds})
    elif keep or data_dir is not None:
        left = f"the data is in {directory}"
        show_demo.print_next(seconds=steps.seconds["total"], left=left)
    else:
        show_demo.print_next(seconds=steps.seconds["total"], left="nothing is left behind")


def _show(
    running: Running, directory: Path, steps: Steps, *, as_json: bool
) -> tuple["list[Run]", "LearnReport"]:
    """Go through the loop once, printing what comes of each part unless all is JSON."""
    from spanlore.cli import show_demo
    from spanlore.schemas.store import Store

    with steps.step("import", "send the agent's recorded runs in, through OTLP"):
        spans = _import(running)
    with Store.connect(running.store_url) as store:
        runs = _runs(store)
        if not as_json:
            show_demo.print_runs(runs, spans=spans)
        with steps.step("learn", "learn from them: findings on half the tasks, then the others"):
            agent = _agent_folder(directory)
            report = _learn(store, agent)
        if not as_json:
            show_demo.print_learned(store, runs, report)
    with steps.step("check", "check that the diffs apply: git apply --check"):
        checked = _check_patches(report.lessons, agent)
    if not as_json:
        show_demo.print_proposals(report, checked=checked)
    return runs, report


def _require_everything() -> None:
    for module in _NEEDED:
        if find_spec(module) is None:
            raise CannotReach(
                f"the demo needs {module}, which is not installed; "
                "run: python -m pip install 'spanlore[all]'"
            )


def _import(running: Running) -> int:
    """Send the recording and wait until it can be read; return the number of spans."""
    from spanlore.instrumentation.history import (
        Format,
        Refused,
        Report,
        Sender,
        Unreachable,
        import_files,
        parse_endpoint,
    )

    report = Report()
    sender = Sender(parse_endpoint(running.grpc_endpoint))
    # An exception out of a signal handler can leave gRPC's locks taken, and closing then hangs.
    with deferred(), resources.as_file(RECORDING) as path:
        try:
            sender.start()
            import_files([(path, Format.TRAJECTORY)], sender, report=report, on_bytes=_unheard)
        except Unreachable as error:
            raise CannotReach(str(error)) from error
        except Refused as error:
            raise CommandFailed(str(error)) from error
        finally:
            sender.stop()
    if report.bad or report.rejected_spans or report.rejected_judgements:
        raise CommandFailed(f"the recording did not go in whole: {report}")
    flush(running, timeout_s=_FLUSH_S_MAX)
    return report.spans


def _unheard(_used: int) -> None:
    """Show no progress: it takes a second."""


def _runs(store: "Store") -> "list[Run]":
    from spanlore.schemas.runs import RunFilter, list_runs

    return list_runs(store, RunFilter(limit=_RUNS_MAX), now=datetime.now(UTC))


def _agent_folder(directory: Path) -> Path:
    """Put the agent's tool definitions where its repository would be."""
    folder = directory / _AGENT_FOLDER
    folder.mkdir()
    (folder / TOOLS.name).write_bytes(TOOLS.read_bytes())
    return folder


def _learn(store: "Store", agent: Path) -> "LearnReport":
    from spanlore.analyzers.job import learn

    report = learn(store, repo=agent)
    if report.failed or not report.findings:
        said = "; ".join(f"{name}: {reason}" for name, reason in report.failed.items())
        raise CommandFailed(f"nothing was learned from the recorded runs {said}".strip())
    return report


def _check_patches(lessons: "Sequence[Lesson]", agent: Path) -> bool:
    """Ask git whether every patch applies; False where there is no git. Raises CommandFailed."""
    for lesson in lessons:
        try:
            problem = patch_problem(lesson.patch, agent) if lesson.patch else None
        except FileNotFoundError:
            return False
        if problem is not None:
            raise CommandFailed(f"the diff of lesson {lesson.lesson_id} does not apply: {problem}")
    return True
