"""What waits to be sent: bounded, patient, silent."""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from spanlore.instrumentation import outbox as outbox_module
from spanlore.instrumentation import shipping
from spanlore.instrumentation.answer import (
    ABSENT,
    FAILED,
    REFUSED,
    REQUEST_BYTES_MAX,
    TAKEN,
    Answer,
)
from spanlore.instrumentation.outbox import ITEMS_MAX, Outbox
from spanlore.instrumentation.shipping import KEPT_BYTES_MAX
from tests.waiting import wait_until

FLUSH_S = 30.0


class Post:
    """Takes requests, and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.tries = 0
        self.answers: list[Answer] = []
        self.answer = TAKEN
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, signal: str, request: bytes, *, timeout_s: float) -> Answer:
        assert signal == "traces"
        self.tries += 1
        if not self.may_answer.wait(timeout_s):
            return FAILED
        answer = self.answers.pop(0) if self.answers else self.answer
        if answer.is_taken:
            self.taken.append(request)
        return answer


def encode(items: Sequence[Any]) -> bytes:
    return b"".join(items)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def outbox(post: Post) -> Iterator[Outbox]:
    made = Outbox(post, {"traces": encode}, timeout_s=FLUSH_S)
    yield made
    post.may_answer.set()
    post.answer = REFUSED
    made.stop(FLUSH_S)


def test_what_is_put_is_sent_once_and_in_order(outbox: Outbox, post: Post) -> None:
    for number in range(2_000):
        outbox.put("traces", b"%05d" % number)
    assert outbox.flush(FLUSH_S)
    assert b"".join(post.taken) == b"".join(b"%05d" % number for number in range(2_000))
    assert (outbox.sent, outbox.dropped) == (2_000, 0)


def test_nothing_is_started_before_the_first_item(outbox: Outbox) -> None:
    before = set(threading.enumerate())
    assert outbox.flush(0)
    outbox.stop(0)
    assert not set(threading.enumerate()) - before


def test_what_is_busy_or_absent_is_tried_again(outbox: Outbox, post: Post) -> None:
    post.answers = [FAILED, ABSENT, Answer(is_taken=False, is_worth_retrying=True, after_s=0.01)]
    outbox.put("traces", b"a")
    assert outbox.flush(FLUSH_S)
    assert (post.taken, post.tries) == ([b"a"], 4)


def test_what_is_refused_is_dropped_and_counted_and_the_rest_goes_on(
    outbox: Outbox, post: Post
) -> None:
    post.answers = [REFUSED]
    outbox.put("traces", b"a")
    assert outbox.flush(FLUSH_S)
    outbox.put("traces", b"b")
    assert outbox.flush(FLUSH_S)
    assert (post.taken, outbox.sent, outbox.dropped) == ([b"b"], 1, 1)


def test_a_request_is_bounded_but_for_one_item_that_is_larger(outbox: Outbox, post: Post) -> None:
    half = REQUEST_BYTES_MAX // 2 + 1
    for size in (half, half, 10, 2 * REQUEST_BYTES_MAX):
        outbox.put("traces", b"x" * size)
    assert outbox.flush(FLUSH_S)
    assert sorted(map(len, post.taken)) in (
        [10, half, half, 2 * REQUEST_BYTES_MAX],
        [half, half + 10, 2 * REQUEST_BYTES_MAX],
        [half, half, 2 * REQUEST_BYTES_MAX + 10],
    )


def test_an_item_that_cannot_be_encoded_costs_only_itself(outbox: Outbox, post: Post) -> None:
    for item in (b"a", "no bytes", b"b"):
        outbox.put("traces", item)
    assert outbox.flush(FLUSH_S)
    assert (b"".join(post.taken), outbox.dropped) == (b"ab", 1)


def test_bytes_that_nobody_takes_are_kept_within_bounds(outbox: Outbox, post: Post) -> None:
    post.answer = ABSENT
    size = REQUEST_BYTES_MAX - 1
    count = KEPT_BYTES_MAX // size + 4
    for _ in range(count):
        outbox.put("traces", b"x" * size)
    wait_until(lambda: outbox.dropped >= 4)
    post.answer = TAKEN
    assert outbox.flush(FLUSH_S)
    assert (outbox.sent + outbox.dropped, sum(map(len, post.taken)) <= KEPT_BYTES_MAX) == (
        count,
        True,
    )


def test_items_that_come_faster_than_they_go_drop_the_oldest(post: Post) -> None:
    is_at_it, may_go_on = threading.Event(), threading.Event()

    def encode_slowly(items: Sequence[Any]) -> bytes:
        is_at_it.set()
        may_go_on.wait(FLUSH_S)
        return encode(items)

    outbox = Outbox(post, {"traces": encode_slowly}, timeout_s=FLUSH_S)
    outbox.put("traces", b"first")
    assert is_at_it.wait(FLUSH_S)
    for number in range(ITEMS_MAX + 10):
        outbox.put("traces", b"%d" % number)
    may_go_on.set()
    assert outbox.flush(FLUSH_S)
    assert (outbox.sent, outbox.dropped) == (ITEMS_MAX + 1, 10)
    outbox.stop(FLUSH_S)


def test_a_burst_larger_than_what_is_kept_is_sent_whole(outbox: Outbox, post: Post) -> None:
    size = REQUEST_BYTES_MAX // 20
    count = 2 * KEPT_BYTES_MAX // size
    post.may_answer.clear()
    for _ in range(count):
        outbox.put("traces", b"x" * size)
    post.may_answer.set()
    assert outbox.flush(FLUSH_S)
    assert (outbox.sent, outbox.dropped) == (count, 0)


def test_a_sender_that_fails_costs_the_request_and_not_the_processor() -> None:
    tries: list[int] = []

    def fail(signal: str, request: bytes, *, timeout_s: float) -> Answer:
        del signal, request, timeout_s
        tries.append(1)
        raise RuntimeError

    outbox = Outbox(fail, {"traces": encode}, timeout_s=FLUSH_S)
    outbox.put("traces", b"a")
    assert outbox.flush(FLUSH_S)
    assert (len(tries), outbox.dropped) == (1, 1)
    outbox.stop(FLUSH_S)


@pytest.mark.parametrize("after_s", [0.0, -5.0, float("nan")])
def test_a_collector_that_says_at_once_is_not_stormed(
    outbox: Outbox, post: Post, after_s: float
) -> None:
    answer = Answer(is_taken=False, is_worth_retrying=True, after_s=after_s)
    post.answer = answer
    outbox.put("traces", b"a")
    wait_until(lambda: post.tries >= 2)
    assert post.tries <= 3


def test_a_thread_that_could_not_start_is_started_with_the_next_item(
    outbox: Outbox, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        del thread
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            outbox.put("traces", b"a")
    outbox.put("traces", b"b")
    assert outbox.flush(FLUSH_S)
    assert b"".join(post.taken) == b"ab"


def test_sending_is_part_of_no_trace_and_makes_none() -> None:
    seen: list[bool] = []

    def look(signal: str, request: bytes, *, timeout_s: float) -> Answer:
        del signal, request, timeout_s
        seen.append(is_instrumentation_enabled())
        return TAKEN

    outbox = Outbox(look, {"traces": encode}, timeout_s=FLUSH_S)
    outbox.put("traces", b"a")
    assert outbox.flush(FLUSH_S)
    assert seen == [False]
    outbox.stop(FLUSH_S)


def test_a_stop_gives_up_at_once_where_nobody_is(outbox: Outbox, post: Post) -> None:
    post.answer = ABSENT
    outbox.put("traces", b"a")
    outbox.stop(FLUSH_S)
    assert (outbox.sent, outbox.dropped, post.tries <= 2) == (0, 1, True)


def test_a_stop_sends_what_is_left_and_takes_nothing_more(outbox: Outbox, post: Post) -> None:
    outbox.put("traces", b"a")
    outbox.stop(FLUSH_S)
    outbox.stop(FLUSH_S)
    outbox.put("traces", b"b")
    assert (post.taken, outbox.dropped) == ([b"a"], 1)


def test_a_stop_leaves_a_collector_that_never_answers(outbox: Outbox, post: Post) -> None:
    post.may_answer.clear()
    outbox.put("traces", b"a")
    outbox.stop(0.05)
    assert post.taken == []


def test_what_waits_at_a_fork_is_sent_by_the_parent_alone(outbox: Outbox, post: Post) -> None:
    outbox.put("traces", b"a")
    child = os.fork()
    if child == 0:
        os._exit(not outbox.flush(0))  # nothing waits here: its parent sends what it had
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    outbox.put("traces", b"b")
    assert outbox.flush(FLUSH_S)
    assert b"".join(post.taken) == b"ab"


def test_no_idle_thread_of_ours_stands_beside_a_fork(outbox: Outbox, post: Post) -> None:
    outbox.put("traces", b"a")
    assert outbox.flush(FLUSH_S)
    outbox.park()
    names = {outbox_module.THREAD_NAME, shipping.THREAD_NAME}
    wait_until(lambda: not names & {thread.name for thread in threading.enumerate()})
    outbox.put("traces", b"b")
    outbox.unpark()
    assert outbox.flush(FLUSH_S)
    assert b"".join(post.taken) == b"ab"


def test_a_fork_does_not_wait_for_a_collector(outbox: Outbox, post: Post) -> None:
    post.may_answer.clear()
    outbox.put("traces", b"a")
    wait_until(lambda: post.tries == 1)
    outbox.park()
    outbox.unpark()
    post.may_answer.set()
    assert outbox.flush(FLUSH_S)
    assert post.taken == [b"a"]


def test_what_could_not_be_sent_before_a_fork_is_sent_by_whoever_flushes(
    outbox: Outbox, post: Post
) -> None:
    post.answers = [FAILED]
    outbox.put("traces", b"a")
    outbox.park()
    outbox.unpark()
    assert outbox.flush(FLUSH_S)
    assert (post.taken, post.tries) == ([b"a"], 2)
