"""What `spanlore up` was asked for, and what that is as arguments of the processes it starts."""

import os
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click

from spanlore.cli.datadir import default_data_dir
from spanlore.cli.door_options import Doors
from spanlore.cli.options import period

__all__ = ["UpOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The options of `up`, as they were given; checked where they are made use of."""

    data_dir: Path | None
    store_url: str | None
    store_port: int
    grpc_port: int
    http_port: int
    review_port: int
    learn_every: str | None
    unsandboxed_sql: bool
    redact_patterns: Path | None
    no_redact: bool
    self_metrics_endpoint: str | None
    forward: tuple[str, ...]
    forward_max: int | None
    disk_free_min: int | None
    doors: Doors
    detach: bool
    ready_fd: int | None
    parent_pid: int | None

    @property
    def directory(self) -> Path:
        """The data directory."""
        return (self.data_dir or default_data_dir()).absolute()

    def ports(self) -> dict[str, int]:
        """Return the ports by the names of their options."""
        return {
            "store-port": self.store_port,
            "grpc-port": self.grpc_port,
            "http-port": self.http_port,
            "review-port": self.review_port,
        }

    def arguments(self) -> tuple[str, ...]:
        """Return them as arguments of another `up`, without the store's URL and how it starts."""
        told = [part for name, port in self.ports().items() for part in (f"--{name}", str(port))]
        told += [] if self.learn_every is None else ["--learn-every", self.learn_every]
        told += ["--unsandboxed-sql"] if self.unsandboxed_sql else []
        return (*told, *self.doors.arguments(), *self.collector_arguments())

    def collector_arguments(self) -> tuple[str, ...]:
        """Return what is the collector's besides its doors. Raises UsageError."""
        endpoint = self.self_metrics_endpoint
        sizes = {"--forward-max": self.forward_max, "--disk-free-min": self.disk_free_min}
        told = ((name, str(size)) for name, size in sizes.items() if size is not None)
        return (
            *self._redaction(),
            *self._forwarding(),
            *chain.from_iterable(told),
            *(("--self-metrics-endpoint", endpoint) if endpoint else ()),
        )

    def learn_every_s(self) -> float | None:
        """Return the seconds between two rounds of learning. Raises BadParameter."""
        every = period(self.learn_every, "--learn-every")
        return None if every is None else every.total_seconds()

    def _redaction(self) -> tuple[str, ...]:
        if self.no_redact and self.redact_patterns:
            raise click.UsageError(
                "--no-redact and --redact-patterns exclude each other: leave out one"
            )
        if self.no_redact:
            return ("--no-redact",)
        patterns = self.redact_patterns
        return ("--redact-patterns", str(patterns.absolute())) if patterns else ()

    def _forwarding(self) -> tuple[str, ...]:
        from spanlore.collector.forwarding.target import TargetError, read_targets

        try:
            read_targets(self.forward, os.environ)
        except TargetError as error:
            raise click.BadParameter(str(error), param_hint="--forward") from error
        return tuple(part for target in self.forward for part in ("--forward", target))
