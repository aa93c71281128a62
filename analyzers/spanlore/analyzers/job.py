"""One round of learning: analyzers, then findings, then lessons, each written once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spanlore.analyzers.analysis import analysed
from spanlore.analyzers.core.finding_order import in_order
from spanlore.analyzers.counting.tenants_seen import with_tenants
from spanlore.analyzers.extraction import Progress, Unread, extract_pending, unread
from spanlore.analyzers.lessons.desk import Desk
from spanlore.analyzers.lessons.lesson_note import Note
from spanlore.analyzers.lessons.lesson_notes import note_json
from spanlore.analyzers.lessons.lesson_round import Analysis, Settled, settle, tried_lessons
from spanlore.analyzers.lessons.triage import triaged
from spanlore.analyzers.meta_harness.consultation import Consultation, consult, consulting
from spanlore.analyzers.meta_harness.proposed_hypotheses import NAME as META_HARNESS
from spanlore.analyzers.models.question import ModelClient, ModelError
from spanlore.analyzers.records import (
    finding_json,
    finding_of_row,
    finding_row,
)
from spanlore.analyzers.registry import Analyzer, installed_analyzers, installed_extractors
from spanlore.analyzers.window import IN_WINDOW, Window
from spanlore.schemas.learning_tables import (
    ANALYSES,
    EFFECTS,
    EXPOSURES,
    FINDINGS,
    NOT_REVOKED,
    OVERRIDES,
    REVOKED_TRACES,
)
from spanlore.schemas.lesson_records import lesson_json
from spanlore.schemas.lesson_state import Ending
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Finding, Lesson

_ID_HEX_DIGITS = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# ``State`` changes with all that an analysis rests on: which runs there are and as what they were
# sealed, what was revoked, and what came of users and of delivered lessons.
RUNS_COUNTED_SQL = f"""
SELECT count() AS Runs, sum(Spans) AS Spans, max(SealedAt) AS SealedBefore,
       toUnixTimestamp64Micro(SealedBefore) AS SealedUs,
       toString(tuple(
           sum(sipHash64(TraceId, Version)),
           (SELECT uniqExact(TraceId) FROM {REVOKED_TRACES}),
           (SELECT (uniqExact(sipHash64(TenantId, TraceId, Target, ToolName, Field, OverrideId)),
                    max(ReceivedAt)) FROM {OVERRIDES}),
           (SELECT (uniqExact(sipHash64(LessonId, TenantId, TraceId)), max(ReceivedAt))
            FROM {EXPOSURES}),
           (SELECT (count(), max(At)) FROM {EFFECTS})
       )) AS State
FROM (
    SELECT TraceId, Version, Spans, SealedAt FROM {RUNS}
    WHERE {IN_WINDOW} AND {NOT_REVOKED} {LATEST_RUN}
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnReport:
    """What a round of learning counted and concluded.

    ``nothing_new`` says that no run was sealed since the same analysis was made, and that the
    findings are that analysis's. ``failed`` maps an analyzer or extractor that raised to what it
    said; those of ``failed_now`` did so in this round, the others on runs that were tried before.
    ``too_large`` says which runs were not read for their size. ``ended`` are standing lessons that
    the round took back, ``notes`` what it would have a person look at.
    """

    runs: int
    spans: int
    findings: tuple[Finding, ...]
    held_back: tuple[Finding, ...]
    lessons: tuple[Lesson, ...]
    analysis_id: str
    nothing_new: bool = False
    failed: Mapping[str, str] = field(default_factory=dict)
    failed_now: frozenset[str] = frozenset()
    too_large: str = ""
    ended: tuple[Ending, ...] = ()
    notes: tuple[Note, ...] = ()
    consultation: Consultation | None = None

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
            "failed_now": sorted(self.failed_now),
            "too_large": self.too_large,
            "ended": [
                {"lesson_id": one.lesson_id, "how": one.kind, "reason": one.reason}
                for one in self.ended
            ],
            "notes": [note_json(one) for one in self.notes],
            "model": self.consultation.json() if self.consultation else None,
        }


def learn(  # noqa: PLR0913 - what may be asked of a round
    store: Store,
    *,
    since: datetime | None = None,
    analyzers: Sequence[str] = (),
    repo: Path | None = None,
    desk: Desk | None = None,
    at: datetime | None = None,
    progress: Progress | None = None,
    model: ModelClient | None = None,
) -> LearnReport:
    """Run the analyzers once over every run (of the window), then hand in lessons at the desk.

    Runs that no extractor has read are read first (``extraction``; ``progress`` is told how far
    that is), and what was seen in them is kept: a stopped round goes on where it was. With no desk
    it is a dry run: no finding and no lesson is written, and the lessons are those that would be
    handed in, evaluated. A ``model`` is asked once about what was found (``meta_harness``): its
    hypotheses are counted and judged like any other, its drafts are proposals to be read.

    Without ``since`` everything is counted anew as soon as one run was sealed since the last
    round, or a user, a lesson's delivery or a new version of an analyzer or extractor had something
    to say: a rate over the new runs alone would forget the old. Else that round's findings stand.
    An extractor that failed on a run looks at it again when its ``VERSION`` changes. ``at`` is the
    time written (now by default). Raises StoreError, UnknownAnalyzer, and NotADirectoryError when
    ``repo`` is no folder; an analyzer that raises is reported.
    """
    chosen = installed_analyzers(analyzers)
    if model is not None:
        chosen = [*chosen, consulting(model.name)]
    counted = store.query(RUNS_COUNTED_SQL, Window(since).params)[0]
    window = Window(since, _EPOCH + timedelta(microseconds=counted["SealedUs"]))
    analysis_id = _analysis_id(counted, chosen, since)
    before = _findings_of_analysis(store, analysis_id)
    counts = (
        _Counts(found=before)
        if before is not None
        else _counts(store, chosen, window, progress=progress, model=model, repo=repo)
    )
    now = at or datetime.now(UTC)
    if before is None and desk is not None:
        _write_findings(store, counts.found, chosen, analysis_id=analysis_id, at=now)
    missed = unread(store, window)
    complete = (
        frozenset[str]()
        if since or counts.failed_now
        else complete_analyzers(chosen, missed.failed)
    )
    analysis = Analysis(findings=counts.found, window=window, complete=complete)
    drafts = counts.consultation.drafts if counts.consultation else ()
    settled = settle(store, desk, analysis=analysis, drafts=drafts, repo=repo, now=now)
    if before is None and desk is not None:
        is_whole = not (since or analyzers or counts.failed_now)
        row = _analysis_row(counts, chosen, counted, analysis_id=analysis_id, at=now)
        store.insert(ANALYSES, [{**row, "Whole": int(is_whole)}])
    return _report(
        counted,
        counts,
        missed=missed,
        settled=settled,
        analysis_id=analysis_id,
        nothing_new=before is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """What was found, which analyzers and extractors failed now, and what a model was asked."""

    found: Sequence[Finding]
    failed: Mapping[str, str] = field(default_factory=dict)
    misread: Mapping[str, str] = field(default_factory=dict)
    consultation: Consultation | None = None

    @property
    def failed_now(self) -> dict[str, str]:
        """Analyzer or extractor -> what it said when it failed in this round."""
        return {**self.misread, **self.failed}


def _report(
    counted: Mapping[str, Any],
    counts: _Counts,
    *,
    missed: Unread,
    settled: Settled,
    analysis_id: str,
    nothing_new: bool,
) -> LearnReport:
    return LearnReport(
        runs=counted["Runs"],
        spans=counted["Spans"],
        findings=tuple(one for one in counts.found if one.confirmed),
        held_back=tuple(one for one in counts.found if not one.confirmed),
        lessons=settled.lessons,
        analysis_id=analysis_id,
        nothing_new=nothing_new,
        failed={**counts.misread, **missed.failed, **counts.failed},
        failed_now=frozenset(counts.failed_now),
        too_large=missed.too_large,
        ended=settled.ended,
        notes=settled.notes,
        consultation=counts.consultation,
    )


def _counts(
    store: Store,
    chosen: Sequence[Analyzer],
    window: Window,
    *,
    progress: Progress | None,
    model: ModelClient | None,
    repo: Path | None,
) -> _Counts:
    """Read the runs that nobody has read, count them all, and ask the model if there is one."""
    extracted = extract_pending(store, window, progress)
    found, failed = _analysed(store, chosen, window)
    if model is None:
        return _Counts(found=found, failed=failed, misread=extracted.failed)
    consultation = _consulted(store, window, found, model=model, repo=repo, failed=failed)
    found = in_order([*found, *consultation.findings])
    return _Counts(found=found, failed=failed, misread=extracted.failed, consultation=consultation)


def complete_analyzers(chosen: Sequence[Analyzer], failed: Mapping[str, str]) -> frozenset[str]:
    """Return the analyzers that no failed extractor is missed by; its facts may be for several."""
    names = frozenset(analyzer.name for analyzer in chosen)
    return names - failed.keys() if failed.keys() <= names else frozenset()


def _analysed(
    store: Store, chosen: Sequence[Analyzer], window: Window
) -> tuple[list[Finding], dict[str, str]]:
    """Return what the analyzers found, with the layer that each is to be mended in."""
    told = analysed(store, chosen, window)
    tried, labelled = tried_lessons(store)
    seen = with_tenants(store, told.findings)
    return triaged(seen, tried=tried, labelled_runs=labelled), told.failed


def _consulted(
    store: Store,
    window: Window,
    found: Sequence[Finding],
    *,
    model: ModelClient,
    repo: Path | None,
    failed: dict[str, str],
) -> Consultation:
    """Ask the model; that it is away or answers nonsense stops nothing else."""
    try:
        return consult(store, window, found, model=model, repo=repo)
    except ModelError as error:
        failed[META_HARNESS] = str(error)
        return Consultation(model=model.name)


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


def _analysis_row(
    counts: _Counts,
    chosen: Sequence[Analyzer],
    counted: Mapping[str, Any],
    *,
    analysis_id: str,
    at: datetime,
) -> dict[str, Any]:
    return {
        "AnalysisId": analysis_id,
        "At": at,
        "SealedBefore": counted["SealedBefore"],
        "Analyzers": [analyzer.name for analyzer in chosen],
        "Runs": counted["Runs"],
        "Spans": counted["Spans"],
        "Findings": len(counts.found),
        "Confirmed": sum(one.confirmed for one in counts.found),
        "Failed": [f"{name}: {reason}" for name, reason in counts.failed_now.items()],
    }


def _analysis_id(
    counted: Mapping[str, Any], chosen: Sequence[Analyzer], since: datetime | None
) -> str:
    """Return the id of an analysis: of what there was to count, by which analyzers of what."""
    parts = [str(counted["SealedBefore"]), counted["State"], Window(since).since_text]
    parts += [f"{analyzer.name}@{analyzer.version}" for analyzer in chosen]
    parts += [extractor.versioned for extractor in installed_extractors()]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:_ID_HEX_DIGITS]
