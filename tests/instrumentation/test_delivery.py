"""`lessons_for` against a door that answers, drips, fails or is not there."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from spanlore.instrumentation import Lessons, delivery, lessons_for, run
from tests.instrumentation.traced import collector, dead_url, run_script, values

ANSWER = {
    "items": [
        {
            "lesson_id": "l1",
            "version": 2,
            "scope": "user",
            "title": "Meetings at ten",
            "text": "Ann takes meetings at 10:00.",
            "tokens": 7,
            "arm": "exposed",
        }
    ],
    "held_out": [{"lesson_id": "l2", "version": 1}],
    "left_out": [],
    "text": "<spanlore-memory>\n- Ann takes meetings at 10:00.\n</spanlore-memory>",
    "tokens": 7,
    "budget_tokens": 1000,
}


@dataclass
class Door:
    url: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    status: int = 200
    body: bytes = json.dumps(ANSWER).encode()
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve() -> Iterator[Door]:
    door = Door()
    door.may_answer.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            door.asked.append({"path": [parts.path], **parse_qs(parts.query)})
            door.may_answer.wait(30)
            self.send_response(door.status)
            self.send_header("content-length", str(len(door.body)))
            self.end_headers()
            self.wfile.write(door.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        door.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield door
        finally:
            door.may_answer.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path))
    # An answer takes as long as this machine, with all it does, may need.
    monkeypatch.setattr(delivery, "ANSWER_S_MAX", 20.0)
    with serve() as opened:
        monkeypatch.setenv("SPANLORE_DELIVERY_URL", opened.url)
        yield opened


def test_what_is_not_said_is_the_current_runs(door: Door) -> None:
    with run(
        "assistant", user="ann", tenant="acme", task="t", task_id="7", segments={"zone": "CET"}
    ):
        lessons = lessons_for(budget_tokens=50)
        lessons_for(user="bob", agent="other", task="u")
    first, second = door.asked
    assert first == {
        "path": ["/v1/memories"],
        "user": ["ann"],
        "tenant": ["acme"],
        "agent": ["assistant"],
        "task": ["t/7"],
        "budget_tokens": ["50"],
        "segment.zone": ["CET"],
    }
    assert (second["user"], second["agent"], second["task"]) == (["bob"], ["other"], ["u"])
    assert lessons.text == ANSWER["text"]
    (item,) = lessons.items
    assert (item.lesson_id, item.version, item.scope, item.tokens) == ("l1", 2, "user", 7)
    assert lessons.held_out == (("l2", 1),)


def test_an_answer_is_asked_for_once_a_minute(door: Door) -> None:
    assert lessons_for(user="ann") == lessons_for(user="ann")
    assert len(door.asked) == 1


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"items": [{}]}', b"{}"])
def test_an_answer_that_cannot_be_read_is_none(door: Door, body: bytes) -> None:
    door.body = body
    assert lessons_for(user="ann") == Lessons()


def test_a_refusal_is_none_and_is_not_asked_for_again_at_once(door: Door) -> None:
    door.status = 503
    assert lessons_for(user="ann") == lessons_for(user="ann") == Lessons()
    assert len(door.asked) == 1


def test_a_door_that_does_not_answer_is_left_and_not_asked_again_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ANSWER_S_MAX", 0.1)
    door.may_answer.clear()
    assert lessons_for(user="ann") == lessons_for(user="bob") == Lessons()
    assert len(door.asked) <= 1


def test_nobody_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path))
    for url in (dead_url(), "no url", "http://[", "http://127.0.0.1:0"):
        monkeypatch.setenv("SPANLORE_DELIVERY_URL", url)
        assert lessons_for(user="ann") == Lessons()


def test_a_run_records_once_what_it_was_given_and_held_out_of(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import delivery, lessons_for, run
        delivery.ANSWER_S_MAX = 20.0
        lessons_for(user="ann")
        with run("assistant", user="ann", tenant="acme"):
            assert lessons_for().items
            lessons_for()
    """
    with collector() as there, serve() as door:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "SPANLORE_DELIVERY_URL": door.url}
        ended = run_script(script, tmp_path, env=env)
        assert (ended.code, ended.err) == (0, "")
        given, held_out = there.events("spanlore.exposure")
        root = values(there.named("invoke_agent assistant").attributes)
    assert (given["spanlore.lesson.id"], given["spanlore.lesson.version"]) == ("l1", 2)
    assert (given["spanlore.lesson.arm"], held_out["spanlore.lesson.arm"]) == (
        "exposed",
        "held_out",
    )
    assert (held_out["user.id"], held_out["spanlore.tenant.id"]) == ("ann", "acme")
    assert root["spanlore.context.item_ids"] == ["l1@2"]
