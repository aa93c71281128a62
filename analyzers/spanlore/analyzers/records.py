"""Findings and lessons as rows of the store and as the JSON that commands print."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spanlore.analyzers.finding_order import in_order
from spanlore.schemas.store import Store
from spanlore.schemas.tables import ANALYSES, FINDINGS, LESSONS
from spanlore.schemas.types import Finding, Lesson

STANDING_FINDINGS_SQL = f"""
SELECT * FROM {FINDINGS}
WHERE (Analyzer, AnalysisId) IN (
    SELECT Analyzer, argMax(AnalysisId, At)
    FROM {ANALYSES} ARRAY JOIN Analyzers AS Analyzer
    GROUP BY Analyzer
)
ORDER BY Version DESC LIMIT 1 BY FindingId
"""

LATEST_LESSONS_SQL = f"""
SELECT * FROM {LESSONS} ORDER BY Version DESC LIMIT 1 BY LessonId
"""


def standing_findings(store: Store) -> list[Finding]:
    """Return what the latest analysis by each analyzer says, ``in_order``."""
    return in_order(finding_of_row(row) for row in store.query(STANDING_FINDINGS_SQL))


def latest_lessons(store: Store) -> dict[str, tuple[Lesson, int]]:
    """Return lesson id -> (the lesson as it stands, its version)."""
    rows = store.query(LATEST_LESSONS_SQL)
    return {row["LessonId"]: (lesson_of_row(row), row["Version"]) for row in rows}


def finding_row(
    finding: Finding, *, analyzer_version: str, analysis_id: str, at: datetime, version: int
) -> dict[str, Any]:
    """Return the row of ``findings`` for one version of a finding."""
    low, high = finding.interval or (None, None)
    return {
        "FindingId": finding.finding_id,
        "Analyzer": finding.analyzer,
        "AnalyzerVersion": analyzer_version,
        "Title": finding.title,
        "N": finding.n,
        "K": finding.k,
        "Effect": finding.effect,
        "IntervalLow": low,
        "IntervalHigh": high,
        "P": finding.p,
        "Q": finding.q,
        "AdjustedFor": list(finding.adjusted_for),
        "Confirmed": int(finding.confirmed),
        "Reason": finding.reason or "",
        "Evidence": list(finding.evidence),
        "CounterEvidence": list(finding.counter_evidence),
        "Detail": json.dumps(finding.detail, sort_keys=True, ensure_ascii=False),
        "AnalysisId": analysis_id,
        "At": at,
        "Version": version,
    }


def finding_of_row(row: Mapping[str, Any]) -> Finding:
    """Return the finding of a row of ``findings``."""
    low, high = row["IntervalLow"], row["IntervalHigh"]
    return Finding(
        finding_id=row["FindingId"],
        analyzer=row["Analyzer"],
        title=row["Title"],
        n=row["N"],
        k=row["K"],
        effect=row["Effect"],
        interval=None if low is None or high is None else (low, high),
        p=row["P"],
        q=row["Q"],
        adjusted_for=tuple(row["AdjustedFor"]),
        confirmed=bool(row["Confirmed"]),
        evidence=tuple(row["Evidence"]),
        counter_evidence=tuple(row["CounterEvidence"]),
        detail=json.loads(row["Detail"]),
        reason=row["Reason"] or None,
    )


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return the JSON object of a finding; ``reason`` is null on a confirmed one."""
    return {
        "finding_id": finding.finding_id,
        "analyzer": finding.analyzer,
        "title": finding.title,
        "n": finding.n,
        "k": finding.k,
        "effect": finding.effect,
        "interval": list(finding.interval) if finding.interval else None,
        "p": finding.p,
        "q": finding.q,
        "adjusted_for": list(finding.adjusted_for),
        "confirmed": finding.confirmed,
        "evidence": list(finding.evidence),
        "counter_evidence": list(finding.counter_evidence),
        "detail": dict(finding.detail),
        "reason": finding.reason,
    }


def lesson_row(
    lesson: Lesson, *, tenant: str, at: datetime, version: int, by: str
) -> dict[str, Any]:
    """Return the row of ``lessons`` for one version; ``tenant`` "" means every tenant."""
    return {
        "LessonId": lesson.lesson_id,
        "Version": version,
        "State": lesson.state,
        "Layer": lesson.layer,
        "Scope": lesson.scope,
        "ScopeKey": lesson.scope_key,
        "TenantId": tenant,
        "Kind": lesson.kind,
        "Title": lesson.title,
        "Body": lesson.body,
        "Patch": lesson.patch or "",
        "BasePath": lesson.base_path or "",
        "BaseHash": lesson.base_hash or "",
        "Findings": list(lesson.findings),
        "Evidence": list(lesson.evidence),
        "Evaluations": json.dumps([dict(one) for one in lesson.evaluations], sort_keys=True),
        "Approvals": json.dumps([dict(one) for one in lesson.approvals], sort_keys=True),
        "At": at,
        "By": by,
    }


def lesson_of_row(row: Mapping[str, Any]) -> Lesson:
    """Return the lesson of a row of ``lessons``."""
    return Lesson(
        lesson_id=row["LessonId"],
        layer=row["Layer"],
        scope=row["Scope"],
        scope_key=row["ScopeKey"],
        kind=row["Kind"],
        title=row["Title"],
        body=row["Body"],
        patch=row["Patch"] or None,
        base_path=row["BasePath"] or None,
        base_hash=row["BaseHash"] or None,
        findings=tuple(row["Findings"]),
        evidence=tuple(row["Evidence"]),
        state=row["State"],
        evaluations=tuple(json.loads(row["Evaluations"])),
        approvals=tuple(json.loads(row["Approvals"])),
    )


def lesson_json(lesson: Lesson) -> dict[str, Any]:
    """Return the JSON object of a lesson."""
    return {
        "lesson_id": lesson.lesson_id,
        "layer": lesson.layer,
        "scope": lesson.scope,
        "scope_key": lesson.scope_key,
        "kind": lesson.kind,
        "title": lesson.title,
        "body": lesson.body,
        "patch": lesson.patch,
        "base_path": lesson.base_path,
        "base_hash": lesson.base_hash,
        "findings": list(lesson.findings),
        "evidence": list(lesson.evidence),
        "state": lesson.state,
        "evaluations": [dict(one) for one in lesson.evaluations],
        "approvals": [dict(one) for one in lesson.approvals],
    }
