"""How `spanlore status` says what the collector knows about itself, besides what it counted."""

from itertools import accumulate
from typing import Any, Final

import click

__all__ = ["print_health"]

_MIB: Final = 1 << 20
_COUNTED: Final = (
    ("refused requests", "refused"),
    ("over their tenant's budget", "over_quota"),
    ("redacted", "redacted"),
)
_NAMES: Final = {"grpc": "gRPC", "http": "HTTP"}


def print_health(status: dict[str, Any]) -> None:
    """Print the collector's backlog, limits, latencies, and what went wrong so far."""
    for label, counts in _COUNTED:
        _print_counts(label, status[counts])
    _print_backlog(status)
    for transport, acks in status["acks"].items():
        _print_durations(f"acknowledged over {_NAMES[transport]}", acks, "requests")
    _print_durations("loaded", status["loads"], "segments")
    _print_use(status)
    _print_counts("also counted", status["events"])


def _print_counts(label: str, counts: dict[str, int]) -> None:
    if counts:
        said = (f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))
        click.echo(f"{label}: {', '.join(said)}")


def _print_backlog(status: dict[str, Any]) -> None:
    backlog, sealing = status["backlog"], status["sealing"]
    if backlog["records"]:
        click.echo(
            f"not loaded yet: {backlog['records']:,} requests in {backlog['segments']:,} segments, "
            f"{backlog['bytes']:,} bytes, the oldest accepted {backlog['oldest_age_s']:.0f} s ago"
        )
    else:
        click.echo("everything accepted is loaded")
    if sealing["records"]:
        click.echo(
            f"not sealed yet: the runs of {sealing['records']:,} requests, the first loaded "
            f"{sealing['oldest_age_s']:.0f} s ago"
        )


def _print_durations(label: str, durations: dict[str, Any], what: str) -> None:
    if durations["count"]:
        half, most = (_percentile(durations, share) for share in (0.5, 0.99))
        click.echo(f"{label}: p50 {half}, p99 {most}, {durations['count']:,} {what}")


def _percentile(durations: dict[str, Any], share: float) -> str:
    """Return the upper bound of the bucket that a percentile is in."""
    bounds_s = durations["bounds_s"]
    for below, bound_s in zip(accumulate(durations["counts"]), bounds_s, strict=False):
        if below >= share * durations["count"]:
            return f"within {bound_s * 1000:g} ms" if bound_s < 1 else f"within {bound_s:g} s"
    return f"over {bounds_s[-1]:g} s"


def _print_use(status: dict[str, Any]) -> None:
    log, inflight, process = status["log"], status["inflight"], status["process"]
    click.echo(
        f"log: {_mib(status['backlog']['bytes'])} of {_mib(log['bytes_max'])}, "
        f"{_mib(log['disk_free_bytes'])} of the disk free, {_mib(log['disk_free_bytes_min'])} "
        "must stay so"
    )
    click.echo(
        f"in flight: {_mib(inflight['bytes'])} of {_mib(inflight['bytes_max'])}; "
        f"HTTP connections: "
        f"{status['connections']['http']:,}; memory: {_mib(process['rss_bytes'])}; "
        f"CPU: {process['cpu_s']:,.0f} s in {process['uptime_s']:,.0f} s"
    )


def _mib(size_bytes: int | None) -> str:
    return "–" if size_bytes is None else f"{size_bytes / _MIB:,.1f} MiB"
