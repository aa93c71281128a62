"""`spanlore demo`: the whole loop on this machine, from an agent's runs to a measured change."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli import review_door
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running
from spanlore.cli.demo_agent import model_server, workday
from spanlore.cli.demo_repository import Repository, make_repository, require_git
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.output import print_json
from spanlore.cli.scratch import scratch_directory, scratch_stack
from spanlore.cli.steps import Steps

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport
    from spanlore.schemas.store import Store
    from spanlore.schemas.types import Effect, Lesson, Run

__all__ = ["SEED", "Shown", "demo_command"]

SEED = 67
BY = "demo"
HOLD_OUT = 0.5  # so that both arms are as large as they can be
_NEEDED = (
    "chdb", "clickhouse_connect", "numpy", "openai", "rich", "scipy", "statsmodels", "uvicorn",
)  # fmt: skip
# Those whose truth is planted here; `spanlore learn` asks all that are installed.
_ANALYZERS = ("preference_override", "tool_argument_misuse")
_AGENT_FOLDER = "meeting-assistant"
_RUNS_MAX = 100_000
_FLUSH_S_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came of the loop: runs of both phases, what was learned, and what that did."""

    before: "Sequence[Run]"
    after: "Sequence[Run]"
    report: "LearnReport"
    lessons: "Sequence[Lesson]"
    effects: "Sequence[Effect]"
    log: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """Return it as `--json` prints it, lessons as they stand in the end."""
        from spanlore.schemas.effect_records import effect_json
        from spanlore.schemas.lesson_records import lesson_json

        report = self.report.json()
        phases = ((1, self.before), (2, self.after))
        return {
            "runs": [{**asdict(run), "phase": phase} for phase, runs in phases for run in runs],
            "findings": report["findings"],
            "held_back": report["held_back"],
            "lessons": [lesson_json(one) for one in self.lessons],
            "effects": [effect_json(one) for one in self.effects],
            "log": self.log,
        }


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running; say how to look around and stop it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="Of all that is random.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="New directory for the data, which then stays. Default: a temporary one, removed.",
)
def demo_command(*, keep: bool, as_json: bool, seed: int, data_dir: Path | None) -> None:
    """Show the whole loop on this machine: no keys, no network, nothing left behind.

    A small agent works for simulated users against a scripted model, and its runs are recorded.
    Out come findings and lessons; those are evaluated, approved and given back to the agent,
    which works on, and what each lesson did is measured.
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
        shown = _show(running, steps, seed=seed, as_json=as_json)
    steps.end()
    if keep:
        show_demo.print_keep(directory, shown.lessons, to_stderr=as_json)
    if as_json:
        print_json({**shown.json(), "seconds": steps.seconds})
    else:
        left = f"the data is in {directory}" if keep or data_dir else "nothing is left behind"
        show_demo.print_next(seconds=steps.seconds["total"], left=left)


def _require_everything() -> None:
    for module in _NEEDED:
        if find_spec(module) is None:
            raise CannotReach(
                f"the demo needs {module}, which is not installed; "
                "run: python -m pip install 'spanlore[all]'"
            )
    require_git()


def _show(running: Running, steps: Steps, *, seed: int, as_json: bool) -> Shown:
    """Go round the loop once, printing what comes of each part unless all is JSON."""
    from spanlore.cli import show_demo
    from spanlore.schemas.store import Store

    repository = make_repository(running.data_dir / _AGENT_FOLDER)
    work = partial(workday, running, repository.tools, seed=seed)
    with (
        model_server(running.data_dir, seed=seed) as model_url,
        Store.connect(running.store_url) as store,
    ):
        with steps.step("work", "the agent works for its users, and its runs are recorded"):
            work(model_url=model_url, phase=1)
            before = _runs(running, store)
        if not as_json:
            show_demo.print_runs(before)
        with steps.step("learn", "learn from them: found on one half, confirmed on the other"):
            report = _learn(running, store, repository)
        if not as_json:
            show_demo.print_learned(store, before, report)
        with steps.step("approve", "a person approves; memories go live, diffs become branches"):
            approved = _approve(running, report.lessons)
            _apply(running, approved, repository)
        if not as_json:
            show_demo.print_approved(approved, by=BY, hold_out=HOLD_OUT, agent=repository.folder)
        with steps.step("work again", "the agent works on, with what was learned"):
            work(model_url=model_url, phase=2)
            known = {run.trace_id for run in before}
            after = [run for run in _runs(running, store) if run.trace_id not in known]
    with steps.step("measure", "measure what each lesson did"):
        effects = _measure(running, approved)
        shown = Shown(
            before=before,
            after=after,
            report=report,
            lessons=[kept.lesson for kept in review_door.lessons(running)],
            effects=effects,
            log=review_door.log(running),
        )
    if not as_json:
        _print_effects(shown)
    return shown


def _print_effects(shown: Shown) -> None:
    from spanlore.cli import show_effects

    show_effects.print_effects(shown.effects, shown.lessons)
    show_effects.print_overall(shown.before, shown.after)
    show_effects.print_log(shown.log, shown.lessons)


def _runs(running: Running, store: "Store") -> "list[Run]":
    """Return all runs there are, once everything that was sent can be read."""
    from spanlore.schemas.runs import RunFilter, list_runs

    flush(running, timeout_s=_FLUSH_S_MAX)
    return list_runs(store, RunFilter(limit=_RUNS_MAX), now=datetime.now(UTC))


def _learn(running: Running, store: "Store", repository: Repository) -> "LearnReport":
    from spanlore.analyzers.job import learn
    from spanlore.analyzers.lessons.desk import BY as LEARNER

    desk = review_door.ReviewDesk(running, by=LEARNER)
    report = learn(store, analyzers=_ANALYZERS, repo=repository.folder, desk=desk)
    if report.failed or not report.lessons:
        said = "; ".join(f"{name}: {reason}" for name, reason in report.failed.items())
        raise CommandFailed(f"nothing was learned from the agent's runs {said}".strip())
    return report


def _approve(running: Running, lessons: "Sequence[Lesson]") -> "list[Lesson]":
    """Approve, as a named person, what its gate passed or could not decide; return those.

    Memories and diffs: what only says what to change is for somebody who knows the agent's code.
    """
    from spanlore.schemas.lesson_state import content_hash

    approved = []
    for lesson in lessons:
        verdict = lesson.evaluations[-1]["verdict"] if lesson.evaluations else None
        acts = lesson.patch is not None or "slot" in lesson.content
        if lesson.state != "evaluated" or verdict == "fail" or not acts:
            continue
        detail: dict[str, Any] = {"content_hash": content_hash(lesson)}
        if lesson.layer == "context" and lesson.scope != "user":
            detail["hold_out"] = HOLD_OUT
        kept = review_door.event(
            running, lesson.lesson_id, "approve", by=BY, human=True, detail=detail
        )
        approved.append(kept.lesson)
    return approved


def _apply(running: Running, lessons: "Sequence[Lesson]", repository: Repository) -> None:
    """Make a branch of each approved diff, then merge them: all were made for the same file."""
    from spanlore.cli.lesson_apply import applied

    branches = [
        applied(running, lesson.lesson_id, repository.folder)["branch"]
        for lesson in lessons
        if lesson.layer == "harness" and lesson.patch is not None
    ]
    for branch in branches:
        repository.merge(branch)


def _measure(running: Running, lessons: "Sequence[Lesson]") -> "list[Effect]":
    from spanlore.cli.lesson_effect import measured

    return [measured(running, lesson.lesson_id)[1] for lesson in lessons]
