import signal
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from spanlore.instrumentation import delivery, lessons_for
from spanlore.review.lock import LOCK_NAME
from spanlore.schemas import migrate
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.store import Store
from spanlore.schemas.tokens import ADMIN, INGEST, READ, SCOPES, create_token
from tests.collector.certificates import Authority, options
from tests.review.door_process import DoorProcess, refused_start
from tests.review.lessons import MEMORY, offered
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until

APPROVAL = {"kind": "approve", "by": "ada", "human": True, "detail": {}}


def test_a_second_door_on_the_directory_does_not_start(
    door: DoorProcess, store_url: str, tmp_path: Path
) -> None:
    code, said = refused_start(tmp_path, store_url)
    assert code == 3
    assert f"already runs on {tmp_path} (pid {door.process.pid})" in said
    assert door.get("/v1/status")["log_entries"] == 0
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads what is mapped from /proc")
def test_a_door_that_wrote_a_lesson_holds_no_pandas(door: DoorProcess) -> None:
    pytest.importorskip("pandas")
    door.post("/v1/proposals", **offered(MEMORY))
    assert "pandas" not in Path(f"/proc/{door.process.pid}/maps").read_text()


def test_a_busy_port_is_exit_code_3(store_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused_start(tmp_path, store_url, "--port", str(port))
    assert (code, f"cannot listen on 127.0.0.1:{port}" in said) == (3, True)


def test_a_store_that_does_not_answer_is_waited_for_and_then_exit_code_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"clickhouse://admin:secret@127.0.0.1:{port}/spanlore"
    code, said = refused_start(tmp_path, url, "--store-wait-s-max", "0.5")
    assert code == 3
    assert "spanlore up" in said
    assert "secret" not in said


def test_it_does_not_listen_beyond_loopback_unless_told(store_url: str, tmp_path: Path) -> None:
    code, said = refused_start(tmp_path, store_url, "--host", "0.0.0.0")  # noqa: S104
    assert (code, "--insecure" in said) == (3, True)


def test_beyond_loopback_memories_need_the_token_too(store_url: str, tmp_path: Path) -> None:
    with DoorProcess(tmp_path, store_url, "--host", "0.0.0.0", "--insecure") as door:  # noqa: S104
        assert door.stranger.get("/v1/memories").status_code == 401
        assert door.client.get("/v1/memories").status_code == 200


def test_the_door_speaks_tls_and_nothing_in_clear(store_url: str, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    served = options(ca.server(tmp_path / "served"))
    with DoorProcess(tmp_path / "data", store_url, "--host", "0.0.0.0", *served) as door:  # noqa: S104
        context = ssl.create_default_context(cadata=ca.pem.decode())
        url = f"https://127.0.0.1:{door.port}/v1/memories"
        with httpx.Client(verify=context, trust_env=False) as http:
            assert http.get(url).status_code == 401
            good = {"authorization": f"Bearer {door.token}"}
            assert http.get(url, headers=good).status_code == 200
        with pytest.raises(httpx.TransportError):
            door.client.get("/v1/memories")


def test_a_required_token_gives_the_memories_of_its_own_tenant_alone(
    store_url: str, tmp_path: Path
) -> None:
    with DoorProcess(tmp_path, store_url, "--require-token") as door:

        def asked(path: str, tenant: str, *scopes: str) -> int:
            text = create_token(tmp_path, tenant=tenant, scopes=scopes)[1]
            headers = {"authorization": f"Bearer {text}"}
            return door.stranger.get(path, headers=headers).status_code

        assert door.stranger.get("/v1/memories").status_code == 401
        assert asked("/v1/memories?tenant=acme&user=ann", "acme", READ) == 200
        assert asked("/v1/memories?user=ann", "acme", READ) == 200
        assert asked("/v1/memories?tenant=other&user=ann", "acme", READ) == 403
        assert asked("/v1/memories?tenant=other&user=ann", "*", READ) == 200
        assert asked("/v1/memories?tenant=acme&user=ann", "acme", INGEST, ADMIN) == 403
        # All else tells of every tenant.
        assert asked("/v1/lessons", "acme", READ, ADMIN) == 403
        assert asked("/v1/lessons", "*", READ) == 200
        assert asked("/v1/lessons", "*", ADMIN) == 403


def test_an_agent_is_given_memories_with_the_token_that_it_sends_spans_with(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(delivery, "ANSWER_S_MAX", 20.0)  # as long as this machine may need
    with DoorProcess(tmp_path, store_url, "--require-token") as door:
        door.post("/v1/proposals", **offered(MEMORY))
        door.post("/v1/lessons/m1/events", **APPROVAL)
        text = create_token(tmp_path, tenant="acme", scopes=[INGEST, READ])[1]
        monkeypatch.setenv("SPANLORE_DELIVERY_URL", f"http://127.0.0.1:{door.port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{text}")
        for host, given in (("elsewhere.example", ()), ("127.0.0.1", ("m1",))):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{host}:4318")
            # Another budget is another question: what was refused is not asked again at once.
            lessons = lessons_for(user="ann", tenant="acme", budget_tokens=100 + len(given))
            assert tuple(item.lesson_id for item in lessons.items) == given


def test_who_may_look_may_not_decide(store_url: str, tmp_path: Path) -> None:
    with DoorProcess(tmp_path, store_url) as door:
        door.post("/v1/proposals", **offered(MEMORY))
        statuses = {}
        for scope in SCOPES:
            text = create_token(tmp_path, tenant="*", scopes=[scope])[1]
            headers = {"authorization": f"Bearer {text}"}
            path = "/v1/lessons/m1/events"
            answer = door.stranger.post(path, headers=headers, json=APPROVAL)
            statuses[scope] = answer.status_code
        assert statuses == {**dict.fromkeys(SCOPES, 403), ADMIN: 200}


def test_while_the_store_is_away_memories_are_given_and_nothing_is_changed(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "store") as first:
        port = first.port
        login = f"{first.admin.user}:{first.admin.password}"
        url = f"clickhouse://{login}@127.0.0.1:{port}/spanlore"
        migrate.migrate(url)
        with DoorProcess(tmp_path / "door", url) as door:
            door.post("/v1/proposals", **offered(MEMORY))
            first.stop()
            status, reason = door.refusal("/v1/lessons/m1/events", **APPROVAL)
            assert (status, "store" in reason) == (503, True)
            assert door.get("/v1/lessons/m1")["state"] == "evaluated"
            assert door.client.get("/v1/log").status_code == 503
            assert door.get("/v1/status")["lessons"] == {"evaluated": 1}
            with StoreProcess(tmp_path / "store", "--port", str(port)):
                door.post("/v1/lessons/m1/events", **APPROVAL)
                run = {"user": "ann", "tenant": "acme", "trace_id": "ab" * 16}
                door.get("/v1/memories", **run)
                wait_until(lambda: door.get("/v1/lessons/m1")["state"] == "rolled_out")
            assert len(door.get("/v1/memories", user="ann", tenant="acme")["items"]) == 1
            assert door.refusal("/v1/lessons/m1/events", kind="revoke", by="ada")[0] == 503


@pytest.mark.slow
def test_a_store_that_hangs_holds_neither_memories_nor_the_end(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "store") as hung:
        login = f"{hung.admin.user}:{hung.admin.password}"
        url = f"clickhouse://{login}@127.0.0.1:{hung.port}/spanlore"
        migrate.migrate(url)
        with DoorProcess(tmp_path / "door", url) as door, ThreadPoolExecutor(1) as asking:
            door.post("/v1/proposals", **offered(MEMORY))
            hung.process.send_signal(signal.SIGSTOP)
            try:
                stuck = asking.submit(door.client.post, "/v1/lessons/m1/events", json=APPROVAL)
                run = {"user": "ann", "tenant": "acme", "trace_id": "ab" * 16}
                assert door.stranger.get("/v1/memories", params=run).status_code == 200
                assert door.get("/v1/lessons/m1")["state"] == "evaluated"
                assert door.stop() == 0
                assert stuck.exception() is not None or stuck.result().status_code >= 500
            finally:
                hung.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("kill", range(3))
def test_a_door_killed_while_it_writes_loses_no_answer_and_mends_its_rows(
    kill: int, store_url: str, store: Store, tmp_path: Path
) -> None:
    answered = []
    with DoorProcess(tmp_path, store_url) as door:
        for number in range(6 + kill):
            lesson = {**offered(MEMORY)["proposals"][0]["lesson"], "lesson_id": f"m{number}"}
            door.post("/v1/proposals", by="learn", proposals=[{"lesson": lesson}])
            answered.append(lesson["lesson_id"])
        # One more is under way, and nobody waits for its answer.
        with socket.create_connection(("127.0.0.1", door.port)) as late:
            body = b'{"by":"learn","superseded":["m0","m1","m2","m3"],"proposals":[]}'
            head = (
                f"POST /v1/proposals HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
                f"Authorization: Bearer {door.token}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            late.sendall(head.encode() + body)
            late.settimeout(0.01 * (1 + kill))
            try:
                late.recv(1)
            except TimeoutError:
                door.kill()
    with DoorProcess(tmp_path, store_url) as door:
        found = door.get("/v1/lessons")
        assert [one["lesson_id"] for one in found] == answered
        assert door.get("/v1/log")["verified"] is True
        assert {one["state"] for one in found[:4]} in ({"proposed"}, {"superseded"})
        rows = latest_lessons(store)
        assert {key: (one.state, version) for key, (one, version) in rows.items()} == {
            one["lesson_id"]: (one["state"], one["version"]) for one in found
        }
