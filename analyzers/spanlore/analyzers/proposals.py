"""The lessons a round of learning proposes, beside those that stand already."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from spanlore.analyzers.harness_lesson import harness_lessons
from spanlore.analyzers.records import latest_lessons, lesson_row
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LESSONS
from spanlore.schemas.types import Finding, Lesson

BY = "spanlore learn"
UNDECIDED = ("proposed", "quarantined")
SUPERSEDED = "superseded"


def propose(
    store: Store, found: Sequence[Finding], repo: Path | None, *, at: datetime, dry_run: bool
) -> list[Lesson]:
    """Return the lessons of confirmed findings; write those that are new or better founded.

    Only a lesson that nobody has looked at yet changes by itself, and never loses its patch
    because this time no repository was given. What somebody decided on answers its findings, and
    a proposal whose findings a wider one answers is superseded. Raises StoreError, and
    NotADirectoryError when ``repo`` is no folder.
    """
    standing = latest_lessons(store)
    confirmed = {one.finding_id: one for one in found if one.confirmed}
    lessons = [
        lesson
        for lesson, _ in standing.values()
        if lesson.state not in (*UNDECIDED, SUPERSEDED) and confirmed.keys() & lesson.findings
    ]
    answered = {finding_id for lesson in lessons for finding_id in lesson.findings}
    open_findings = [one for one in confirmed.values() if one.finding_id not in answered]
    fresh = harness_lessons(open_findings, repo)
    lessons += [_kept(lesson, [one for one, _ in standing.values()]) for lesson in fresh]
    lessons = list({lesson.lesson_id: lesson for lesson in lessons}.values())
    gone = [
        replace(lesson, state=SUPERSEDED)
        for lesson, _ in standing.values()
        if lesson.state in UNDECIDED and _is_within(lesson, lessons)
    ]
    changed = [one for one in (*lessons, *gone) if one != standing.get(one.lesson_id, (None, 0))[0]]
    if not dry_run:
        store.insert(
            LESSONS,
            [
                lesson_row(
                    lesson,
                    tenant=_tenant(lesson, confirmed),
                    at=at,
                    version=standing.get(lesson.lesson_id, (None, 0))[1] + 1,
                    by=BY,
                )
                for lesson in changed
            ],
        )
    return lessons


def _kept(fresh: Lesson, standing: Sequence[Lesson]) -> Lesson:
    """Return the standing lesson that the fresh one must not replace, else the fresh one."""
    for known in standing:
        if known.lesson_id == fresh.lesson_id and known.state in UNDECIDED:
            loses_patch = known.patch is not None and fresh.patch is None
            if known.state != fresh.state or loses_patch:
                return known
        elif (
            known.state in UNDECIDED
            and known.patch is not None
            and fresh.patch is None
            and {*fresh.findings} < {*known.findings}
        ):
            return known
    return fresh


def _is_within(lesson: Lesson, lessons: Sequence[Lesson]) -> bool:
    """Whether another lesson answers everything that this one does."""
    return all(one.lesson_id != lesson.lesson_id for one in lessons) and any(
        {*lesson.findings} <= {*one.findings} for one in lessons if one.kind == lesson.kind
    )


def _tenant(lesson: Lesson, findings: Mapping[str, Finding]) -> str:
    """Return the only tenant that a lesson's findings were seen at, "" for several."""
    tenants = {
        str(findings[one].detail["scope"]["tenant"] or "")
        for one in lesson.findings
        if one in findings
    }
    return tenants.pop() if len(tenants) == 1 else ""
