"""The sending threads between a real log and a target that answers as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.rpc import status_pb2

from spanlore.collector.forwarding.backlog import Backlog, Waiting
from spanlore.collector.forwarding.forwarder import Forwarder
from spanlore.collector.forwarding.sending import sender_to
from spanlore.collector.forwarding.target import read_targets
from spanlore.collector.signals import TRACES
from tests.collector.log_cases import OpenLog, entry, open_log
from tests.collector.scripted_target import HttpTarget, Received, Reply, Script, http_target
from tests.waiting import wait_until

WAIT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A log, the target it is forwarded to, and the threads between them."""

    opened: OpenLog
    target: HttpTarget
    forwarder: Forwarder

    def send(self, *texts: str) -> None:
        for text in texts:
            self.opened.log.append(entry(2, text=text)).result(WAIT_S)

    def status(self) -> dict[str, Any]:
        return dict(self.forwarder.status())

    def wait_done(self) -> dict[str, Any]:
        wait_until(lambda: self.status()["backlog"]["records"] == 0)
        return self.status()


@contextmanager
def hop(path: Path, script: Script) -> Iterator[Hop]:
    with http_target(script) as target:
        (told,) = read_targets([f"next={target.url}"], {})
        backlog = Backlog(path / "forward" / "next", path / "wal", bytes_max=1 << 30)
        forwarder = Forwarder(told, backlog, sender_to(told, connections_max=16))
        with open_log(path, backlogs=[backlog]) as opened:
            forwarder.start()
            try:
                yield Hop(opened=opened, target=target, forwarder=forwarder)
            finally:
                forwarder.stop()
                forwarder.stop()


def test_the_status_says_what_a_target_took_rejected_and_refused_by_signal(tmp_path: Path) -> None:
    def answer(received: Received) -> Reply:
        if b"partly" in received.body:
            return Reply(body=TRACES.answer(1, "one is too long"))
        if b"never" in received.body:
            said = status_pb2.Status(message="not for us").SerializeToString()
            return Reply(status=400, body=said)
        return Reply()

    with hop(tmp_path, answer) as running:
        running.send("whole", "partly", "whole")
        assert "one is too long" in running.wait_done()["last_refusal"]
        running.send("never")
        status = running.wait_done()
    none = {"logs": 0, "data_points": 0}
    assert status == {
        "name": "next",
        "url": running.target.url,
        "protocol": "http/protobuf",
        "forwarded": {"spans": 5, **none},
        "rejected": {"spans": 1, **none},
        "refused": {"spans": 2, **none},
        "dropped": {"spans": 0, **none},
        "retries": 0,
        "backlog": {"records": 0, "bytes": 0, "oldest_age_s": 0.0},
        "last_error": "it refuses what it is sent: HTTP 400 Bad Request: not for us",
        "last_refusal": "HTTP 400 Bad Request: not for us",
    }


def test_a_record_that_waits_no_more_is_counted_whenever_one_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    asking: list[threading.Thread] = []
    with hop(tmp_path, lambda _: Reply()) as running:
        settle = running.forwarder.backlog.settle

        def asked_meanwhile(waiting: Waiting) -> bool:
            is_settled = settle(waiting)
            asking.append(threading.Thread(target=lambda: told.append(running.status())))
            asking[-1].start()
            asking[-1].join(0.2)  # it may well wait until the record is counted
            return is_settled

        monkeypatch.setattr(running.forwarder.backlog, "settle", asked_meanwhile)
        running.send("whole", "whole")
        running.wait_done()
        for thread in asking:
            thread.join(WAIT_S)
    assert len(told) == 2
    for status in told:
        assert status["forwarded"]["spans"] + 2 * status["backlog"]["records"] == 4


def test_a_target_that_refuses_is_failing_until_it_takes_something(tmp_path: Path) -> None:
    def answer(received: Received) -> Reply:
        return Reply(status=404) if b"never" in received.body else Reply()

    with hop(tmp_path, answer) as running:
        running.send("never")
        assert "HTTP 404" in running.wait_done()["last_error"]
        running.send("whole")
        assert running.wait_done()["last_error"] is None


def test_what_a_bad_credential_kept_out_is_sent_once_it_is_mended(tmp_path: Path) -> None:
    is_mended = threading.Event()
    with hop(tmp_path, lambda _: Reply(status=200 if is_mended.is_set() else 401)) as running:
        running.send("one", "two")
        wait_until(lambda: running.status()["retries"] >= 2)
        assert "HTTP 401" in running.status()["last_error"]
        is_mended.set()
        status = running.wait_done()
    assert (status["forwarded"]["spans"], status["refused"]["spans"]) == (4, 0)


def test_a_target_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    asked = Reply(status=503, headers={"retry-after": "1"})
    replies = iter([asked, asked])
    with hop(tmp_path, lambda _: next(replies, Reply())) as running:
        running.send("hello")
        wait_until(lambda: running.status()["last_error"] is not None)
        assert running.status()["last_error"].startswith("HTTP 503")
        status = running.wait_done()
    times = [one.at_s for one in running.target.received]
    assert len(times) == 3
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
    assert (status["forwarded"]["spans"], status["retries"], status["last_error"]) == (2, 2, None)


def test_one_request_that_never_gets_through_does_not_stop_the_others(tmp_path: Path) -> None:
    def answer(received: Received) -> Reply:
        return Reply(status=503) if b"stuck" in received.body else Reply()

    with hop(tmp_path, answer) as running:
        running.send("stuck", *["free"] * 40)
        wait_until(lambda: running.status()["forwarded"]["spans"] == 80)
        assert running.status()["backlog"]["records"] == 1


def test_while_a_target_is_down_it_is_asked_by_one_request_at_a_time(tmp_path: Path) -> None:
    is_up = threading.Event()
    with hop(tmp_path, lambda _: Reply() if is_up.is_set() else Reply(status=503)) as running:
        running.send("first")
        wait_until(lambda: running.status()["retries"] >= 1)
        before = len(running.target.received)
        running.send(*["later"] * 30)
        wait_until(lambda: running.status()["retries"] >= 3)
        assert len(running.target.received) - before <= 3
        is_up.set()
        assert running.wait_done()["forwarded"]["spans"] == 62


def test_what_a_stop_leaves_is_sent_by_the_next_start(tmp_path: Path) -> None:
    with hop(tmp_path, lambda _: Reply(status=503)) as running:
        running.send("one", "two")
        wait_until(lambda: running.status()["retries"] >= 1)
    with hop(tmp_path, lambda _: Reply()) as running:
        assert running.wait_done()["forwarded"]["spans"] == 4
