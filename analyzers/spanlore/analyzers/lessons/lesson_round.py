"""The second half of a round of learning: from findings to lessons, at the desk.

New lessons are proposed and evaluated; what users' lessons support is proposed for more of them
(``promotion``); and what stands is consolidated (``consolidation``). The desk alone writes lessons.
A round that is stopped in between is made whole by the next: every step looks at what stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanlore.analyzers.evaluation.gates import evaluate
from spanlore.analyzers.lessons.consolidation import Consolidated, Known, consolidate
from spanlore.analyzers.lessons.desk import Desk, DryRun, Proposal
from spanlore.analyzers.lessons.lesson_note import Note
from spanlore.analyzers.lessons.lesson_notes import write_notes
from spanlore.analyzers.lessons.lesson_usage import first_proposed, usage
from spanlore.analyzers.lessons.promotion import promotions
from spanlore.analyzers.lessons.proposals import propose
from spanlore.analyzers.lessons.triage import Tried, tried_of
from spanlore.analyzers.window import Window
from spanlore.schemas.effect_records import latest_effects
from spanlore.schemas.learning_tables import FINDINGS, NOT_REVOKED, REVOKED_TRACES
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.lesson_state import UNDECIDED, Ending
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Finding, Lesson

ANALYZERS_SQL = f"""
SELECT FindingId, any(Analyzer) AS Analyzer FROM {FINDINGS}
WHERE FindingId IN {{ids:Array(String)}} GROUP BY FindingId
"""
LABELLED_SQL = f"""
SELECT countIf(Outcome IN ('pass', 'fail')) AS Runs
FROM (SELECT Outcome FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN})
"""
# When the latest revocation of a run of each tenant was.
REVOKED_SQL = f"""
SELECT run.TenantId AS TenantId, toUnixTimestamp64Milli(max(revoked.At)) AS Ms
FROM {REVOKED_TRACES} AS revoked
INNER JOIN (SELECT TraceId, TenantId FROM {RUNS} {LATEST_RUN}) AS run USING (TraceId)
GROUP BY TenantId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a round left: the lessons that answer its findings, what ended, and what to look at."""

    lessons: tuple[Lesson, ...]
    ended: tuple[Ending, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was found, in which runs; ``complete`` are the analyzers that counted all of them."""

    findings: Sequence[Finding]
    window: Window
    complete: frozenset[str]


def settle(
    store: Store,
    desk: Desk | None,
    *,
    analysis: Analysis,
    repo: Path | None,
    now: datetime,
    drafts: Sequence[Lesson] = (),
) -> Settled:
    """Hand in what follows from an analysis; with no desk only say what would. Raises StoreError.

    ``drafts`` are handed in beside what follows by rule. Raises NotADirectoryError when ``repo``
    is no folder.
    """
    standing = {key: lesson for key, (lesson, _) in latest_lessons(store).items()}
    this = propose(standing, analysis.findings, repo)
    counter = desk or DryRun(standing, now)
    fresh = counter.submit(
        [_evaluated(store, one, analysis.window) for one in (*this.proposed, *drafts)],
        this.superseded,
    )
    stand = _after(standing, fresh, superseded=this.superseded)
    worded = {one.lesson_id for one in this.proposed}
    promoted = [one for one in promotions(stand) if one.lesson_id not in worded]
    said = consolidate(_known(store, stand, analysis=analysis, now=now))
    wider = counter.submit(
        [_evaluated(store, one, analysis.window) for one in promoted], (), said.endings
    )
    if desk is not None:
        write_notes(store, said.notes, now)
    return _settled((*this.decided, *fresh, *wider), said)


def tried_lessons(store: Store) -> tuple[list[Tried], int]:
    """Return the lessons that were tried and left something, and how many runs are labelled."""
    lessons = [lesson for lesson, _ in latest_lessons(store).values()]
    [labelled] = store.query(LABELLED_SQL)
    return tried_of(lessons, latest_effects(store)), int(labelled["Runs"])


def _settled(lessons: Iterable[Lesson], said: Consolidated) -> Settled:
    """Leave out what ended in the same round."""
    gone = {one.lesson_id for one in said.endings}
    return Settled(
        lessons=tuple(one for one in lessons if one.lesson_id not in gone),
        ended=said.endings,
        notes=said.notes,
    )


def _evaluated(store: Store, lesson: Lesson, window: Window) -> Proposal:
    """Return the proposal with what its gate says; nobody evaluates what is quarantined."""
    verdict = None if lesson.state == "quarantined" else evaluate(store, lesson, window)
    return Proposal(lesson=lesson, evaluation=verdict)


def _after(
    standing: Mapping[str, Lesson], fresh: Iterable[Lesson], *, superseded: Iterable[str]
) -> dict[str, Lesson]:
    """Return all lessons as they stand when proposals were taken."""
    after = {**standing, **{one.lesson_id: one for one in fresh}}
    for lesson_id in superseded:
        if after[lesson_id].state in UNDECIDED:
            after[lesson_id] = replace(after[lesson_id], state="superseded")
    return after


def _known(
    store: Store, lessons: Mapping[str, Lesson], *, analysis: Analysis, now: datetime
) -> Known:
    named = {
        finding_id
        for one in lessons.values()
        if one.layer == "context"
        for finding_id in one.findings
    }
    before: list[dict[str, Any]] = store.query(ANALYZERS_SQL, {"ids": sorted(named)})
    return Known(
        lessons=lessons,
        findings={one.finding_id: one for one in analysis.findings},
        now=now,
        since=first_proposed(store),
        usage=usage(store),
        analyzer_of={
            **{row["FindingId"]: row["Analyzer"] for row in before},
            **{one.finding_id: one.analyzer for one in analysis.findings},
        },
        complete=analysis.complete,
        revoked={
            row["TenantId"]: datetime.fromtimestamp(row["Ms"] / 1000, UTC)
            for row in store.query(REVOKED_SQL)
        },
    )
