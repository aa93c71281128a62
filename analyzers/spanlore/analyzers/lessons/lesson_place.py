"""The places in tool files where findings are answered, and the diff of each.

A finding is answered by a sentence in a description, and where a constraint of the schema would
have told of the fault, by that as well. What is answered on one line of a file, or on the next,
must be one diff, so that all diffs of a round apply one after another, in any order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spanlore.analyzers.lessons.json_text import (
    Edit,
    adding_first,
    adding_items,
    adding_last,
    appending,
    edited,
    replacing,
    spans_of,
)
from spanlore.analyzers.lessons.patch import CONTEXT_LINES_MAX, unified_diff
from spanlore.analyzers.lessons.schema_constraint import Constraint, constraint_of, lacking
from spanlore.analyzers.lessons.tool_file import (
    Description,
    SchemaPlace,
    ToolFile,
    description_of,
    schema_place,
    tool_files,
)
from spanlore.analyzers.lessons.tool_rule import argument_of, rule_of
from spanlore.schemas.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A constraint that the schema at a place lacks, and what of it (``lacking``)."""

    place: SchemaPlace
    constraint: Constraint
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finding, the sentence that answers it, and the description it belongs to (if any).

    ``constraint`` is what the finding speaks for, ``addition`` what a file lacks of it.
    """

    finding: Finding
    rule: str
    target: Description | None
    constraint: Constraint | None = None
    addition: Addition | None = None

    @property
    def tool(self) -> str:
        """The tool that the finding is about."""
        return str(self.finding.detail["tool"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one diff answers, in the findings' order, and that diff ("" where there is none)."""

    answers: tuple[Answer, ...]
    patch: str


def answer(finding: Finding, repo: Path | None) -> Answer:
    """Answer a finding in the first file of a repository that describes the tool.

    Raises NotADirectoryError when ``repo`` is not a folder.
    """
    tool, argument = str(finding.detail["tool"]), argument_of(finding.detail)
    alone = Answer(
        finding=finding,
        rule=rule_of(finding.detail),
        target=None,
        constraint=constraint_of(finding.detail),
    )
    for file in tool_files(repo, tool) if repo is not None else ():
        description = description_of(file, tool, argument)
        if description is not None:
            addition = _addition(file, tool, alone.constraint)
            return replace(alone, target=description, addition=addition)
    return alone


def places(answers: Sequence[Answer]) -> Iterator[Place]:
    """Put together the answers that one diff must give.

    Without a file there is one place for each argument of a tool.
    """
    files: dict[str, list[Answer]] = {}
    unplaced: dict[tuple[str, str], list[Answer]] = {}
    for one in answers:
        if one.target:
            files.setdefault(one.target.file.path, []).append(one)
        else:
            argument = argument_of(one.finding.detail).split("[]", maxsplit=1)[0]
            unplaced.setdefault((one.tool, argument), []).append(one)
    for in_file in files.values():
        yield from _places_in_file(in_file)
    for group in unplaced.values():
        yield Place(answers=tuple(group), patch="")


def _places_in_file(answers: Sequence[Answer]) -> Iterator[Place]:
    """Write additions on lines of their own, unless that could lead a diff astray.

    A line that one diff adds moves what comes after it, and git looks for a moved place by the
    lines around it: then no place may be taken for another.
    """
    drawn = list(_drawn(answers, own_line=True))
    added = sum(after.count("\n") - _text(group).count("\n") for group, after, _ in drawn)
    if any(_is_ambiguous(_text(group), after, lines, moved=added) for group, after, lines in drawn):
        drawn = list(_drawn(answers, own_line=False))
    for group, after, lines in drawn:
        file = _file(group)
        patch = unified_diff(file.path, file.text, after, context_lines=lines)
        yield Place(answers=tuple(group), patch=patch)


def _drawn(answers: Sequence[Answer], *, own_line: bool) -> Iterator[tuple[list[Answer], str, int]]:
    """Yield (answers, the file's text after them, lines of context that others leave alone)."""
    text = _text(answers)
    touched = [_lines(text, _edits([one], own_line=own_line), one) for one in answers]
    groups = _near(touched)
    for members in groups:
        lines = set().union(*(touched[member] for member in members))
        others = set().union(*touched) - lines
        gap = min((abs(one - line) for one in others for line in lines), default=None)
        context = min(gap - 1 if gap else CONTEXT_LINES_MAX, CONTEXT_LINES_MAX)
        group = [answers[member] for member in members]
        yield group, edited(text, _edits(group, own_line=own_line)), context


def _near(touched: Sequence[set[int]]) -> list[list[int]]:
    """Return the positions of those that share a line or have lines next to each other."""
    groups: list[list[int]] = []
    for position, lines in enumerate(touched):
        near = {line + step for line in lines for step in (-1, 0, 1)}
        same = [group for group in groups if any(touched[one] & near for one in group)]
        groups = [group for group in groups if group not in same]
        groups.append(sorted([position, *(one for group in same for one in group)]))
    return groups


def _edits(answers: Sequence[Answer], *, own_line: bool) -> list[Edit]:
    """Return the edits of one file: each sentence and each constraint once."""
    text = _text(answers)
    sentences: dict[tuple[int, int], tuple[Description, str]] = {}
    for one in answers:
        if one.target is None:
            continue
        span = one.target.span
        _, says = sentences.get((span.begin, span.end), (one.target, one.target.says))
        if one.rule not in says:
            says += _joint(says) + one.rule
        sentences[span.begin, span.end] = (one.target, says)
    edits = [
        appending(text, target.span, says[len(target.says) :])
        for target, says in sentences.values()
        if says != target.says
    ]
    return [*edits, *_schema_edits(text, answers, own_line=own_line)]


def _schema_edits(text: str, answers: Sequence[Answer], *, own_line: bool) -> Iterator[Edit]:
    spans = spans_of(text)
    for one in _merged(answer.addition for answer in answers if answer.addition):
        path, keyword = one.place.path, one.constraint.keyword
        there = spans.get((*path, keyword))
        if keyword != "required" and there is not None:
            yield replacing(text, there, one.value)
        elif keyword != "required":
            yield adding_first(text, spans[path], (keyword, one.value), own_line=own_line)
        elif there is not None:
            yield adding_items(text, there, one.value, own_line=own_line)
        else:
            yield adding_last(text, spans[path], (keyword, one.value), own_line=own_line)


def _merged(additions: Iterable[Addition]) -> Iterable[Addition]:
    """Say each keyword of a schema once: all its required keys, else what was asked first."""
    merged: dict[tuple[Any, ...], Addition] = {}
    for one in additions:
        place = (one.place.path, one.constraint.keyword)
        known = merged.setdefault(place, one)
        if one.constraint.keyword == "required":
            merged[place] = replace(one, value=list(dict.fromkeys([*known.value, *one.value])))
    return merged.values()


def _addition(file: ToolFile, tool: str, constraint: Constraint | None) -> Addition | None:
    place = schema_place(file, tool, constraint.path) if constraint else None
    if place is None or constraint is None:
        return None
    value = lacking(place.schema, constraint)
    if value is None:
        return None
    if constraint.keyword == "required":
        known = [key for key in constraint.value if key in place.schema["properties"]]
        constraint = replace(constraint, value=known)
    return Addition(place=place, constraint=constraint, value=value)


def _lines(text: str, edits: Iterable[Edit], one: Answer) -> set[int]:
    """Return the lines that an answer changes, and that of its description in any case."""
    ends = [one.target.span.begin] if one.target else []
    ends += [place for edit in edits for place in (edit.begin, edit.end)]
    return {text.count("\n", 0, place) for place in ends}


def _is_ambiguous(before: str, after: str, context: int, *, moved: int) -> bool:
    """Whether a diff's old lines stand again so near that a moved place could be taken for it."""
    diff = unified_diff("", before, after, context_lines=context).split("\n")
    lines = before.split("\n")
    for hunk in _hunks(diff):
        found = [at for at in range(len(lines)) if lines[at : at + len(hunk)] == hunk]
        near = (other - at for at in found for other in found if other > at)
        if any(distance <= 2 * moved for distance in near):
            return True
    return False


def _hunks(diff: Sequence[str]) -> Iterator[list[str]]:
    """Yield the old lines of each hunk of a diff."""
    old: list[str] | None = None
    for line in diff:
        if line.startswith("@@"):
            if old is not None:
                yield old
            old = []
        elif old is not None and line[:1] in (" ", "-"):
            old.append(line[1:])
    if old is not None:
        yield old


def _file(answers: Sequence[Answer]) -> ToolFile:
    return next(one.target.file for one in answers if one.target)


def _text(answers: Sequence[Answer]) -> str:
    return _file(answers).text


def _joint(says: str) -> str:
    if not says or says[-1].isspace():
        return ""
    return " " if says[-1] in ".!?:;" else ". "
