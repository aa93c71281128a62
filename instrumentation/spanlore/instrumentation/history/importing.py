"""An import from end to end: files in, batches out, and what became of each line."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from spanlore.instrumentation.history import json_text
from spanlore.instrumentation.history.batches import Batch, batches, check_size
from spanlore.instrumentation.history.files import BadLine, Line, Remark, read_lines
from spanlore.instrumentation.history.formats import (
    Format,
    NotImportable,
    format_of,
    split_runs,
    trajectory_object,
)
from spanlore.instrumentation.history.otlp_json import Requests
from spanlore.instrumentation.history.outcomes import LABELS
from spanlore.instrumentation.history.sending import Sender
from spanlore.instrumentation.history.trajectory import Trajectory, trajectory_of
from spanlore.schemas import semconv

BAD_LINES_KEPT_MAX = 10_000
REMARKS_KEPT_MAX = 10_000
REASONS_KEPT_MAX = 20


@dataclass(slots=True)
class Named:
    """Where a name stands last, and the runs (trace ids) that have it."""

    file: str
    line: int
    trace_ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Report:
    """What an import did so far. ``duplicates`` counts lines that an earlier line equals.

    ``bad`` counts the lines that were not imported, of which ``bad_lines`` keeps the first;
    ``remarked`` what there is to say of lines that were, of which ``remarks`` keeps the first;
    ``named`` are the runs that have a ``run_id``, ``first_ns`` and ``last_ns`` when they began;
    ``reasons`` are the receiver's for what it rejected, each once; ``seconds`` is wall time.
    """

    runs: int = 0
    spans: int = 0
    judgements: int = 0
    duplicates: int = 0
    rejected_spans: int = 0
    rejected_judgements: int = 0
    reasons: list[str] = field(default_factory=list)
    named: dict[tuple[str, ...], Named] = field(default_factory=dict)
    first_ns: int = (1 << 63) - 1
    last_ns: int = 0
    remarked: int = 0
    remarks: list[Remark] = field(default_factory=list)
    bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, remark: Remark) -> None:
        """Keep what there is to say of a line, as long as there is room."""
        self.remarked += 1
        if len(self.remarks) < REMARKS_KEPT_MAX:
            self.remarks.append(remark)


def detect_format(path: Path) -> tuple[Format, str]:
    """Return the format of a file and the sign it was told by; raise OSError."""
    with closing(read_lines(path, on_bytes=_nobody)) as lines:
        for line in lines:
            if isinstance(line, BadLine):
                continue
            try:
                told = format_of(json_text.parse(line.text))
            except json_text.NotJson:
                continue
            if told is None:
                break
            return told[0], f'the first line has "{told[1]}"'
    return Format.OPENAI, "the first line has no run_id, outcome, task or agent"


def import_files(
    files: Sequence[tuple[Path, Format]],
    sender: Sender,
    *,
    report: Report,
    on_bytes: Callable[[int], None],
) -> None:
    """Send every run of the files, noting in ``report`` what was sent and what was not.

    Raise Unreachable or Refused (``report`` then holds what was sent before) and OSError for a
    file that cannot be read.
    """
    began = time.monotonic()
    try:
        for batch in _batches(files, report=report, on_bytes=on_bytes):
            rejected = sender.send(batch)
            report.runs += batch.runs
            report.spans += batch.spans
            report.judgements += batch.judgements
            report.rejected_spans += rejected.spans
            report.rejected_judgements += rejected.judgements
            new = (reason for reason in rejected.reasons if reason not in report.reasons)
            report.reasons = [*report.reasons, *new][:REASONS_KEPT_MAX]
    finally:
        report.seconds += time.monotonic() - began


def _batches(
    files: Sequence[tuple[Path, Format]], *, report: Report, on_bytes: Callable[[int], None]
) -> Iterator[Batch]:
    """Yield what the files hold: recordings as batches of whole runs, OTLP as it is."""
    recordings = [one for one in files if one[1] is not Format.OTLP_JSON]
    yield from batches(_runs(recordings, report=report, on_bytes=on_bytes))
    requests = Requests()
    for path in (path for path, file_format in files if file_format is Format.OTLP_JSON):
        for line in read_lines(path, on_bytes=on_bytes):
            batch = line if isinstance(line, BadLine) else requests.batch_of(line)
            if isinstance(batch, BadLine):
                _note_bad(report, batch)
            else:
                yield batch


def _runs(
    files: Sequence[tuple[Path, Format]], *, report: Report, on_bytes: Callable[[int], None]
) -> Iterator[Trajectory]:
    """Yield each different run of the files, noting in ``report`` the lines that are none.

    A run whose outcome an earlier line told otherwise comes again.
    """
    seen = _Seen(report)
    for line, run in _found(files, on_bytes):
        if isinstance(run, BadLine):
            _note_bad(report, run)
        elif seen.has(run):
            report.duplicates += 1
        else:
            for remark in (*seen.remarks(run), *_label_remarks(run)):
                report.note(Remark(*line, remark))
            seen.add(run, line)
            yield run


def _found(
    files: Sequence[tuple[Path, Format]], on_bytes: Callable[[int], None]
) -> Iterator[tuple[tuple[str, int], Trajectory | BadLine]]:
    """Yield (file, number of the line) with each run of the line, or what is wrong with it."""
    for path, file_format in files:
        for line in read_lines(path, on_bytes=on_bytes):
            if isinstance(line, BadLine):
                yield (line.file, line.line), line
                continue
            for run in runs_of(line, file_format):
                yield (line.file, line.number), run


@dataclass(slots=True)
class _Seen:
    """The runs of an import so far: the verdict told last of each; the report has their names."""

    report: Report
    verdicts: dict[bytes, bytes] = field(default_factory=dict)

    def has(self, run: Trajectory) -> bool:
        """Whether a line said all this of the run already, and none said otherwise since."""
        return self.verdicts.get(run.trace_id) == run.verdict

    def remarks(self, run: Trajectory) -> Iterator[str]:
        """Say how the run goes against an earlier line."""
        if run.trace_id in self.verdicts:
            yield "the same run as an earlier line, with another outcome: the later one stands"
        earlier = self.report.named.get(_name(run))
        if earlier is not None and run.trace_id.hex() not in earlier.trace_ids:
            yield other_content(run.run_id, f"stands in {earlier.file}:{earlier.line}")

    def add(self, run: Trajectory, line: tuple[str, int]) -> None:
        self.verdicts[run.trace_id] = run.verdict
        if run.run_id is None:
            return
        report = self.report
        named = report.named.setdefault(_name(run), Named(*line))
        named.file, named.line = line
        named.trace_ids.add(run.trace_id.hex())
        report.first_ns = min(report.first_ns, run.times.start_ns)
        report.last_ns = max(report.last_ns, run.times.start_ns)


def other_content(run_id: str | None, where: str) -> str:
    """Say that a name is another run's, that stands or was imported where."""
    return (
        f'the run_id "{run_id}" {where} with other content, so these are two runs; give each its '
        "own run_id, or import only the recording that is whole"
    )


def _name(run: Trajectory) -> tuple[str, ...]:
    """Return what a recording means by one run (``schemas.runs.RunName``): trials are others."""
    trial = "" if run.trial is None else str(run.trial)
    return run.tenant_id or "", run.task_id or "", run.run_id or "", trial


def _label_remarks(run: Trajectory) -> Iterator[str]:
    if run.unknown_label is not None:
        yield (
            f'the outcome "{run.unknown_label}" is not known, so the run is not judged (it keeps '
            f"the word as {semconv.IMPORT_EXTRA_PREFIX}outcome.label); write one of "
            f"{', '.join(LABELS)}, or a score from 0 to 1"
        )


def _note_bad(report: Report, line: BadLine) -> None:
    report.bad += 1
    if len(report.bad_lines) < BAD_LINES_KEPT_MAX:
        report.bad_lines.append(line)


def runs_of(line: Line, file_format: Format) -> Iterator[Trajectory | BadLine]:
    """Yield what a line holds: usually one run, or what is wrong with it."""
    try:
        value = json_text.parse(line.text)
    except json_text.NotJson as error:
        yield BadLine(line.file, line.number, f"{error}; correct or remove the line")
        return
    for where, member in split_runs(value):
        try:
            run = trajectory_of(member, trajectory_object(member, file_format))
            check_size(run)
        except NotImportable as error:
            yield BadLine(line.file, line.number, f"{where}{error}")
        except RecursionError:
            yield BadLine(line.file, line.number, f"{where}nested too deeply; flatten the values")
        else:
            yield run


def _nobody(_used: int) -> None:
    """Hear of no progress."""
