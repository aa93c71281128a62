"""An exit never waits longer than two seconds, whatever the collector does."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from spanlore.instrumentation.answer import FAILED, TAKEN, Answer
from spanlore.instrumentation.outbox import Outbox
from spanlore.instrumentation.pipeline import STOP_S
from tests.instrumentation.loopback_server import Quiet, serving
from tests.instrumentation.traced import black_hole, dead_url, run_script
from tests.waiting import wait_until

EXIT_S_MAX = 2.0
REQUEST_S = 60.0

# What was registered first is called last, after ours: the time between the two is what we took.
LEAVES = """
    import atexit, threading, time
    begun = []
    atexit.register(lambda: print(time.monotonic() - begun[0]))
    import spanlore.auto
    from spanlore.instrumentation import run
    for _ in range(600):
        with run("assistant"):
            pass
    atexit.register(lambda: begun.append(time.monotonic()))
"""


def test_a_request_at_the_exit_is_given_no_more_than_the_time_that_is_left() -> None:
    given: list[float] = []
    answers = [FAILED, TAKEN]

    def send(signal: str, request: bytes, *, timeout_s: float) -> Answer:
        del signal, request
        given.append(timeout_s)
        return answers.pop(0)

    outbox = Outbox(send, {"traces": b"".join}, timeout_s=REQUEST_S)
    outbox.put("traces", b"a")
    wait_until(lambda: given)
    outbox.stop(REQUEST_S / 2)
    assert len(given) == 2
    assert given[1] <= REQUEST_S / 2
    assert STOP_S < EXIT_S_MAX


@contextmanager
def absent() -> Iterator[str]:
    yield dead_url()


@contextmanager
def full() -> Iterator[str]:
    """Let no connection come about: nobody takes those that wait, and no more may wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for each in waiting:
            each.close()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Read every request, answer a byte every tenth of a second, and never come to the end."""
    is_over = threading.Event()

    class Door(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the library calls it so
            self.rfile.read(int(self.headers["content-length"]))
            with suppress(OSError):  # the program has gone
                for byte in answer * 1_000:
                    if is_over.wait(0.1):
                        return
                    self.wfile.write(bytes([byte]))
            is_over.wait()

    with serving(Door) as url:
        yield url
        is_over.set()


COLLECTORS = {
    "absent": absent,
    "full": full,
    "takes connections and no more": black_hole,
    "reads and never answers": lambda: answering(b""),
    "drips its answer": lambda: answering(b"HTTP/1.1 200 OK\r\nx: y\r\n"),
    "is busy": lambda: answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 1\r\n\r\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("collector", COLLECTORS)
def test_an_exit_is_not_held_up(collector: str, tmp_path: Path) -> None:
    at: Callable[[], AbstractContextManager[str]] = COLLECTORS[collector]
    with at() as url:
        ended = run_script(LEAVES, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert (ended.code, ended.err) == (0, "")
    print(f"{collector}: the exit took {float(ended.out):.2f} s more")
    assert float(ended.out) <= EXIT_S_MAX
