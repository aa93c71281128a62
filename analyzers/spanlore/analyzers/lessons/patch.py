"""A change of one file as a unified diff that ``git apply`` takes."""

import difflib
from collections.abc import Iterator

CONTEXT_LINES_MAX = 3


def unified_diff(
    path: str, before: str, after: str, *, context_lines: int = CONTEXT_LINES_MAX
) -> str:
    r"""Return the diff of a file at a repository-relative path; "" when nothing changes.

    Lines end where the file's ``\n`` stand; carriage returns stay part of their line, and a
    missing last line end is marked the way git marks it.
    """
    if before == after:
        return ""
    lines = difflib.unified_diff(
        _lines(before),
        _lines(after),
        fromfile=f"a/{path}",
        tofile=f"b/{path}",
        n=context_lines,
    )
    return f"diff --git a/{path} b/{path}\n" + "".join(_ended(lines))


def _lines(text: str) -> list[str]:
    pieces = text.split("\n")
    lines = [f"{piece}\n" for piece in pieces[:-1]]
    return lines + ([pieces[-1]] if pieces[-1] else [])


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
