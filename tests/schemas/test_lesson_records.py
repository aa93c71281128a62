import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from spanlore.schemas.learning_tables import LESSONS
from spanlore.schemas.lesson_records import (
    latest_lessons,
    lesson_json,
    lesson_of_json,
    lesson_row,
)
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

AT = datetime(2024, 5, 1, tzinfo=UTC)
MEMORY = Lesson(
    lesson_id="l1",
    layer="context",
    scope="tenant",
    scope_key="acme",
    kind="memory",
    title="t",
    body="b",
    patch=None,
    base_path=None,
    base_hash=None,
    findings=("f",),
    evidence=("e1", "e2"),
    tenant="acme",
    selector={"segment.time_zone": "Asia/Tokyo"},
    content={"slot": {"tool": "x", "field": "/y"}, "value": "10:00", "instead_of": None},
    state="evaluated",
    evaluations=({"verdict": "pass", "n": 3},),
)


def test_a_lesson_comes_back_from_the_store_as_it_went(store: Store) -> None:
    later = replace(MEMORY, state="rejected")
    rows = [
        lesson_row(lesson, at=AT, version=version, by="ada")
        for version, lesson in enumerate((MEMORY, later), start=1)
    ]
    store.insert(LESSONS, rows)
    assert latest_lessons(store) == {"l1": (later, 2)}


def test_a_lesson_comes_back_from_json_as_it_went() -> None:
    assert lesson_of_json(json.loads(json.dumps(lesson_json(MEMORY)))) == MEMORY


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layer": "roof"}, "layer is 'roof'"),
        ({"scope": None}, "scope is None"),
        ({"selector": ["a"]}, "selector is no dict"),
        ({"patch": 3}, "patch is no str"),
        ({"evidence": "abc"}, "evidence is no list"),
        ({"owner": "me"}, r"unknown \['owner'\]"),
    ],
)
def test_what_is_no_lesson_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        lesson_of_json({**lesson_json(MEMORY), **change})


def test_a_lesson_without_a_body_is_refused() -> None:
    document = lesson_json(MEMORY)
    del document["body"]
    with pytest.raises(ValueError, match=r"missing \['body'\]"):
        lesson_of_json(document)
