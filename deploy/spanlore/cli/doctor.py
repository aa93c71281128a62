"""`spanlore doctor`: what is traced here and what is not, and what the analyzers miss."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.collector_door import door_problem
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option, default_data_dir
from spanlore.cli.errors import CannotReach
from spanlore.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from spanlore.analyzers.needs import Service, Silent
    from spanlore.instrumentation.settings import Settings

__all__ = ["doctor_command"]

_EXIT_UNTRACED = 1
_EXIT_UNREACHED = 3


@click.command("doctor")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor_command(data_dir: Path | None, as_json: bool) -> None:
    """Tell what a program started here would send, and what cannot be learned from it.

    Libraries are looked for where `spanlore` itself is installed: run the one of the program's
    own environment. Exit codes: 0 all is well, 1 a library that is installed here is not traced
    though it could be, 3 no collector takes spans. What analyzers miss is no failure.
    """
    if data_dir is not None:
        os.environ["SPANLORE_DATA_DIR"] = str(data_dir.absolute())
    document = _document(data_dir)
    if as_json:
        print_json(document)
    else:
        _print(document)
    if document["endpoint"]["problem"]:
        raise SystemExit(_EXIT_UNREACHED)
    if any(one["version"] and not one["is_traced"] for one in document["libraries"]):
        raise SystemExit(_EXIT_UNTRACED)


def _document(data_dir: Path | None) -> dict[str, Any]:
    from spanlore.instrumentation import diagnosis
    from spanlore.instrumentation.settings import TRACES, Asked, settings_here
    from spanlore.instrumentation.switch import is_disabled

    settings = settings_here(Asked())
    services, problem = _services(data_dir)
    return {
        "is_switched_off": is_disabled(),
        "libraries": [_plain(one) for one in diagnosis.libraries()],
        "other_tracers": [_plain(one) for one in diagnosis.others()],
        "content": _content(settings),
        "endpoint": {
            "url": settings.targets[TRACES].url,
            "protocol": "grpc" if settings.is_grpc else "http/protobuf",
            "problem": diagnosis.endpoint_problem(settings) or _door_problem(data_dir, settings),
        },
        "delivery_url": settings.delivery_url,
        "journal": _journal(data_dir or default_data_dir(), settings),
        "services": services,
        "services_problem": problem,
    }


def _door_problem(data_dir: Path | None, settings: "Settings") -> str | None:
    """Ask the spanlore that spans go to, which answers an empty request also while it is full."""
    from spanlore.instrumentation.settings import TRACES

    try:
        running = find_running(data_dir)
    except CannotReach:
        return None
    return door_problem(running, settings.targets[TRACES].url)


def _plain(report: Any) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__dataclass_fields__}


def _content(settings: "Settings") -> dict[str, Any]:
    """Say whether prompts, answers, arguments and results are sent, and why."""
    if settings.content_asked is not None:
        reason = "SPANLORE_CAPTURE_CONTENT says so"
    elif settings.content_mode is not None:
        reason = f"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT={settings.content_mode}"
    elif settings.is_private:
        reason = "the collector is on this machine, or named by SPANLORE_ENDPOINT"
    else:
        reason = "the collector is elsewhere; SPANLORE_CAPTURE_CONTENT=true sends it"
    return {"is_sent": settings.captures_content(provider_is_ours=True), "reason": reason}


def _services(data_dir: Path | None) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Ask the store what services send; one that cannot be asked is a fact to show."""
    try:
        from spanlore.analyzers.needs import services
        from spanlore.schemas.store import Store, StoreError
    except ModuleNotFoundError as error:
        return None, f"{error.name} is not installed; run: python -m pip install 'spanlore[all]'"
    try:
        with Store.connect(find_running(data_dir).store_url) as store:
            return [_service(one) for one in services(store)], None
    except CannotReach as error:
        return None, error.format_message()
    except StoreError as error:
        return None, str(error)


def _service(service: "Service") -> dict[str, Any]:
    return {
        "service": service.name,
        "last_span_at": service.last_span_at,
        "runs_looked_at": service.runs,
        "silent": [
            {"analyzer": one.analyzer, "missing": list(_missing(one))} for one in service.silent
        ],
    }


def _missing(one: "Silent") -> Iterable[dict[str, Any]]:
    for need in one.missing:
        yield {
            "any_of": [signal.attribute for signal in need],
            "how": [signal.how for signal in need],
        }


def _journal(data_dir: Path, settings: "Settings") -> dict[str, Any]:
    """Return what programs that are gone left; ``is_kept`` is of programs that start here."""
    from spanlore.cli.ship import journals_left

    records = size = 0
    oldest_s = None
    for left in journals_left(data_dir):
        found = os.fstat(left.descriptor)
        records, size = records + left.items, size + found.st_size
        oldest_s = min(found.st_mtime, found.st_mtime if oldest_s is None else oldest_s)
        left.release()
    return {
        "is_kept": settings.keeps_journal,
        "records": records,
        "bytes": size,
        "oldest_age_s": None if oldest_s is None else round(max(0.0, time.time() - oldest_s), 1),
    }


def _print(document: dict[str, Any]) -> None:
    libraries = document["libraries"]
    print_table(
        ("library", "version", "traced"),
        [
            (one["library"], one["version"], "yes" if one["is_traced"] else one["reason"])
            for one in libraries
        ],
    )
    for other in document["other_tracers"]:
        of = other["library"] or "many libraries"
        note(f"{other['name']} is installed too and traces {of}: {other['reason']}")
    if document["is_switched_off"]:
        note("OTEL_SDK_DISABLED or SPANLORE_DISABLED is true: nothing is traced")
    content, endpoint = document["content"], document["endpoint"]
    click.echo(f"content: {'sent' if content['is_sent'] else 'not sent'} ({content['reason']})")
    said = endpoint["problem"] or "takes spans"
    click.echo(f"endpoint: {endpoint['url']} ({endpoint['protocol']}): {said}")
    _print_journal(document["journal"])
    if document["services"] is None:
        note(f"what services send is not known: {document['services_problem']}")
    for service in document["services"] or ():
        _print_service(service)


def _print_journal(journal: dict[str, Any]) -> None:
    if not journal["is_kept"]:
        note("SPANLORE_JOURNAL is off: what is not sent when a program is killed is lost")
    if journal["records"]:
        click.echo(
            f"journal: {journal['records']:,} spans and events ({journal['bytes']:,} bytes) that "
            f"programs left up to {journal['oldest_age_s']:,.0f} s ago: spanlore ship"
        )


def _print_service(service: dict[str, Any]) -> None:
    name, at = service["service"] or "a service without a name", service["last_span_at"]
    runs = service["runs_looked_at"]
    click.echo(f"{name}: last span received {at:%Y-%m-%d %H:%M:%S} UTC, {runs} runs looked at")
    if not service["silent"]:
        click.echo("  every analyzer can learn from it")
        return
    rows = [
        (one["analyzer"], " or ".join(need["any_of"]), "; or ".join(need["how"]))
        for one in service["silent"]
        for need in one["missing"]
    ]
    print_table(("cannot learn", "misses", "to send it"), rows)
