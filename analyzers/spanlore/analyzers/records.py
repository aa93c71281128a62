"""Findings as rows of the store and as the JSON that commands print."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from spanlore.analyzers.core.finding_order import in_order
from spanlore.schemas.learning_tables import ANALYSES, FINDINGS
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding

STANDING_FINDINGS_SQL = f"""
SELECT * FROM {FINDINGS}
WHERE (Analyzer, AnalysisId) IN (
    SELECT Analyzer, argMax(AnalysisId, At)
    FROM {ANALYSES} ARRAY JOIN Analyzers AS Analyzer
    GROUP BY Analyzer
)
ORDER BY Version DESC LIMIT 1 BY FindingId
"""

NAMED_FINDINGS_SQL = f"""
SELECT * FROM {FINDINGS} WHERE FindingId IN {{ids:Array(String)}}
ORDER BY Version DESC LIMIT 1 BY FindingId
"""


def standing_findings(store: Store) -> list[Finding]:
    """Return what the latest analysis by each analyzer says, ``in_order``."""
    return in_order(finding_of_row(row) for row in store.query(STANDING_FINDINGS_SQL))


def named_findings(store: Store, finding_ids: Sequence[str]) -> list[Finding]:
    """Return these findings as they were seen last, in this order, also those seen no more."""
    rows = store.query(NAMED_FINDINGS_SQL, {"ids": list(finding_ids)})
    found = {row["FindingId"]: finding_of_row(row) for row in rows}
    return [found[one] for one in finding_ids if one in found]


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
        "Verdict": finding.verdict,
        "NeededN": finding.n_needed,
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
        verdict=row["Verdict"],
        n_needed=row["NeededN"],
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
        "verdict": finding.verdict,
        "n_needed": finding.n_needed,
        "evidence": list(finding.evidence),
        "counter_evidence": list(finding.counter_evidence),
        "detail": dict(finding.detail),
        "reason": finding.reason,
    }
