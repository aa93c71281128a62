"""The same over HTTP on a real store: whatever is asked, what agents are given passed the gate."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from spanlore.review import log, shelf
from spanlore.review.desk import Desk
from spanlore.review.door import Door
from spanlore.review.erasing import Eraser
from spanlore.review.exposures import ExposureQueue
from spanlore.schemas.effect_records import effect_json
from spanlore.schemas.learning_tables import EFFECTS, EXPOSURES, LEARNING_LOG, LESSONS
from spanlore.schemas.lesson_records import latest_lessons, lesson_json, lesson_of_json
from spanlore.schemas.lesson_state import DELIVERED, MEASURED, VERDICTS, EventKind, content_hash
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson
from tests.review.gate import LIVE, Told, assert_passed_the_gate
from tests.review.lessons import HARNESS, effect, memory_lesson
from tests.review.own_access import access_at

IDS = st.sampled_from(["a", "b"])
SCOPES = st.sampled_from(["user", "user", "tenant", "global"])
NAMES = st.sampled_from(["ada", "ada", "policy", " ", ""])
IDENTITIES: tuple[dict[str, str], ...] = (
    {"tenant": "acme", "user": "ann"},
    {"tenant": "acme", "user": "bob"},
    {"tenant": "globex", "user": "ann"},
    {},
)


class HttpPaths(RuleBasedStateMachine):
    """A door over a real store, and callers who try everything."""

    def __init__(self, store: Store, url: str) -> None:
        super().__init__()
        self.store = store
        self.connect = partial(Store.connect, url)
        for table in (LESSONS, LEARNING_LOG, EFFECTS, EXPOSURES):
            store.command(f"TRUNCATE TABLE {table} SYNC")
        self.runner = asyncio.Runner()
        self.open()

    def open(self) -> None:
        self.desk = Desk(self.connect)
        self.desk.open()
        # First exposures are told by a rule, so that nothing changes while the rest is compared.
        self.queue = ExposureQueue(self.connect, on_exposed=lambda _: None)
        self.queue.start()
        eraser = Eraser(self.desk, self.queue, self.connect)
        self.door = Door(self.desk, self.queue, eraser, access_at(4319, token="t"))
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.door),
            base_url="http://127.0.0.1:4319",
            headers={"authorization": "Bearer t"},
        )

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.queue.stop(drain_s_max=10)
        self.door.close()
        self.desk.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.runner.run(self.client.request(method, path, **more))
        assert answer.status_code < 500, answer.text
        return answer

    @rule(
        lesson_id=IDS,
        body=st.sampled_from(["one", "two"]),
        harness=st.booleans(),
        scope=SCOPES,
        state=st.sampled_from(["proposed", "proposed", "proposed", "quarantined", "approved"]),
        verdict=st.sampled_from([*VERDICTS, "pass", "pass", None, "great"]),
    )
    def propose(
        self, lesson_id: str, body: str, *, harness: bool, scope: str, state: str, verdict: str
    ) -> None:
        lesson = memory_lesson(lesson_id, scope, body=body, state=state, content={})
        if harness:
            lesson = replace(HARNESS, lesson_id=lesson_id, body=body, state=state)
        evaluation = None if verdict is None else {"verdict": verdict, "gate": "none"}
        proposal = {"lesson": lesson_json(lesson), "evaluation": evaluation}
        self.ask("POST", "/v1/proposals", json={"by": "learn", "proposals": [proposal]})

    @rule(lesson_id=IDS, scope=SCOPES)
    def take_the_road(self, lesson_id: str, scope: str) -> None:
        verdict, state = "pass", "proposed"
        self.propose(lesson_id, "one", harness=False, scope=scope, state=state, verdict=verdict)
        self.happen(lesson_id, "approve", by="ada", human=True, detail={})

    @rule(lesson_id=IDS)
    def supersede(self, lesson_id: str) -> None:
        self.ask("POST", "/v1/proposals", json={"by": "learn", "superseded": [lesson_id]})

    @rule(lesson_id=IDS, by=NAMES, human=st.booleans(), seen=st.sampled_from([None, "one", "two"]))
    def approve(self, lesson_id: str, by: str, *, human: bool, seen: str | None) -> None:
        detail: dict[str, Any] = {"human": True, "by": "eve"}
        if seen is not None:
            detail["content_hash"] = content_hash(memory_lesson(lesson_id, body=seen, content={}))
        self.happen(lesson_id, "approve", by=by, human=human, detail=detail)

    @rule(
        lesson_id=IDS,
        kind=st.sampled_from(get_args(EventKind)),
        by=NAMES,
        human=st.booleans(),
        verdict=st.sampled_from(VERDICTS),
        measured=st.sampled_from(sorted(MEASURED)),
    )
    def anything(
        self, lesson_id: str, kind: str, by: str, *, human: bool, verdict: str, measured: str
    ) -> None:
        detail = {"verdict": verdict, "effect": measured, "trace_id": "ab" * 16}
        self.happen(lesson_id, kind, by=by, human=human, detail=detail)

    def happen(
        self, lesson_id: str, kind: str, *, by: str, human: bool, detail: Mapping[str, Any]
    ) -> None:
        body = {"kind": kind, "by": by, "human": human, "detail": detail}
        self.ask("POST", f"/v1/lessons/{lesson_id}/events", json=body)

    @rule(lesson_id=IDS, verdict=st.sampled_from(sorted(MEASURED)))
    def measure(self, lesson_id: str, verdict: str) -> None:
        body = {"by": "learn", **effect_json(effect(lesson_id, verdict, version=1))}
        self.ask("POST", "/v1/effects", json=body)

    @rule(identity=st.sampled_from(IDENTITIES))
    def run_an_agent(self, identity: Mapping[str, str]) -> None:
        params = {**identity, "trace_id": "ab" * 16}
        given = self.ask("GET", "/v1/memories", params=params).json()
        self.desk.exposed({one["lesson_id"]: params["trace_id"] for one in given["items"]})

    @rule(lesson_id=IDS)
    def claim_an_exposure(self, lesson_id: str) -> None:
        self.desk.exposed({lesson_id: "cd" * 16})

    @rule()
    def restart(self) -> None:
        before = self.desk.standings()
        self.close()
        self.open()
        assert self.desk.standings() == before

    @invariant()
    def what_agents_are_given_passed_the_gate(self) -> None:
        lessons = {
            one["lesson_id"]: (one.pop("version"), lesson_of_json(one))
            for one in self.ask("GET", "/v1/lessons").json()
        }
        for version, lesson in lessons.values():
            if lesson.state in LIVE:
                assert_passed_the_gate(lesson, self.story(lesson, version))
        for identity in IDENTITIES:
            for item in self.ask("GET", "/v1/memories", params=identity).json()["items"]:
                version, lesson = lessons[item["lesson_id"]]
                assert (item["version"], lesson.layer) == (version, "context")
                assert lesson.state in DELIVERED
                assert lesson.scope == "global" or lesson.tenant == identity["tenant"]
                assert lesson.scope != "user" or lesson.scope_key == identity["user"]

    @invariant()
    def the_log_tells_all_of_it(self) -> None:
        told = self.ask("GET", "/v1/log").json()
        assert (told["verified"], told["broken_at"]) == (True, None)
        read = shelf.read(self.store)
        assert read.broken is None
        assert [read.standings[key] for key in sorted(read.standings)] == self.desk.standings()
        copies = {key: one for key, (one, _) in latest_lessons(self.store).items()}
        assert copies == {key: one.lesson for key, one in read.standings.items()}

    def story(self, lesson: Lesson, version: int) -> list[Told]:
        rows = [row for page in log.pages(self.store) for row in page]
        entries = [log.entry_of_row(row) for row in rows if row["LessonId"] == lesson.lesson_id]
        assert [entry.version for entry in entries] == list(range(1, version + 1))
        return [Told(one.event, one.by, one.human, one.lesson) for one in entries if one.lesson]

    def teardown(self) -> None:
        self.close()
        self.runner.close()


def test_no_path_over_http_leads_around_the_gate(store: Store, store_url: str) -> None:
    few = settings(
        max_examples=6,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    class Here(HttpPaths):
        def __init__(self) -> None:
            super().__init__(store, store_url)

    run_state_machine_as_test(Here, settings=few)
