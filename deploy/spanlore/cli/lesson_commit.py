"""What the commit of a harness lesson says: the rule, what it rests on, and who approved it."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from spanlore.cli.output import one_line
from spanlore.cli.show_findings import effect_text, seen_text
from spanlore.cli.show_lessons import evaluation_text
from spanlore.schemas.types import Effect, Finding, Lesson

__all__ = ["branch_name", "commit_message"]

_WIDTH = 72
_SLUG_CHARACTERS_MAX = 40
_ID_SHOWN = 8
_TRACES_MAX = 5


def branch_name(lesson: Lesson) -> str:
    """Return ``spanlore/`` with words of the title and the beginning of the lesson's id."""
    words = re.findall(r"[a-z0-9]+", lesson.title.lower())
    slug = "-".join(words)[:_SLUG_CHARACTERS_MAX].strip("-") or lesson.kind.replace("_", "-")
    return f"spanlore/{slug}-{lesson.lesson_id[:_ID_SHOWN]}"


def commit_message(lesson: Lesson, findings: Sequence[Finding], effect: Effect | None) -> str:
    """Return the message: a subject, paragraphs of at most 72 columns, and trailers.

    Everything that comes from traces is put on one line before it is wrapped, so that nothing in
    it can pass for a trailer: those stand alone in the last paragraph.
    """
    subject = textwrap.shorten(one_line(lesson.title), _WIDTH, placeholder=" …")
    approver = one_line(str(lesson.approvals[-1]["by"]))
    paragraphs = [
        subject,
        *(_wrapped(rule) for rule in _rules(lesson)),
        *("\n".join(_evidence(finding)) for finding in findings),
        _wrapped(f"Evaluation: {evaluation_text(lesson.evaluations[-1])}"),
        *([_wrapped(f"Measured effect: {effect.verdict}: {effect.reason}")] if effect else []),
        _wrapped(f"Approved by {approver} at {one_line(str(lesson.approvals[-1]['at']))}."),
        f"Spanlore-Lesson: {lesson.lesson_id}\nApproved-by: {approver}",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _rules(lesson: Lesson) -> list[str]:
    """Return what the patch adds, in sentences; the body's first paragraph where it is not data."""
    from spanlore.analyzers.evaluation.lesson_part import parts_of

    says = [str(one) for part in parts_of(lesson) for one in part["says"]]
    return says or lesson.body.split("\n\n")[:1]


def _evidence(finding: Finding) -> Iterator[str]:
    yield _wrapped(
        f"Evidence: {one_line(finding.title)}: {seen_text(finding)}; effect {effect_text(finding)}."
    )
    yield _traces("Runs for it", finding.evidence)
    yield _traces("Runs against it", finding.counter_evidence)


def _traces(what: str, trace_ids: Sequence[str]) -> str:
    more = len(trace_ids) - _TRACES_MAX
    shown = [*trace_ids[:_TRACES_MAX], *([f"and {more} more"] if more > 0 else [])]
    return "\n".join([f"{what}:", *(f"  {one_line(one)}" for one in shown or ["none"])])


def _wrapped(text: str) -> str:
    return textwrap.fill(one_line(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
