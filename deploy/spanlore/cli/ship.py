"""`spanlore ship`: send what programs could not: they were killed, or no collector was there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from spanlore.cli.collector_door import door_problem, flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option, default_data_dir
from spanlore.cli.errors import CannotReach
from spanlore.cli.output import note, print_json, print_table
from spanlore.instrumentation.answer import Send
from spanlore.instrumentation.journal import journals_dir
from spanlore.instrumentation.left_behind import LeftFile, left_files
from spanlore.instrumentation.sending import sender
from spanlore.instrumentation.settings import TRACES, Asked, Settings, settings_here

__all__ = ["journals_left", "ship_command"]

_REQUEST_S_MAX = 30.0
_TRIES_MAX = 5
_PAUSE_S = 1.0


@dataclass(slots=True, kw_only=True)
class _Shipped:
    """What became of one service's spans and events, those of one destination."""

    service: str
    destination: str
    shipped: int = 0
    refused: int = 0
    left: int = 0


@click.command("ship")
@click.option("--service", help="Only what this service left. Default: every service.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Send everything there, also what was meant for another. Default: the running spanlore, "
    "else what OpenTelemetry's variables say; only what was meant for it.",
)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def ship_command(
    *, service: str | None, endpoint: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Send what traced programs left in their journals.

    A program that was killed, or ended while no collector was there, leaves its spans in the data
    directory; its next start sends them, and so does this. Spans that had begun and not ended are
    sent as far as they came. Journals of programs that run are left to them.
    """
    running = _running(data_dir) if endpoint is None else None
    settings = settings_here(Asked(endpoint=endpoint or (running.http_url if running else None)))
    url = settings.targets[TRACES].url
    problem = door_problem(running, url) if running else None
    shipped: list[_Shipped] = []
    for left in journals_left(data_dir or default_data_dir()):
        name, meant_for = str(left.about.get("service")), str(left.about.get("destination"))
        if service in (None, name):
            is_meant = endpoint is not None or meant_for == settings.destination
            send = sender(settings) if is_meant and not problem else None
            _ship(left, _row(shipped, name, meant_for), send=send)
        else:
            left.release()
    is_flushed = bool(running and running.collector_token and any(row.shipped for row in shipped))
    if running and is_flushed:
        flush(running)
    _report(shipped, settings, as_json=as_json)
    if any(row.left for row in shipped if row.destination == settings.destination):
        if problem:
            raise CannotReach(f"the collector at {url} {problem}; then ship again")
        raise CannotReach(
            f"nobody takes spans at {url}; start it (spanlore up --detach) and ship again"
        )


def _running(data_dir: Path | None) -> Running | None:
    try:
        return find_running(data_dir)
    except CannotReach:
        if data_dir is not None:
            raise
        return None


def journals_left(data_dir: Path) -> Iterator[LeftFile]:
    """Yield what programs that are gone left, each locked until it is removed or released."""
    journals = journals_dir(data_dir)
    for folder in sorted(journals.iterdir()) if journals.is_dir() else ():
        yield from left_files(folder)


def _row(shipped: list[_Shipped], service: str, destination: str) -> _Shipped:
    for row in shipped:
        if (row.service, row.destination) == (service, destination):
            return row
    shipped.append(_Shipped(service=service, destination=destination))
    return shipped[-1]


def _ship(left: LeftFile, row: _Shipped, *, send: Send | None) -> None:
    """Send a file's requests; ``send`` is None where they are not meant for who listens."""
    waiting = left.items
    for request in left.requests if send else ():
        if send is None or not (taken := _sent(send, request.signal, request.body)):
            break
        left.done(request)
        waiting -= request.items
        row.shipped += request.items if taken == "taken" else 0
        row.refused += request.items if taken == "refused" else 0
    row.left += waiting
    left.release() if waiting else left.remove()


def _sent(send: Send, signal: str, body: bytes) -> str | None:
    for _ in range(_TRIES_MAX):
        answer = send(signal, body, timeout_s=_REQUEST_S_MAX)
        if not answer.is_worth_retrying:
            return "taken" if answer.is_taken else "refused"
        if answer.is_absent:
            return None
        time.sleep(min(answer.after_s or _PAUSE_S, _REQUEST_S_MAX))
    return None


def _report(shipped: list[_Shipped], settings: Settings, *, as_json: bool) -> None:
    url = settings.targets[TRACES].url
    if as_json:
        print_json({"endpoint": url, "journals": shipped})
    elif shipped:
        rows = [
            (row.service, row.destination, row.shipped, row.refused, row.left) for row in shipped
        ]
        print_table(("service", "meant for", "shipped", "refused", "left"), rows)
    else:
        note("nothing was left: every program sent what it had, or still runs")
    for row in shipped:
        if row.left and row.destination != settings.destination:
            note(
                f"{row.service}: {row.left} were meant for {row.destination}; "
                "name an --endpoint to send them there"
            )
