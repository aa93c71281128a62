"""One round of learning: analyzers, then findings, then lessons, each written once."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanlore.analyzers.core import findings_of
from spanlore.analyzers.desk import Desk, DryRun, Proposal
from spanlore.analyzers.finding_order import in_order
from spanlore.analyzers.gates import evaluate
from spanlore.analyzers.hypothesis import Hypothesis
from spanlore.analyzers.proposals import propose
from spanlore.analyzers.records import (
    finding_json,
    finding_of_row,
    finding_row,
)
from spanlore.analyzers.registry import Analyzer, installed_analyzers
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import ANALYSES, FINDINGS
from spanlore.schemas.lesson_records import latest_lessons, lesson_json
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Finding, Lesson

_ID_HEX_DIGITS = 32
_log = logging.getLogger(__name__)

RUNS_COUNTED_SQL = f"""
SELECT count() AS Runs, sum(Spans) AS Spans, max(SealedAt) AS SealedBefore
FROM (
    SELECT Spans, SealedAt FROM {RUNS}
    WHERE LastReceivedAt >= {{since:DateTime64(9)}} {LATEST_RUN}
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnReport:
    """What a round of learning counted and concluded.

    ``nothing_new`` says that no run was sealed since the same analysis was made, and that the
    findings are that analysis's. ``failed`` maps an analyzer that raised to what it said.
    """

    runs: int
    spans: int
    findings: tuple[Finding, ...]
    held_back: tuple[Finding, ...]
    lessons: tuple[Lesson, ...]
    analysis_id: str
    nothing_new: bool = False
    failed: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return the report as ``spanlore learn --json`` prints it."""
        return {
            "runs": self.runs,
            "spans": self.spans,
            "findings": [finding_json(one) for one in self.findings],
            "lessons": [lesson_json(one) for one in self.lessons],
            "held_back": [finding_json(one) for one in self.held_back],
            "analysis_id": self.analysis_id,
            "nothing_new": self.nothing_new,
            "failed": dict(self.failed),
        }


def learn(
    store: Store,
    *,
    since: datetime | None = None,
    analyzers: Sequence[str] = (),
    repo: Path | None = None,
    desk: Desk | None = None,
    at: datetime | None = None,
) -> LearnReport:
    """Run the analyzers once over every run (of the window), then hand in lessons at the desk.

    With no desk it is a dry run: nothing is written, and the lessons are those that would be
    handed in, evaluated.

    Without ``since`` everything is counted anew as soon as one run was sealed since the last
    round: a rate over the new runs alone would forget the old. If none was, that round's findings
    stand. ``at`` is the time written (now by default). Raises StoreError, UnknownAnalyzer, and
    NotADirectoryError when ``repo`` is no folder; an analyzer that raises is reported.
    """
    window, chosen = Window(since), installed_analyzers(analyzers)
    counted = store.query(RUNS_COUNTED_SQL, {"since": window.since_text})[0]
    analysis_id = _analysis_id(counted["SealedBefore"], chosen, window)
    before = _findings_of_analysis(store, analysis_id)
    failed: dict[str, str] = {}
    if before is None:
        found, failed = _analysed(store, chosen, window)
    else:
        found = before
    now = at or datetime.now(UTC)
    if before is None and desk is not None:
        _write_findings(store, found, chosen, analysis_id=analysis_id, at=now)
        _write_analysis(
            store,
            found,
            chosen=chosen,
            failed=failed,
            counted=counted,
            analysis_id=analysis_id,
            at=now,
        )
    standing = {key: lesson for key, (lesson, _) in latest_lessons(store).items()}
    this = propose(standing, found, repo)
    lessons = (desk or DryRun(standing, now)).submit(
        [_evaluated(store, lesson, window) for lesson in this.proposed], this.superseded
    )
    return LearnReport(
        runs=counted["Runs"],
        spans=counted["Spans"],
        findings=tuple(one for one in found if one.confirmed),
        held_back=tuple(one for one in found if not one.confirmed),
        lessons=(*this.decided, *lessons),
        analysis_id=analysis_id,
        nothing_new=before is not None,
        failed=failed,
    )


def _analysed(
    store: Store, chosen: Sequence[Analyzer], window: Window
) -> tuple[list[Finding], dict[str, str]]:
    """Run every analyzer and judge all their hypotheses together."""
    hypotheses: list[Hypothesis] = []
    failed: dict[str, str] = {}
    for analyzer in chosen:
        try:
            hypotheses += analyzer.analyze(store, window)
        except Exception as error:  # noqa: BLE001 - one analyzer, perhaps somebody else's, must not stop the rest
            _log.exception("the analyzer %s failed; the others go on", analyzer.name)
            failed[analyzer.name] = f"{type(error).__name__}: {error}"
    return findings_of(hypotheses), failed


def _evaluated(store: Store, lesson: Lesson, window: Window) -> Proposal:
    """Return the proposal with what its gate says; nobody evaluates what is quarantined."""
    verdict = None if lesson.state == "quarantined" else evaluate(store, lesson, window)
    return Proposal(lesson=lesson, evaluation=verdict)


def _findings_of_analysis(store: Store, analysis_id: str) -> list[Finding] | None:
    """Return the findings of an analysis made before without a failure, None if there is none."""
    made = store.query(
        f"SELECT count() AS Made FROM {ANALYSES} "
        "WHERE AnalysisId = {id:String} AND empty(Failed)",
        {"id": analysis_id},
    )
    if not made[0]["Made"]:
        return None
    rows = store.query(
        f"SELECT * FROM {FINDINGS} WHERE AnalysisId = {{id:String}} "
        "ORDER BY Version DESC LIMIT 1 BY FindingId",
        {"id": analysis_id},
    )
    return in_order(finding_of_row(row) for row in rows)


def _write_findings(
    store: Store,
    found: Sequence[Finding],
    chosen: Sequence[Analyzer],
    *,
    analysis_id: str,
    at: datetime,
) -> None:
    versions = {analyzer.name: analyzer.version for analyzer in chosen}
    sql = f"SELECT FindingId, max(Version) AS Version FROM {FINDINGS} GROUP BY FindingId"
    latest = {row["FindingId"]: row["Version"] for row in store.query(sql)}
    store.insert(
        FINDINGS,
        [
            finding_row(
                finding,
                analyzer_version=versions.get(finding.analyzer, ""),
                analysis_id=analysis_id,
                at=at,
                version=latest.get(finding.finding_id, 0) + 1,
            )
            for finding in found
        ],
    )


def _write_analysis(  # noqa: PLR0913 - one row, one argument a column
    store: Store,
    found: Sequence[Finding],
    *,
    chosen: Sequence[Analyzer],
    failed: Mapping[str, str],
    counted: Mapping[str, Any],
    analysis_id: str,
    at: datetime,
) -> None:
    row = {
        "AnalysisId": analysis_id,
        "At": at,
        "SealedBefore": counted["SealedBefore"],
        "Analyzers": [analyzer.name for analyzer in chosen],
        "Runs": counted["Runs"],
        "Spans": counted["Spans"],
        "Findings": len(found),
        "Confirmed": sum(one.confirmed for one in found),
        "Failed": [f"{name}: {reason}" for name, reason in failed.items()],
    }
    store.insert(ANALYSES, [row])


def _analysis_id(sealed_before: Any, chosen: Sequence[Analyzer], window: Window) -> str:
    """Return the id of an analysis: of what there was to count, by which analyzers."""
    parts = [str(sealed_before), window.since_text]
    parts += [f"{analyzer.name}@{analyzer.version}" for analyzer in chosen]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:_ID_HEX_DIGITS]
