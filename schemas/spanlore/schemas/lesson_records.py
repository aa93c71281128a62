"""Lessons as rows of the store, as the JSON that commands print, and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spanlore.schemas.learning_tables import LESSONS
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

LATEST_LESSONS_SQL = f"""
SELECT * FROM {LESSONS} ORDER BY Version DESC LIMIT 1 BY LessonId
"""


def latest_lessons(store: Store) -> dict[str, tuple[Lesson, int]]:
    """Return lesson id -> (the lesson as it stands, its version)."""
    rows = store.query(LATEST_LESSONS_SQL)
    return {row["LessonId"]: (lesson_of_row(row), row["Version"]) for row in rows}


def lesson_row(lesson: Lesson, *, at: datetime, version: int, by: str) -> dict[str, Any]:
    """Return the row of ``lessons`` for one version."""
    return {
        "LessonId": lesson.lesson_id,
        "Version": version,
        "State": lesson.state,
        "Layer": lesson.layer,
        "Scope": lesson.scope,
        "ScopeKey": lesson.scope_key,
        "TenantId": lesson.tenant,
        "Kind": lesson.kind,
        "Title": lesson.title,
        "Body": lesson.body,
        "Patch": lesson.patch or "",
        "BasePath": lesson.base_path or "",
        "BaseHash": lesson.base_hash or "",
        "Findings": list(lesson.findings),
        "Evidence": list(lesson.evidence),
        "Selector": dict(lesson.selector),
        "Content": _text(dict(lesson.content)),
        "Evaluations": _text([dict(one) for one in lesson.evaluations]),
        "Approvals": _text([dict(one) for one in lesson.approvals]),
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
        tenant=row["TenantId"],
        selector=dict(row["Selector"]),
        content=json.loads(row["Content"] or "{}"),
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
        "tenant": lesson.tenant,
        "selector": dict(lesson.selector),
        "kind": lesson.kind,
        "title": lesson.title,
        "body": lesson.body,
        "content": dict(lesson.content),
        "patch": lesson.patch,
        "base_path": lesson.base_path,
        "base_hash": lesson.base_hash,
        "findings": list(lesson.findings),
        "evidence": list(lesson.evidence),
        "state": lesson.state,
        "evaluations": [dict(one) for one in lesson.evaluations],
        "approvals": [dict(one) for one in lesson.approvals],
    }


def lesson_of_json(document: Mapping[str, Any]) -> Lesson:
    """Return the lesson of a JSON object; ValueError, naming what is wrong, when it is none."""
    known = set(Lesson.__dataclass_fields__)
    missing = sorted({"lesson_id", "layer", "scope", "kind", "title", "body"} - document.keys())
    unknown = sorted(document.keys() - known)
    if missing or unknown:
        message = f"not a lesson: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}"
        raise ValueError(message)
    return Lesson(
        lesson_id=str(document["lesson_id"]),
        layer=_one_of(document, "layer", ("context", "harness", "model")),
        scope=_one_of(document, "scope", ("user", "tenant", "global")),
        scope_key=str(document.get("scope_key", "")),
        kind=str(document["kind"]),
        title=str(document["title"]),
        body=str(document["body"]),
        patch=_typed(document, "patch", str),
        base_path=_typed(document, "base_path", str),
        base_hash=_typed(document, "base_hash", str),
        findings=tuple(map(str, _typed(document, "findings", list) or ())),
        evidence=tuple(map(str, _typed(document, "evidence", list) or ())),
        tenant=str(document.get("tenant", "")),
        selector=_typed(document, "selector", dict) or {},
        content=_typed(document, "content", dict) or {},
        state=str(document.get("state", "proposed")),
        evaluations=tuple(_typed(document, "evaluations", list) or ()),
        approvals=tuple(_typed(document, "approvals", list) or ()),
    )


def _typed(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if value is not None and not isinstance(value, kind):
        message = f"not a lesson: {name} is no {kind.__name__}"
        raise ValueError(message)
    return value


def _one_of(document: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> Any:
    if document[name] not in allowed:
        message = f"not a lesson: {name} is {document[name]!r}, not one of {', '.join(allowed)}"
        raise ValueError(message)
    return document[name]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
