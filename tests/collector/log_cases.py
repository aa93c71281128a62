"""A log on a directory for tests of the log and of what stands on it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spanlore.collector.counters import Counters
from spanlore.collector.forwarding.backlog import Backlog
from spanlore.collector.intake import count_durable
from spanlore.collector.log import Entry, Log, LogLimits
from spanlore.collector.recover import OpenedDirectory, open_directory
from spanlore.collector.signals import TRACES
from tests.collector.otlp_requests import new_ids, traces

LIMITS = LogLimits(
    segment_bytes_target=16 << 20,
    segment_bytes_max=32 << 20,
    segment_items_target=1_000_000,
    segment_age_s_max=0.25,
    segment_rest_s=0.0,
    log_bytes_max=1 << 30,
    disk_free_bytes_min=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLog:
    """A running log, its directory and what was counted; ``groups`` has each commit's size."""

    log: Log
    directory: OpenedDirectory
    counters: Counters
    groups: list[int] = field(default_factory=list)


@contextmanager
def open_log(path: Path, *, backlogs: Sequence[Backlog] = (), **limits: Any) -> Iterator[OpenLog]:
    """Open the log at ``path/wal`` (quarantine beside it) and close it afterwards.

    ``backlogs`` of targets are opened with it and follow it.
    """
    counters = Counters()
    directory = open_directory(path / "wal", path / "quarantine", counters=counters)
    groups: list[int] = []
    for backlog in backlogs:
        backlog.open()
        backlog.count()

    def on_durable(group: Sequence[Entry]) -> None:
        groups.append(len(group))
        count_durable(counters, group)

    log = Log(
        directory.path,
        directory.log_id,
        limits=replace(LIMITS, **limits),
        recovered=directory.segments,
        on_durable=on_durable,
        followers=backlogs,
    )
    log.start()
    try:
        yield OpenLog(log=log, directory=directory, counters=counters, groups=groups)
    finally:
        log.close()
        directory.release()


def entry(ids: Sequence[tuple[bytes, bytes]] | int = 1, *, text: str = "hello") -> Entry:
    """Make an entry of spans with these ids, or with so many new ones."""
    ids = new_ids(ids) if isinstance(ids, int) else ids
    return Entry(
        signal=TRACES,
        body=traces(ids, text=text).SerializeToString(),
        items=len(ids),
        received_ns=time.time_ns(),
    )


def files(path: Path) -> list[Path]:
    """Give the segment files of the log at ``path/wal``."""
    return sorted((path / "wal").glob("*.wal"))
