import json
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spanlore.review.desk import Desk
from spanlore.review.door import Door
from spanlore.review.erasing import Eraser
from spanlore.review.exposures import ExposureQueue
from spanlore.review.request import BODY_BYTES_MAX
from spanlore.schemas.effect_records import effect_json
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.lesson_records import lesson_json
from spanlore.schemas.store import Store
from spanlore.schemas.tables import TRACES
from spanlore.schemas.tokens import ERASE, create_token
from tests.review.door_process import DoorProcess
from tests.review.lessons import HARNESS, MEMORY, effect, memory_lesson, offered
from tests.review.own_access import access_at
from tests.waiting import wait_until

RUN = "ab" * 16
NO_ONE = {"by": "ada", "human": True}


def approve(door: DoorProcess, lesson_id: str, **detail: Any) -> Any:
    path = f"/v1/lessons/{lesson_id}/events"
    return door.post(path, kind="approve", detail=detail, **NO_ONE)


def memories(door: DoorProcess, **params: Any) -> Any:
    return door.get("/v1/memories", **{"user": "ann", "tenant": "acme", **params})


def exposures(store: Store) -> list[tuple[str, str, str]]:
    rows = store.query(f"SELECT * FROM {EXPOSURES} FINAL ORDER BY LessonId, TraceId")
    return [(row["LessonId"], row["TraceId"], row["Arm"]) for row in rows]


def every_route() -> list[tuple[str, str, bool]]:
    desk = Desk(lambda: Store.connect("clickhouse://nowhere"))
    queue = ExposureQueue(lambda: Store.connect("clickhouse://nowhere"), on_exposed=desk.exposed)
    eraser = Eraser(desk, queue, lambda: Store.connect("clickhouse://nowhere"))
    door = Door(desk, queue, eraser, access_at(1, token="t"))
    door.close()
    return [(one.method, one.path, one.is_open) for one in door.routes]


def test_every_route_but_memories_is_closed_without_the_token(door: DoorProcess) -> None:
    routes = every_route()
    assert {path for _, path, is_open in routes if is_open} == {"/v1/memories"}
    paths = [(method, path.replace("{lesson_id}", "m1")) for method, path, _ in routes]
    strange = [("GET", "/"), ("GET", "/v1/nothing"), ("POST", "/v1/memories/x"), ("PUT", "/v1/log")]
    methods = [(method, path) for _, path in paths for method in ("GET", "POST", "PUT", "DELETE")]
    for method, path in {*paths, *strange, *methods}:
        if path == "/v1/memories":
            continue
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer wrong"},
            {"authorization": door.token},
            {"authorization": f"Basic {door.token}"},
            {"authorization": f"Bearer {door.token}x"},
        ):
            answer = door.stranger.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "review_token" in answer.json()["error"]
    assert door.stranger.get("/v1/memories").status_code == 200


def test_no_route_answers_to_another_host_or_a_web_page_elsewhere(door: DoorProcess) -> None:
    for method, path, _ in every_route():
        for headers in (
            {"host": "evil.example"},
            {"host": f"evil.example:{door.port}"},
            {"host": "127.0.0.1"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://localhost:3000"},
            {"origin": f"http://evil.example#127.0.0.1:{door.port}"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            answer = door.client.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 403, (method, path, headers)
    ours = {"host": f"localhost:{door.port}", "origin": f"http://localhost:{door.port}"}
    assert door.client.get("/v1/status", headers=ours).status_code == 200


def test_a_lesson_goes_from_proposal_to_memory_and_its_exposure_rolls_it_out(
    door: DoorProcess, store: Store
) -> None:
    [lesson] = door.post("/v1/proposals", **offered(MEMORY))["lessons"]
    assert (lesson["state"], lesson["version"]) == ("evaluated", 2)
    assert memories(door)["items"] == []
    assert approve(door, "m1")["state"] == "approved"
    [item] = memories(door)["items"]
    assert item == {
        "lesson_id": "m1",
        "version": 3,
        "scope": "user",
        "title": MEMORY.title,
        "text": MEMORY.body,
        "tokens": 12,
        "arm": "exposed",
    }
    assert exposures(store) == []
    memories(door, trace_id=RUN.upper())
    wait_until(lambda: exposures(store) == [("m1", RUN, "exposed")])
    wait_until(lambda: door.get("/v1/lessons/m1")["state"] == "rolled_out")
    [entry] = [one for one in door.get("/v1/log")["entries"] if one["event"] == "roll_out"]
    assert entry["detail"] == {"trace_id": RUN}
    said = door.post("/v1/effects", by="spanlore effect", **effect_json(effect()))
    assert (said["lesson"]["state"], said["effect"]) == ("verified", effect_json(effect()))


def test_a_traceparent_header_names_the_run_too(door: DoorProcess, store: Store) -> None:
    door.post("/v1/proposals", **offered(memory_lesson("m1", "tenant")))
    approve(door, "m1", hold_out=1)
    ann = {"tenant": "acme", "user": "ann"}
    for header in ("nonsense", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{RUN}-{'1' * 16}-01"):
        headers = {"traceparent": header}
        answer = door.stranger.get("/v1/memories", params=ann, headers=headers)
        assert answer.json()["held_out"] == [{"lesson_id": "m1", "version": 3}]
    wait_until(lambda: exposures(store) == [("m1", RUN, "held_out")])
    assert door.get("/v1/lessons/m1")["state"] == "approved"


def test_lessons_are_listed_by_state_layer_and_scope(door: DoorProcess) -> None:
    door.post("/v1/proposals", **offered(MEMORY))
    door.post("/v1/proposals", **offered(HARNESS, None))
    assert [one["lesson_id"] for one in door.get("/v1/lessons")] == ["h1", "m1"]
    assert [one["lesson_id"] for one in door.get("/v1/lessons", state="evaluated")] == ["m1"]
    assert [one["lesson_id"] for one in door.get("/v1/lessons", layer="harness")] == ["h1"]
    assert door.get("/v1/lessons", layer="harness", scope="user") == []
    one = door.get("/v1/lessons/h1")
    assert {name: value for name, value in one.items() if name != "version"} == lesson_json(HARNESS)


def test_the_log_says_who_did_what_from_where_and_that_it_holds(door: DoorProcess) -> None:
    door.post("/v1/proposals", **offered(MEMORY))
    door.post("/v1/proposals", **offered(HARNESS))
    path = "/v1/lessons/m1/events"
    door.post(path, kind="reject", by="  Ada\x1b[31m\u202e \n L. ", human=True, detail={"why": "x"})
    found = door.get("/v1/log", lesson_id="m1")
    assert (found["verified"], found["broken_at"]) == (True, None)
    assert [one["event"] for one in found["entries"]] == ["propose", "evaluate", "reject"]
    last = found["entries"][-1]
    assert (last["by"], last["human"], last["peer"]) == ("Ada[31m L.", True, "127.0.0.1")
    assert (last["detail"], last["state"], last["seq"]) == ({"why": "x"}, "rejected", 5)
    status = door.get("/v1/status")
    assert (status["log_entries"], status["head"]) == (5, last["hash"])
    assert [one["seq"] for one in door.get("/v1/log", limit=2)["entries"]] == [4, 5]


BAD_EVENTS: list[dict[str, Any]] = [
    {"kind": "approve"},
    {"kind": "approve", "by": " \u200b\n"},
    {"kind": "approve", "by": 7},
    {"kind": "approve", "by": "ada", "human": "false"},
    {"kind": "approve", "by": "ada", "human": 1},
    {"kind": "approve", "by": "ada", "detail": []},
    {"kind": "measure", "by": "ada", "detail": {"effect": "improved"}},
    {"kind": "supersede", "by": "ada"},
    {"kind": "propose", "by": "ada"},
    {"kind": ["approve"], "by": "ada"},
    {"kind": "evaluate", "by": "ada", "detail": {"verdict": "great"}},
    {"kind": "roll_out", "by": "ada", "detail": {"trace_id": "0" * 32}},
    {"kind": "approve", "by": "ada", "force": True},
]


def test_an_event_that_is_none_is_a_bad_request(door: DoorProcess) -> None:
    door.post("/v1/proposals", **offered(MEMORY))
    for body in BAD_EVENTS:
        status, reason = door.refusal("/v1/lessons/m1/events", **body)
        assert status == 400, (body, reason)
    assert door.get("/v1/lessons/m1")["version"] == 2


BAD_LESSONS: list[dict[str, Any]] = [
    {"state": "approved"},
    {"approvals": [{"by": "ada"}]},
    {"evaluations": [{"verdict": "pass"}]},
    {"layer": "soul"},
    {"scope": "everyone"},
    {"scope_key": ""},
    {"tenant": ""},
    {"scope": "tenant"},
    {"scope": "tenant", "scope_key": "globex"},
    {"scope": "global"},
    {"lesson_id": "a/b"},
    {"lesson_id": ""},
    {"lesson_id": 7},
    {"selector": {"agent": 1}},
    {"selector": "agent"},
    {"content": [1]},
    {"evidence": [1]},
    {"patch": {}},
    {"version": 2},
    {"body": None},
]


def test_a_lesson_that_is_none_is_a_bad_request_and_nothing_is_kept(door: DoorProcess) -> None:
    for changes in BAD_LESSONS:
        fine, bad = lesson_json(memory_lesson("fine")), {**lesson_json(MEMORY), **changes}
        status, reason = door.refusal(
            "/v1/proposals", by="learn", proposals=[{"lesson": fine}, {"lesson": bad}]
        )
        assert status == 400, (changes, reason)
    assert door.get("/v1/lessons") == []


def test_requests_that_are_none_are_refused_in_words(door: DoorProcess) -> None:
    approvable = "/v1/lessons/m1/events"
    deep = b'{"by":"a","detail":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bodies: list[bytes] = [
        b"",
        b"no",
        b"[]",
        b'{"by": NaN}',
        b'{"by": "\\ud800"}',
        b'{"by": "\xff"}',
        deep,
    ]
    for body in bodies:
        answer = door.client.post(approvable, content=body)
        assert answer.status_code == 400, body[:40]
        assert answer.json()["error"]
    for query in (
        "user=a&user=b",
        "budget_tokens=-1",
        "budget_tokens=1e3",
        "budget_tokens=100001",
        "trace_id=xyz",
        "trace_id=" + "0" * 32,
        "nonsense=1",
        f"user={'x' * 2_000}",
        "user=%ff",
        "&".join(f"segment.s{number}=1" for number in range(100)),
    ):
        assert door.stranger.get(f"/v1/memories?{query}").status_code == 400, query
    assert door.client.get("/v1/lessons?state=good").status_code == 400
    assert door.client.get("/v1/lessons/none").status_code == 404
    assert door.client.get("/v1/nothing").status_code == 404
    assert door.client.delete("/v1/log").status_code == 405
    assert door.refusal("/v1/lessons/none/events", kind="reject", by="ada")[0] == 404
    assert door.refusal("/v1/proposals", by="learn", superseded=["none"])[0] == 400
    assert door.refusal("/v1/effects", by="learn", lesson_id="none")[0] == 400
    assert door.refusal("/v1/effects", by="learn", **effect_json(effect("none")))[0] == 404


def test_a_refused_transition_is_a_conflict_with_the_next_step(door: DoorProcess) -> None:
    door.post("/v1/proposals", **offered(HARNESS))
    status, reason = door.refusal("/v1/lessons/h1/events", kind="approve", by="agent")
    assert (status, "needs a named human" in reason) == (409, True)
    detail = {"content_hash": "00"}
    status, _ = door.refusal("/v1/lessons/h1/events", kind="approve", detail=detail, **NO_ONE)
    assert status == 409


def test_a_body_beyond_the_limit_is_refused(door: DoorProcess) -> None:
    body = json.dumps({"by": "x" * BODY_BYTES_MAX}).encode()
    assert door.client.post("/v1/proposals", content=body).status_code == 413
    chunked = door.client.post(
        "/v1/proposals", content=(body[at:][:65_536] for at in range(0, len(body), 65_536))
    )
    assert chunked.status_code == 413
    assert door.get("/v1/status")["log_entries"] == 0


@pytest.mark.slow
def test_a_client_that_does_not_finish_its_headers_is_cut_off(door: DoorProcess) -> None:
    with socket.create_connection(("127.0.0.1", door.port)) as slow:
        slow.settimeout(30)
        slow.sendall(b"GET /v1/memories HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert slow.recv(1) == b""
        assert time.monotonic() - began < 20


def test_what_was_answered_is_there_after_a_restart_and_the_queue_is_written_at_the_end(
    store_url: str, store: Store, tmp_path: Path
) -> None:
    with DoorProcess(tmp_path, store_url) as door:
        door.post("/v1/proposals", **offered(MEMORY))
        approve(door, "m1")
        for number in range(1, 50):
            memories(door, trace_id=f"{number:032x}")
        assert door.stop() == 0
    assert len(exposures(store)) == 49
    with DoorProcess(tmp_path, store_url) as door:
        assert len(memories(door)["items"]) == 1
        assert door.get("/v1/log")["verified"] is True
        assert door.stop() == 0


def test_many_lessons_in_one_request_come_back_in_order(door: DoorProcess) -> None:
    lessons = [memory_lesson(f"m{number}", content={}) for number in range(200)]
    said = {"proposals": [{"lesson": lesson_json(one), "evaluation": None} for one in lessons]}
    found = door.post("/v1/proposals", by="learn", **said)["lessons"]
    assert [one["lesson_id"] for one in found] == [one.lesson_id for one in lessons]
    assert door.get("/v1/status")["lessons"] == {"proposed": 200}


def test_lessons_with_any_text_come_back_as_they_went(door: DoorProcess) -> None:
    odd = replace(
        MEMORY, title="\x00\x1b[0m\u2028 ✓ 🦜", body="a\tb\\n'\"`{}%s\x7f", content={"n": 1.5}
    )
    door.post("/v1/proposals", **offered(odd))
    door.post("/v1/proposals", **offered(odd))
    assert door.get("/v1/lessons/m1")["body"] == odd.body
    assert door.get("/v1/log")["verified"] is True


def test_a_token_for_erasing_erases_in_its_own_tenant(
    store: Store, door: DoorProcess, tmp_path: Path
) -> None:
    at = datetime.now(UTC)
    rows = [
        {
            "Timestamp": at,
            "TraceId": trace * 32,
            "SpanId": trace,
            "SpanAttributes": {"user.id": "ann", "spanlore.tenant.id": tenant},
        }
        for trace, tenant in (("a", "acme"), ("b", "hooli"))
    ]
    store.insert(TRACES, rows)
    _, token = create_token(tmp_path, tenant="acme", scopes=[ERASE])

    def asked(verb: str, **params: str) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        return door.stranger.request(verb, "/v1/users", params=params, headers=headers)

    assert asked("DELETE", user="ann", tenant="hooli").status_code == 403
    assert [one["tenant"] for one in asked("GET", user="ann").json()] == ["acme"]
    refused = door.client.request("DELETE", "/v1/users", params={"user": "ann"})
    assert (refused.status_code, "acme, hooli" in refused.json()["error"]) == (409, True)
    assert asked("DELETE").status_code == 400
    gone = asked("DELETE", user="ann").json()
    assert (gone["tenant"], gone["rows"]["otel_traces"]) == ("acme", 1)
    assert asked("DELETE", user="ann").status_code == 404
    assert [row["TenantId"] for row in store.query(f"SELECT TenantId FROM {TRACES}")] == ["hooli"]
