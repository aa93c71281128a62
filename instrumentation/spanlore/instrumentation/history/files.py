"""Files of recorded runs, as numbered lines of text."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spanlore.instrumentation.history import json_text

LINE_BYTES_MAX = 64 * 1024 * 1024
DOCUMENT_BYTES_MAX = 256 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, or the whole of a file that is a single JSON document."""

    file: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not imported: what is wrong with it and what to do."""

    file: str
    line: int
    error: str

    def __str__(self) -> str:
        """Render as compilers do: file:line: what is wrong."""
        return f"{self.file}:{self.line}: {self.error}"


@dataclass(frozen=True, slots=True)
class Remark:
    """A line that was imported, and what its writer should know of it."""

    file: str
    line: int
    remark: str

    def __str__(self) -> str:
        """Render as compilers do: file:line: what there is to know."""
        return f"{self.file}:{self.line}: {self.remark}"


def read_lines(
    path: Path, *, on_bytes: Callable[[int], None]
) -> Generator[Line | BadLine, None, None]:
    """Yield the lines of a file that are not blank; raise OSError where it cannot be read.

    ``on_bytes`` is told how many bytes of the file each step has used up.
    """
    if _is_one_document(path):
        raw = path.read_bytes()
        yield _line(path, raw, number=1)
        on_bytes(len(raw))
        return
    with path.open("rb") as file:
        for number, raw, used in _raw_lines(file):
            if used > LINE_BYTES_MAX:
                yield BadLine(
                    str(path),
                    number,
                    f"the line is longer than {LINE_BYTES_MAX >> 20} MiB; split the run",
                )
            elif raw.strip():
                yield _line(path, raw, number=number)
            on_bytes(used)


def _raw_lines(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Yield number, bytes and length of each line; of a line that is too long only its length."""
    number = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        used = len(raw)
        rest = raw
        while used > LINE_BYTES_MAX and rest and not rest.endswith(b"\n"):
            rest = file.readline(LINE_BYTES_MAX)
            used += len(rest)
        yield number, raw, used


def _line(path: Path, raw: bytes, *, number: int) -> Line | BadLine:
    try:
        return Line(str(path), number, raw.removeprefix(_BOM).decode())
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        return BadLine(str(path), number, problem)


def _is_one_document(path: Path) -> bool:
    """Say whether the file is one JSON value over several lines rather than one value a line."""
    with path.open("rb") as file:
        first = next((raw for _, raw, _ in _raw_lines(file) if raw.strip()), b"")
    start = first.removeprefix(_BOM).lstrip()[:1]
    if start not in (b"[", b"{") or _parses(first):
        return False
    return path.stat().st_size <= DOCUMENT_BYTES_MAX and _parses(path.read_bytes())


def _parses(raw: bytes) -> bool:
    try:
        json_text.parse(raw.removeprefix(_BOM).decode())
    except (json_text.NotJson, UnicodeDecodeError):
        return False
    return True
