"""When a lesson holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from spanlore.schemas.lesson_validity import ALWAYS, NEVER, validity_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_lesson_without_times_holds_always() -> None:
    assert validity_of({}) == ALWAYS
    assert ALWAYS.holds(NOON)
    assert not ALWAYS.is_over(NOON)


def test_it_holds_from_its_first_instant_up_to_its_last() -> None:
    found = validity_of(
        {"valid_from": "2026-06-01T12:00:00Z", "valid_until": "2026-06-01T14:30:00+02:00"}
    )
    assert found.holds(NOON)
    assert found.is_over(datetime(2026, 6, 1, 12, 30, tzinfo=UTC))
    assert not found.holds(datetime(2026, 6, 1, 11, 59, tzinfo=UTC))


def test_a_time_without_an_offset_is_utc() -> None:
    assert validity_of({"valid_until": "2026-06-01T12:00:00"}).end == NOON


def test_what_begins_when_the_other_ends_does_not_overlap_it() -> None:
    before, after = (
        validity_of({"valid_until": NOON.isoformat()}),
        validity_of({"valid_from": NOON.isoformat()}),
    )
    assert not before.overlaps(after)
    assert before.overlaps(ALWAYS)


@pytest.mark.parametrize(
    "content",
    [
        {"valid_until": "next spring"},
        {"valid_from": 3},
        {"valid_until": "0001-01-01T00:00:00+10:00"},
        {"valid_from": "2026-06-02", "valid_until": "2026-06-01"},
    ],
)
def test_what_cannot_be_read_holds_at_no_time(content: dict[str, Any]) -> None:
    assert validity_of(content) == NEVER
    assert NEVER.is_over(NOON)
    assert not NEVER.overlaps(ALWAYS)
