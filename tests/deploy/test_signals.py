import signal
import threading

import pytest

from spanlore.cli.signals import in_thread


def test_work_in_a_thread_gives_what_it_gives_and_is_stopped_afterwards() -> None:
    stopped = threading.Event()
    assert in_thread(lambda: 7, stop=stopped.set) == 7
    assert stopped.is_set()


def test_an_error_of_the_work_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 // 0, stop=lambda: None)


def test_a_signal_interrupts_the_wait_and_the_work_ends_by_being_stopped() -> None:
    stopped = threading.Event()
    ended = list[bool]()

    def work() -> None:
        # To the thread that waits, as Ctrl-C goes.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        ended.append(stopped.wait(30))

    with pytest.raises(KeyboardInterrupt):
        in_thread(work, stop=stopped.set)
    assert ended == [True]


def test_a_second_signal_does_not_cut_the_stopping_short() -> None:
    steps = list[str]()

    def stop() -> None:
        steps.append("stopping")
        signal.raise_signal(signal.SIGINT)
        steps.append("stopped")

    with pytest.raises(KeyboardInterrupt):
        in_thread(lambda: None, stop=stop)
    assert steps == ["stopping", "stopped"]
