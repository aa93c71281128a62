"""Judging the runs that a judge has not judged yet, a batch at a time.

Verdicts leave through ``deliver`` after every batch, so that what was judged is kept however it
ends, and the next job goes on with the rest. A run on which the judge says nothing is looked at
again by the next job; the answers of a model are cached, so that costs nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from spanlore.analyzers.judges.installed import Judge
from spanlore.analyzers.judges.verdict_of_run import Verdict
from spanlore.analyzers.models.question import BudgetSpent, ModelError, ModelUnreachable
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import IN_WINDOW, Window
from spanlore.schemas import semconv
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS, LATEST_RUN, RUNS

BATCH_SPANS_MAX = 5_000
BATCH_RUNS_MAX = 64
QUESTIONS_AT_ONCE = 4
FAILURES_IN_A_ROW_MAX = 3

# Newest first; a run that is not over is not judged.
_UNJUDGED_SQL = f"""
SELECT TraceId, Spans FROM (
    SELECT TraceId, Spans, State, StartedAt FROM {RUNS}
    WHERE {IN_WINDOW} {LATEST_RUN}
)
WHERE State != 'open' AND TraceId NOT IN (
    SELECT TraceId FROM {JUDGEMENTS}
    WHERE Name = '{semconv.EVALUATION_TASK_SUCCESS}' AND Source = {{source:String}}
        AND Evaluator = {{evaluator:String}}
)
ORDER BY StartedAt DESC, TraceId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerdict:
    """A judge's verdict on a run, as it is to be sent. ``at_ns`` is Unix nanoseconds."""

    trace_id: str
    tenant: str
    source: str
    evaluator: str
    verdict: Verdict
    at_ns: int


Deliver = Callable[[Sequence[RunVerdict]], None]


@dataclass(slots=True, kw_only=True)
class JudgeReport:
    """What came of a job. ``silent`` runs are those of which the judge says nothing.

    ``failed`` maps what went wrong with single runs to how many; ``stopped`` says why the job
    ended before the last run, and is None where it did not.
    """

    evaluator: str
    waiting: int
    looked_at: int = 0
    passed: int = 0
    not_passed: int = 0
    silent: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    stopped: str | None = None

    @property
    def judged(self) -> int:
        """Verdicts given."""
        return self.passed + self.not_passed


def judge_runs(
    store: Store,
    judge: Judge,
    window: Window,
    *,
    deliver: Deliver,
    limit: int | None = None,
) -> JudgeReport:
    """Judge the runs of a window that this version of the judge has not judged, newest first.

    At most ``limit`` verdicts are given (None: no bound). A model that cannot be reached, whose
    budget is spent, or that fails three runs in a row ends the job, and the report says so; what
    a code judge raises goes through. Raises StoreError and what ``deliver`` raises.
    """
    params = {**window.params, "source": judge.source, "evaluator": judge.evaluator}
    waiting = store.query(_UNJUDGED_SQL, params)
    report = JudgeReport(evaluator=judge.evaluator, waiting=len(waiting))
    runs = _read(store, [(row["TraceId"], row["Spans"]) for row in waiting])
    # So many questions are asked at once: when nobody answers, no more of them are waited for.
    at_once, failures = QUESTIONS_AT_ONCE if judge.model else BATCH_RUNS_MAX, 0
    with ThreadPoolExecutor(at_once if judge.model else 1) as asking:
        while report.stopped is None:
            left = at_once if limit is None else min(at_once, limit - report.judged)
            asked = list(islice(runs, left))
            if not asked:
                break
            verdicts: list[RunVerdict] = []
            for run, said in zip(asked, asking.map(partial(_said, judge), asked), strict=True):
                failures = failures + 1 if isinstance(said, ModelError) else 0
                _note(report, said, failures=failures)
                if isinstance(said, Verdict):
                    verdicts.append(_sent(judge, run, said))
            if verdicts:
                deliver(verdicts)
    return report


def _said(judge: Judge, run: RunTrace) -> Verdict | ModelError | None:
    try:
        return judge.says(run)
    except ModelError as error:
        return error


def _note(report: JudgeReport, said: Verdict | ModelError | None, *, failures: int) -> None:
    """Count what was said of one run, and decide whether to go on."""
    if isinstance(said, BudgetSpent):
        report.stopped = str(said)
        return
    report.looked_at += 1
    match said:
        case None:
            report.silent += 1
        case Verdict(label="pass"):
            report.passed += 1
        case Verdict():
            report.not_passed += 1
        case _:
            report.failed[str(said)] = report.failed.get(str(said), 0) + 1
            if isinstance(said, ModelUnreachable) or failures >= FAILURES_IN_A_ROW_MAX:
                report.stopped = str(said)


def _sent(judge: Judge, run: RunTrace, verdict: Verdict) -> RunVerdict:
    return RunVerdict(
        trace_id=run.trace_id,
        tenant=run.tenant,
        source=judge.source,
        evaluator=judge.evaluator,
        verdict=verdict,
        at_ns=time.time_ns(),
    )


def _read(store: Store, runs: Sequence[tuple[str, int]]) -> Iterator[RunTrace]:
    """Yield the runs of these (trace id, spans) in order, read as many at once as fit in memory."""
    batch: list[str] = []
    spans = 0
    for trace_id, count in runs:
        if batch and (spans + count > BATCH_SPANS_MAX or len(batch) >= BATCH_RUNS_MAX):
            yield from _in_order(store, batch)
            batch, spans = [], 0
        batch.append(trace_id)
        spans += count
    yield from _in_order(store, batch)


def _in_order(store: Store, trace_ids: list[str]) -> list[RunTrace]:
    return sorted(run_traces(store, trace_ids), key=lambda run: trace_ids.index(run.trace_id))
