"""`spanlore import`: recorded runs in, through OTLP like everything else."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click

from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CannotReach, CommandFailed, NotRunning
from spanlore.cli.output import note, print_json
from spanlore.cli.signals import in_thread
from spanlore.instrumentation.history import (
    Endpoint,
    Format,
    Refused,
    Remark,
    Report,
    Sender,
    Unreachable,
    detect_format,
    endpoint_from_environment,
    import_files,
    other_content,
    parse_endpoint,
)

__all__ = ["import_command"]

_FLUSH_S_MAX = 300.0
_SHOWN_LINES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where the runs go, and the spanlore there, if it is ours to wait for."""

    endpoint: Endpoint
    running: Running | None = None


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([each.value for each in Format]),
    help="Format of all the files. Default: told by the first line of each.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="OTLP/gRPC receiver, e.g. http://127.0.0.1:4317. Default: the running spanlore, "
    "else $OTEL_EXPORTER_OTLP_ENDPOINT.",
)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_command(
    files: tuple[str, ...],
    *,
    format_name: str | None,
    endpoint: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Bring recorded runs in, through OTLP.

    FILE holds one run a line: the trajectory format, or OpenAI chat messages; or one OTLP/JSON
    request a line, as the OpenTelemetry Collector's file exporter writes them. Importing the same
    lines again adds nothing, and with an outcome that was not known before adds the judgement. A
    line that is no run is reported and the others are imported; the exit code is then 1.
    """
    paths = _expand(files)
    try:
        formats = _formats(paths, format_name)
        target = _target(endpoint, data_dir)
        report = _import(formats, target)
    except OSError as error:
        raise CannotReach(f"cannot read {error.filename}: {error.strerror}") from error
    flushed = _wait(target)
    if flushed and report.named:
        _note_imported_before(report, target)
    _note_first([str(one) for one in report.remarks], of=report.remarked)
    if as_json:
        print_json(_document(report, target, flushed=flushed))
    else:
        _say(report, target)
    if report.bad or report.rejected_spans or report.rejected_judgements:
        raise click.exceptions.Exit(1)


def _expand(names: Sequence[str]) -> list[Path]:
    """Return the files named, patterns that a shell left alone expanded; raise UsageError."""
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        found = [path] if path.exists() else sorted(path.parent.glob(path.name))
        if not found:
            raise click.UsageError(f"no file matches {name}; name files of recorded runs")
        for each in found:
            if each.is_dir():
                raise click.UsageError(f"{each} is a directory; name files, e.g. {each}/*.jsonl")
        paths.extend(found)
    return paths


def _formats(paths: Sequence[Path], format_name: str | None) -> list[tuple[Path, Format]]:
    """Return each file with its format, saying how it was told if it was not given."""
    if format_name is not None:
        return [(path, Format(format_name)) for path in paths]
    told = {path: detect_format(path) for path in paths}
    for file_format, sign in dict.fromkeys(told.values()):
        like = [path for path in told if told[path] == (file_format, sign)]
        what = str(like[0]) if len(like) == 1 else f"{len(like)} files"
        note(f"{what}: read as {file_format} ({sign})")
    return [(path, told[path][0]) for path in paths]


def _target(endpoint: str | None, data_dir: Path | None) -> _Target:
    """Decide where to send; raise UsageError, or NotRunning where there is nowhere to."""
    try:
        headers = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
        named = parse_endpoint(endpoint, headers=headers) if endpoint else None
        from_environment = endpoint_from_environment(os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        running = find_running(data_dir)
    except CannotReach as error:
        if named is not None:
            return _Target(endpoint=named)
        if from_environment is None or data_dir is not None or not isinstance(error, NotRunning):
            raise
        return _Target(endpoint=from_environment)
    ours = parse_endpoint(running.grpc_endpoint, headers=running.otlp_headers)
    if named is not None and named.address != ours.address:
        return _Target(endpoint=named)
    if from_environment is not None and from_environment.address == ours.address:
        ours = replace(from_environment, headers=from_environment.headers or ours.headers)
    return _Target(endpoint=ours, running=running)


def _import(formats: Sequence[tuple[Path, Format]], target: _Target) -> Report:
    """Send every run; raise CannotReach or CommandFailed, saying how many were sent before."""
    report = Report()
    sender = Sender(target.endpoint)
    stopping = threading.Event()

    def send(on_bytes: Callable[[int], None]) -> None:
        sender.start()
        import_files(formats, sender, report=report, on_bytes=_until(stopping, on_bytes))

    def stop() -> None:
        stopping.set()
        sender.stop()

    try:
        with _progress([path for path, _ in formats]) as on_bytes:
            in_thread(lambda: send(on_bytes), stop=stop)
    except Unreachable as error:
        raise CannotReach(f"{error} ({report.runs} runs were sent)") from error
    except Refused as error:
        raise CommandFailed(f"{error} ({report.runs} runs were sent)") from error
    return report


def _until(stopping: threading.Event, on_bytes: Callable[[int], None]) -> Callable[[int], None]:
    """Read on only as long as nobody has stopped us; raise Unreachable then, for nobody to see."""

    def read(used: int) -> None:
        if stopping.is_set():
            raise Unreachable("the import was interrupted")
        on_bytes(used)

    return read


@contextmanager
def _progress(paths: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many bytes of the files were read."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(path.stat().st_size for path in paths))
        yield lambda used: progress.advance(task, used)


def _wait(target: _Target) -> bool:
    """Wait until what was sent can be read, saying so where that cannot be known.

    Raise CannotReach if the collector does not get there in time.
    """
    if target.running is None or target.running.collector_token is None:
        note(
            f"sent to {target.endpoint.address} and not waited for: no token of its collector "
            "is known here, so the runs may take a moment to appear"
        )
        return False
    flush(target.running, timeout_s=_FLUSH_S_MAX)
    return True


def _note_imported_before(report: Report, target: _Target) -> None:
    """Note the lines whose run_id an earlier import brought in with other content.

    Where the store's client is not installed, which an import does without, nothing is asked.
    """
    if target.running is None or find_spec("clickhouse_connect") is None:
        return
    from spanlore.schemas.runs import imported_twice
    from spanlore.schemas.store import Store, StoreError

    try:
        with Store.connect(target.running.store_url) as store:
            found = imported_twice(store, first_ns=report.first_ns, last_ns=report.last_ns)
    except StoreError as error:
        note(f"whether a run_id was imported before with other content is not known: {error}")
        return
    for name, trace_ids in found.items():
        named = report.named.get(name)
        others = sorted(set(trace_ids) - named.trace_ids) if named else []
        if named and others:
            said = other_content(name[2], f"was imported before (run {others[0][:16]})")
            report.note(Remark(named.file, named.line, said))


def _document(report: Report, target: _Target, *, flushed: bool) -> dict[str, object]:
    return {
        "runs": report.runs,
        "spans": report.spans,
        "judgements": report.judgements,
        "bad_lines": report.bad_lines,
        "duplicate_lines": report.duplicates,
        "remarks": report.remarks,
        "rejected_spans": report.rejected_spans,
        "rejected_judgements": report.rejected_judgements,
        "rejection_reasons": report.reasons,
        "flushed": flushed,
        "endpoint": target.endpoint.address,
        "seconds": round(report.seconds, 3),
    }


def _note_first(lines: Sequence[str], *, of: int) -> None:
    for line in lines[:_SHOWN_LINES_MAX]:
        note(line)
    if of > _SHOWN_LINES_MAX:
        note(f"… and {of - _SHOWN_LINES_MAX:,} more such lines (--json lists them)")


def _say(report: Report, target: _Target) -> None:
    click.echo(
        f"{report.runs:,} runs ({report.spans:,} spans, {report.judgements:,} judgements) sent to "
        f"{target.endpoint.address} in {report.seconds:.1f} s"
    )
    if report.duplicates:
        note(f"{report.duplicates:,} lines are the same as earlier ones and were sent once")
    _note_first([str(one) for one in report.bad_lines], of=report.bad)
    if report.rejected_spans or report.rejected_judgements:
        note(
            f"{target.endpoint.address} did not take {report.rejected_spans:,} spans and "
            f"{report.rejected_judgements:,} judgements: {'; '.join(report.reasons) or 'no reason'}"
        )
