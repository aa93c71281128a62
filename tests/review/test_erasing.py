"""Erasing a user from a real store: what goes, what stays, and what is on the disk afterwards."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from spanlore.review import log, shelf
from spanlore.review.desk import Desk
from spanlore.review.erasing import Eraser
from spanlore.review.memories import Identity, delivered
from spanlore.review.refusal import Refused
from spanlore.schemas import migrate
from spanlore.schemas.learning_tables import (
    ERASING,
    FINDINGS,
)
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.metric_tables import SUM
from spanlore.schemas.semconv import DEFAULT_TENANT
from spanlore.schemas.store import Store, StoreUnreachable
from spanlore.schemas.types import Lesson
from tests.review.erasing_scene import BY, MINE, OTHERS, SHARED, TENANT, USER, Scene
from tests.review.lessons import MEMORY


@pytest.fixture(scope="module")
def url(store_server_url: str) -> str:
    """A database of this file's own."""
    url = f"{store_server_url}/erasing"
    migrate.migrate(url)
    return url


@pytest.fixture
def scene(url: str) -> Iterator[Scene]:
    with closing(Scene(url)) as made:
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """A scene after an erasing, what was said of it, and what stood before."""

    scene: Scene
    refused: str
    found: list[dict[str, Any]]
    gone: dict[str, Any]
    before: dict[str, Lesson]
    entries: list[dict[str, Any]]
    other: Desk


def refusal(scene: Scene) -> str:
    """Say why nobody is erased who is in several tenants."""
    with pytest.raises(Refused) as refused:
        scene.erase(USER, "*")
    return str(refused.value)


@pytest.fixture(scope="module")
def erased(store_server_url: str) -> Iterator[Erased]:
    """For tests that look and change nothing."""
    url = f"{store_server_url}/erased"
    migrate.migrate(url)
    with closing(Scene(url)) as scene, closing(scene.another_desk()) as other:
        yield Erased(
            scene=scene,
            other=other,
            before={one.lesson.lesson_id: one.lesson for one in scene.desk.standings()},
            entries=scene.desk.entries(lesson_id="", limit=99),
            refused=refusal(scene),
            found=scene.eraser.found(USER, TENANT),
            gone=scene.erase(),
        )


def test_all_of_a_user_goes_and_all_of_others_stays(erased: Erased) -> None:
    assert erased.found == [{"tenant": TENANT, "rows": erased.gone["rows"], "lessons": 1}]
    assert {table: n for table, n in erased.gone["rows"].items() if n} == {
        "otel_traces": 3,
        "agent_runs": 1,
        "otel_logs": 4,
        "judgements": 1,
        "otel_metrics_sum": 1,
        "overrides": 1,
        "exposures": 2,
        "run_facts": 2,
        "harness_parts": 1,
        "findings": 2,
        "lesson_notes": 1,
    }
    assert (erased.gone["lessons"], erased.gone["lessons_cut"]) == (1, 1)
    # What still has the name is the other tenant's user, and so is what has the trace id.
    assert erased.scene.named() == {
        "otel_traces": 1,
        "agent_runs": 1,
        "otel_logs": 1,
        "otel_metrics_sum": 1,
    }
    assert erased.scene.named(MINE).keys() == {"otel_traces", "otel_traces_trace_id_ts"}
    assert {table: n for table, n in erased.scene.rows().items() if n} == {
        "otel_traces": 4,
        "otel_traces_trace_id_ts": 4,
        "agent_runs": 3,
        "otel_logs": 3,
        "judgements": 1,
        "otel_metrics_sum": 2,
        "overrides": 1,
        "exposures": 1,
        "run_facts": 2,
        "harness_parts": 1,
        "findings": 2,
        "lessons": 8,
        "effects": 1,
        "learning_log": 15,
        "revoked_traces": 1,
    }


def test_nothing_that_was_deleted_is_left_on_the_disk(erased: Erased) -> None:
    assert erased.gone["old_parts_left"] == 0
    [row] = erased.scene.store.query(
        "SELECT count() AS n FROM system.mutations "
        "WHERE database = currentDatabase() AND match(command, {told:String})",
        {"told": f"{USER}|{MINE}"},
    )
    assert row["n"] == 0


def test_a_lesson_of_many_keeps_its_numbers_and_its_life(erased: Erased) -> None:
    desk, before = erased.scene.desk, erased.before["wide"]
    after = desk.standing("wide").lesson
    assert after.evidence == (OTHERS,)
    assert after.content["examples"] == []
    assert after.content["promoted_from"] == []
    assert (after.state, after.body) == (before.state, before.body) == ("verified", MEMORY.body)
    assert [one["n"] for one in after.evaluations] == [one["n"] for one in before.evaluations]
    assert latest_lessons(erased.scene.store)["wide"][0] == after
    assert {one.lesson.lesson_id for one in desk.standings()} == {"wide", "h1"}
    given = delivered(desk.book, Identity(tenant=TENANT, user=USER), budget_tokens=999)
    assert "own" not in {one.lesson_id for one in given.items}


def test_every_door_knows_the_lessons_as_they_are_after_it(erased: Erased) -> None:
    stand = erased.scene.desk.standings()
    erased.other.catch_up()
    with closing(erased.scene.another_desk()) as fresh:
        for desk in (erased.other, fresh):
            assert desk.broken is None
            assert desk.standings() == stand


def test_the_log_says_that_entries_were_erased_and_still_proves_the_rest(erased: Erased) -> None:
    entries = erased.scene.desk.entries(lesson_id="", limit=99)
    assert erased.scene.desk.broken is None
    assert erased.scene.desk.erased_entries == erased.gone["log_entries"]
    assert len([one for one in entries if one["erased_by"]]) == erased.gone["log_entries"] == 10
    assert [one["event"] for one in entries[-2:]] == [log.ERASE, log.ERASED]
    assert entries[-1]["detail"]["rows"]["otel_traces"] == 3
    assert USER not in json.dumps(entries)
    assert MINE not in json.dumps(entries)
    assert [one["hash"] for one in entries[:-2]] == [one["hash"] for one in erased.entries]
    assert [one for one in entries if one["lesson_id"] == "h1"] == [
        one for one in erased.entries if one["lesson_id"] == "h1"
    ]


def test_findings_of_many_keep_their_numbers_without_ids_and_quotes(erased: Erased) -> None:
    rows = {row["FindingId"]: row for row in erased.scene.store.query(f"SELECT * FROM {FINDINGS}")}
    assert rows.keys() == {"wide", "others"}
    wide = rows["wide"]
    assert (wide["N"], wide["K"], wide["Evidence"]) == (9, 3, [OTHERS])
    assert wide["CounterEvidence"] == [SHARED]
    assert json.loads(wide["Detail"]) == {
        "by_user": [{"n": 5, "tenant": TENANT, "user": "bob"}],
        "examples": [],
        "n": 9,
    }
    assert json.loads(rows["others"]["Detail"]) == {"examples": ["kept"]}


def test_an_exemplar_of_theirs_leaves_the_metric_of_all(erased: Erased) -> None:
    [row] = erased.scene.store.query(
        f"SELECT `Exemplars.TraceId` AS t, `Exemplars.FilteredAttributes` AS a FROM {SUM} "
        "WHERE notEmpty(`Exemplars.TraceId`)"
    )
    assert (row["t"], row["a"]) == (["", OTHERS], [{}, {"said": "bob"}])


DIES_IN = {
    "rewriting the log": "spanlore.review.log.rewrite",
    "deleting replaced entries": "spanlore.review.log.drop_replaced",
    "deleting rows": "spanlore.review.erased_rows.Erasure.delete_rows",
    "writing down that it ended": "spanlore.review.desk.Desk.note_erased",
}


@pytest.mark.parametrize(
    "dies_in",
    [
        "rewriting the log",
        *(pytest.param(one, marks=pytest.mark.slow) for one in list(DIES_IN)[1:]),
    ],
)
def test_an_erasing_that_dies_is_finished_by_asking_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise StoreUnreachable("the store went away")

    with monkeypatch.context() as patched:
        patched.setattr(DIES_IN[dies_in], dies)
        with pytest.raises(StoreUnreachable):
            scene.erase()
    # As after a crash: a new door reads the store as it was left.
    with closing(scene.another_desk()) as again:
        assert again.broken is None
        eraser = Eraser(again, scene.queue, partial(Store.connect, scene.url))
        eraser.erase(USER, TENANT, caller=BY)
        assert again.broken is None
        assert {one.lesson.lesson_id for one in again.standings()} == {"wide", "h1"}
        revoked = again.happen("wide", "revoke", caller=BY, detail={})
        assert revoked.lesson.state == "revoked"
    assert scene.named().keys() == {
        "otel_traces",
        "agent_runs",
        "otel_logs",
        "otel_metrics_sum",
    }
    assert shelf.read(scene.store).broken is None
    assert scene.rows()[ERASING] == 0


def test_who_is_not_there_cannot_be_erased_nor_who_is_in_several_tenants(erased: Erased) -> None:
    assert "in the tenants acme, hooli: name one" in erased.refused
    for user, tenant in (("nobody", "*"), (USER, DEFAULT_TENANT), (USER, TENANT)):
        with pytest.raises(Refused, match=f"nothing here names a user {user}") as refused:
            erased.scene.erase(user, tenant)
        assert refused.value.status == 404
