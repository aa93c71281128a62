from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spanlore.review import log
from spanlore.review.log import START, Break, Draft, Entry, Head
from spanlore.schemas.learning_tables import LEARNING_LOG
from spanlore.schemas.store import Store
from tests.review.lessons import MEMORY

AT = datetime(2024, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def drafts(count: int) -> list[Draft]:
    return [
        Draft(
            at=AT + timedelta(seconds=number),
            by="ada",
            human=True,
            event="propose",
            lesson=replace(MEMORY, lesson_id=f"m{number}", title="Ünï – «✓»"),
            version=1,
            detail={"n": number, "share": 0.1},
            peer="127.0.0.1",
        )
        for number in range(count)
    ]


def rows(count: int) -> list[dict[str, Any]]:
    """Rows as the store gives them."""
    found = []
    for entry in log.chained(drafts(count), START):
        row = log.entry_row(entry)
        at_nano = log.micros(row.pop("At")) * 1000
        found.append({**row, "AtNano": at_nano, "Replacement": ""})
    return found


def broken(changed: list[dict[str, Any]]) -> Break | None:
    return log.verify(changed)[1]


def test_a_whole_chain_holds() -> None:
    held, fault = log.verify(rows(5))
    assert fault is None
    assert [row["Seq"] for row in held] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("AtNano", 1_000),
        ("Salt", "00"),
        ("Commitment", "f" * 64),
        ("ErasedBy", 5),
        ("By", "eve"),
        ("Human", 0),
        ("Event", "approve"),
        ("LessonId", "m9"),
        ("LessonVersion", 7),
        ("ContentHash", "00"),
        ("Detail", "{}"),
        ("Lesson", "{}"),
        ("PreviousHash", "f" * 64),
        ("Hash", "f" * 64),
    ],
)
def test_an_entry_that_was_edited_is_found_whatever_was_edited(column: str, value: Any) -> None:
    changed = rows(5)
    changed[2][column] = value
    fault = broken(changed)
    assert fault is not None
    assert fault.seq == 3


def test_an_edited_entry_with_a_fitting_hash_is_found_at_the_next() -> None:
    changed = rows(5)
    changed[2]["By"] = "eve"
    changed[2]["Commitment"] = log.commitment(changed[2])
    changed[2]["Hash"] = log.entry_hash(changed[2])
    fault = broken(changed)
    assert fault is not None
    assert fault.seq == 4


TORN: dict[str, tuple[Callable[[list[dict[str, Any]]], list[dict[str, Any]]], int]] = {
    "the first is gone": (lambda found: found[1:], 1),
    "one in the middle is gone": (lambda found: found[:2] + found[3:], 3),
    "two changed places": (lambda found: [*found[:2], found[3], found[2], found[4]], 3),
    "another chain follows": (lambda found: found[:3] + rows(7)[5:], 4),
}


@pytest.mark.parametrize("how", TORN)
def test_a_torn_chain_is_found_where_it_is_torn(how: str) -> None:
    tear, seq = TORN[how]
    fault = broken(tear(rows(5)))
    assert fault is not None
    assert fault.seq == seq


def test_a_fork_is_found_before_either_of_its_entries() -> None:
    forked = rows(4)
    other = {**forked[2], "By": "eve"}
    other["Commitment"] = log.commitment(other)
    other["Hash"] = log.entry_hash(other)
    held, fault = log.verify([*forked[:3], other, forked[3]])
    assert [row["Seq"] for row in held] == [1, 2]
    assert fault is not None
    assert fault.seq == 3
    assert "another review door" in fault.reason


def test_a_row_that_is_there_twice_is_one_entry() -> None:
    found = rows(3)
    assert log.verify([found[0], found[1], dict(found[1]), found[2]])[1] is None


def test_entries_come_back_from_the_store_as_they_went(store: Store) -> None:
    entries = log.chained(drafts(3), START)
    assert log.append(store, entries)
    [page] = log.pages(store)
    assert [log.entry_of_row(row) for row in page] == entries
    assert broken(page) is None
    assert log.tail(store, 3) == [entries[-1].head]
    assert [row["Seq"] for row in log.latest_rows(store, lesson_id="", limit=2)] == [2, 3]
    assert [row["Seq"] for row in log.latest_rows(store, lesson_id="m1", limit=9)] == [2]


def test_of_two_who_append_at_once_the_store_keeps_the_first(store: Store) -> None:
    first, second = (
        log.chained([replace(one, by=by) for one in drafts(2)], START) for by in ("ada", "bob")
    )
    assert log.append(store, first)
    assert not log.append(store, second)
    assert log.append(store, first)
    assert [Head(row["Seq"], row["Hash"]) for page in log.pages(store) for row in page] == [
        entry.head for entry in first
    ]


def test_an_entry_can_be_written_again_after_it_was_deleted(store: Store) -> None:
    entries: list[Entry] = log.chained(drafts(2), START)
    assert log.append(store, entries[:1])
    assert log.append(store, entries[1:])
    store.command(f"DELETE FROM {LEARNING_LOG} WHERE Seq = 2")
    other = log.chained([replace(drafts(2)[1], by="bob")], entries[0].head)
    assert log.append(store, other)


def test_a_row_of_nonsense_can_still_be_shown() -> None:
    [row] = rows(1)
    shown = log.row_json({**row, "Detail": "no", "Lesson": "[]"})
    assert (shown["state"], shown["detail"], shown["by"]) == (None, None, "ada")


def test_pages_go_through_a_long_log_and_keep_a_fork_on_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_PAGE_ENTRIES", 2)
    entries = log.chained(drafts(5), START)
    log.append(store, entries)
    store.insert(LEARNING_LOG, [log.entry_row(replace(entries[1], by="eve"))])
    assert [[row["Seq"] for row in page] for page in log.pages(store)] == [[1, 2, 2], [3, 4], [5]]


def erasing(of: Mapping[int, Mapping[str, Any]]) -> Draft:
    """The entry that commits to what stands in the place of others."""
    committed = {str(seq): log.commitment(row) for seq, row in of.items()}
    return replace(
        drafts(1)[0], event=log.ERASE, lesson=None, version=0, detail={log.REWRITTEN: committed}
    )


def test_what_an_entry_says_can_be_erased_and_the_chain_still_holds(store: Store) -> None:
    entries = log.chained(drafts(3), START)
    log.append(store, entries)
    emptied = replace(drafts(2)[1], lesson=None, version=0, detail={}, peer="")
    row = log.rewritten(entries[1], emptied)
    [erase] = log.chained([erasing({2: row})], entries[-1].head)
    log.append(store, [erase])
    log.rewrite(store, [row], erased_by=4)
    for _ in range(2):  # while the row that says more still stands beside it, and after
        [page] = log.pages(store)
        held, fault = log.verify(page)
        assert fault is None
        assert [one["LessonId"] for one in held] == ["m0", "", "m2", ""]
        assert [one["ErasedBy"] for one in held] == [0, 4, 0, 0]
        log.drop_replaced(store)
    [left] = store.query(f"SELECT * FROM {LEARNING_LOG} WHERE Seq = 2")
    assert (left["Lesson"], left["Commitment"]) == ("", entries[1].commitment)
    assert left["Salt"] != entries[1].salt


FORGED: dict[str, Mapping[str, Any]] = {
    "other words": {"By": "eve"},
    "more words": {"Detail": '{"detail":{"n":2},"peer":""}'},
    "by another entry": {"ErasedBy": 3},
    "by none": {"ErasedBy": 9},
}


@pytest.mark.parametrize("how", FORGED)
def test_nothing_but_what_the_erasing_committed_to_stands_in_an_entrys_place(
    store: Store, how: str
) -> None:
    entries = log.chained(drafts(3), START)
    log.append(store, entries)
    row = log.rewritten(entries[1], replace(drafts(2)[1], detail={}))
    log.append(store, log.chained([erasing({2: row})], entries[-1].head))
    store.insert(LEARNING_LOG, [{**row, "ErasedBy": 4, **FORGED[how]}])
    [page] = log.pages(store)
    fault = broken(page)
    assert fault is not None
    assert fault.seq == 2
