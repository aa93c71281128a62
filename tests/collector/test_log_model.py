"""The write-ahead log against a model, on a disk that fails and loses power (`lossy_disk`).

Whatever happens when, in the end the store has every acknowledged record once and in order, and
none that nobody sent. Log records are sent, because nothing but the log tells two of them apart.
"""

import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from spanlore.collector import record, recover
from spanlore.collector.counters import Counters
from spanlore.collector.intake import count_durable
from spanlore.collector.load import Loader, _Attempts
from spanlore.collector.log import Entry, Log
from spanlore.collector.recover import LogDirectoryError, OpenedDirectory, open_directory
from spanlore.collector.refusal import Refused
from spanlore.collector.signals import LOGS
from tests.collector.log_cases import LIMITS
from tests.collector.lossy_disk import FAULTS, LossyDisk, PowerLossError
from tests.collector.memory_store import MemoryStore
from tests.collector.otlp_requests import logs

CHANCES = st.integers(0, 2**32 - 1).map(random.Random)
MEMORY = Path("/dev/shm")  # noqa: S108 - named anew in it
BODY_BYTES_MAX = 400
SCENARIOS = 200
FAILS = st.none() | st.sampled_from(sorted(FAULTS))
SMALL = replace(LIMITS, segment_bytes_target=600, segment_bytes_max=1200, log_bytes_max=4000)
# What the log's bound does not count: the heads of records, and what could not be cut off.
OVER_BYTES_MAX = SMALL.segment_bytes_max + 40 * 60


class LogMachine(RuleBasedStateMachine):
    """A log, its loader and a store that never dies; the power and the process do."""

    power_losses = 0
    kills = 0
    faults = 0

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a place: what is durable is reckoned, not the real disk.
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self._patch = pytest.MonkeyPatch()
        self.disk = LossyDisk(Path(self._folder.name))
        self.disk.install(self._patch)
        # The order of files is that of their names: the same again, so that a failure comes again.
        log_ids = random.Random(0)
        self._patch.setattr(recover, "_new_log_id", lambda _: log_ids.getrandbits(32))
        self.store = MemoryStore()
        self.sent: dict[bytes, int] = {}
        self.acknowledged: list[bytes] = []
        self.directory: OpenedDirectory | None = None
        self.chances = random.Random(0)

    @property
    def data_dir(self) -> Path:
        return self.disk.root / "data"

    @initialize()
    def start(self) -> None:
        """Open the log as a process does at its start."""
        self.counters = Counters()
        quarantine_dir = self.data_dir / "quarantine"
        self.directory = open_directory(
            self.data_dir / "wal", quarantine_dir, counters=self.counters
        )
        self.log = Log(
            self.directory.path,
            self.directory.log_id,
            limits=SMALL,
            recovered=self.directory.segments,
            on_durable=lambda group: count_durable(self.counters, group),
        )
        self.loader = Loader(
            self.log,
            lambda: self.store,
            quarantine_dir=quarantine_dir,
            counters=self.counters,
            on_loaded=lambda *_: None,
        )
        self.attempts = _Attempts()
        self.see_that_nothing_is_lost()

    def restart(self, chances: random.Random | None) -> None:
        """Start again after a kill, or after a loss of power with its chances."""
        self.end()
        self.disk.reboot(chances)
        self.start()

    def end(self) -> None:
        """Be gone, as a process that was killed."""
        if self.directory is not None:
            self.directory.release()
            self.directory = None

    def run(self, doing: Callable[[], Any]) -> None:
        """Do something during which the power may go."""
        try:
            doing()
        except PowerLossError:
            type(self).power_losses += 1
            self.restart(self.chances)

    @rule(
        sizes=st.lists(st.integers(0, BODY_BYTES_MAX), min_size=1, max_size=6),
        fails=FAILS,
        chances=CHANCES,
    )
    def append(self, sizes: list[int], fails: str | None, chances: random.Random) -> None:
        """Send requests at once, and remember which were acknowledged."""
        self.fail(fails, chances)
        self.run(lambda: self._append(sizes))

    def _append(self, sizes: list[int]) -> None:
        entries = []
        for size in sizes:
            number = len(self.sent) + 1
            body = logs(1, body=f"{number}:" + "x" * size).SerializeToString()
            self.sent[body] = number
            entry = Entry(signal=LOGS, body=body, items=1, received_ns=number)
            try:
                self.log.append(entry)
            except Refused:
                continue
            entries.append(entry)
        try:
            self.write()
        finally:
            for entry in entries:
                if entry.durable.done() and entry.durable.exception() is None:
                    self.acknowledged.append(entry.body)

    def write(self) -> None:
        """Be the log's writer thread until there is nothing to do."""
        while self.log._queue:  # noqa: SLF001 - one thread, so that a failure comes again
            self.log._write_once()  # noqa: SLF001

    @rule()
    def seal(self) -> None:
        """Seal what is open, as a flush does."""

        def sealing() -> None:
            self.log.seal()
            self.write()

        self.run(sealing)

    @rule(fails=FAILS, chances=CHANCES)
    def load(self, fails: str | None, chances: random.Random) -> None:
        """Let the loader try the oldest segment."""
        self.fail(fails, chances)
        self.run(self._load)

    def _load(self) -> bool:
        segment = self.log.oldest(0)
        if segment is None:
            return False
        if self.loader._try(segment, self.attempts):  # noqa: SLF001 - as in `write`
            self.attempts = _Attempts()
        return True

    def fail(self, name: str | None, chances: random.Random) -> None:
        """Let the disk fail the next time it is asked for something."""
        if name is not None:
            self.disk.fail(name, chances)

    @rule(chances=CHANCES)
    def lose_power(self, chances: random.Random) -> None:
        """Lose the power between two steps."""
        type(self).power_losses += 1
        self.restart(chances)

    @rule(calls=st.integers(0, 12), chances=CHANCES)
    def lose_power_soon(self, calls: int, chances: random.Random) -> None:
        """Lose the power in the middle of a step; a start is one too."""
        self.chances = chances
        self.disk.lose_power_in(calls)

    @rule(fails=FAILS, calls=st.none() | st.integers(0, 8), chances=CHANCES)
    def kill(self, fails: str | None, calls: int | None, chances: random.Random) -> None:
        """Kill the process: what was written and not synced is still there.

        The next one's start may meet a disk that fails, which it says or stands, or lose the power.
        """
        type(self).kills += 1
        self.end()
        self.disk.reboot(None)
        self.fail(fails, chances)
        self.chances = chances
        self.disk.lose_power_in(calls)
        try:
            self.run(self.start)
        except LogDirectoryError:
            self.restart(None)

    @invariant()
    def the_log_is_bounded(self) -> None:
        files = self.data_dir.glob("wal/*.wal")
        assert sum(file.stat().st_size for file in files) <= SMALL.log_bytes_max + OVER_BYTES_MAX

    @invariant()
    def every_record_is_counted_once(self) -> None:
        for counts in (self.counters.snapshot()[signal] for signal in ("logs", "spans")):
            assert counts["received"] == (
                counts["accepted"] + counts["rejected"] + counts["quarantined"]
            )

    def see_that_nothing_is_lost(self) -> None:
        """See that each acknowledged record is in the log or in the store."""
        assert self.directory is not None
        there = {found.body for found in self.store.records}
        for segment in self.directory.segments:
            data = segment.path.read_bytes()[: segment.size_bytes]
            there |= {found.body for found in record.read(data)}
        assert set(self.acknowledged) <= there <= set(self.sent)

    def teardown(self) -> None:
        """Let all be well at last, load everything, and compare."""
        try:
            if self.directory is not None:
                self.restart(None)
                while self._load():
                    assert self.loader._last_error is None  # noqa: SLF001
                self._compare()
        finally:
            type(self).faults += self.disk.faults
            self.end()
            self._patch.undo()
            self._folder.cleanup()

    def _compare(self) -> None:
        stored = [found.body for found in self.store.records]
        acknowledged = set(self.acknowledged)
        assert [body for body in stored if body in acknowledged] == self.acknowledged
        assert len(set(stored)) == len(stored)
        assert set(stored) <= set(self.sent)
        assert self.log.backlog()["bytes"] == 0
        assert not list(self.data_dir.glob("wal/*.wal"))


def test_what_was_refused_does_not_come_back_behind_a_segment_that_was_loaded() -> None:
    # With its token the segment would not be taken again, and under another its records twice.
    for number in range(SCENARIOS):
        machine = LogMachine()
        machine.start()
        machine.append([200], fails=None, chances=random.Random(number))
        machine.append([200], fails="sync_data", chances=random.Random(number))
        machine.load(fails=None, chances=random.Random(number))
        machine.lose_power(random.Random(1000 + number))
        machine.teardown()


QUICK = hypothesis.settings(
    max_examples=200,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    database=None,
)


def test_the_log_keeps_what_it_acknowledged_whatever_the_disk_does() -> None:
    run_state_machine_as_test(LogMachine, settings=QUICK)


@pytest.mark.slow
def test_two_hundred_losses_of_power_and_more_lose_nothing_acknowledged() -> None:
    seed = int(os.environ.get("SPANLORE_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    LogMachine.power_losses = LogMachine.kills = LogMachine.faults = 0
    settings = hypothesis.settings(QUICK, max_examples=1500, stateful_step_count=50)
    run_state_machine_as_test(hypothesis.seed(seed)(LogMachine), settings=settings)
    print(
        f"{LogMachine.power_losses} losses of power, {LogMachine.kills} kills, "
        f"{LogMachine.faults} failures of the disk"
    )
    assert LogMachine.power_losses >= 200
