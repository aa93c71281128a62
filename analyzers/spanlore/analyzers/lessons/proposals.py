"""The lessons a round of learning proposes, beside those that stand already."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from spanlore.analyzers.lessons.harness_advice import advice_lessons
from spanlore.analyzers.lessons.harness_lesson import harness_lessons
from spanlore.analyzers.lessons.memory_lesson import memory_lessons, replaced
from spanlore.analyzers.lessons.skill_lesson import skill_lessons
from spanlore.analyzers.lessons.tenant_config_lesson import is_tenant_config, tenant_config_lessons
from spanlore.analyzers.lessons.triage import layer_of
from spanlore.schemas.lesson_state import UNDECIDED
from spanlore.schemas.types import Finding, Lesson

# Nobody's decision on a finding: what was superseded or withdrawn was never decided on.
_OPEN = (*UNDECIDED, "superseded", "withdrawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round of learning has to say about lessons.

    ``decided`` stand already and answer what was found; ``proposed`` are new, or worded anew;
    ``superseded`` are the ids of undecided lessons that wider ones among them replace.
    """

    decided: tuple[Lesson, ...]
    proposed: tuple[Lesson, ...]
    superseded: tuple[str, ...]


def propose(standing: Mapping[str, Lesson], found: Sequence[Finding], repo: Path | None) -> Round:
    """Return the lessons of the confirmed findings, given those that stand (by id).

    Only a lesson that nobody has decided on is worded anew, and never loses its patch because
    this time no repository was given. What somebody decided on answers its findings. Raises
    NotADirectoryError when ``repo`` is no folder.
    """
    confirmed = {one.finding_id: one for one in found if one.confirmed}
    decided = [
        lesson
        for lesson in standing.values()
        if lesson.state not in _OPEN
        and "promoted_from" not in lesson.content
        and confirmed.keys() & lesson.findings
    ]
    answered = {(finding_id, one.layer) for one in decided for finding_id in one.findings}
    unanswered = [one for one in confirmed.values() if not _is_answered(one, answered)]
    fresh = _lessons_of(unanswered, repo)
    kept = [_kept(lesson, list(standing.values())) for lesson in fresh]
    proposed = list({lesson.lesson_id: lesson for lesson in kept}.values())
    stands = [*decided, *proposed]
    gone = [
        lesson.lesson_id
        for lesson in standing.values()
        if lesson.state in UNDECIDED
        and "drafted_by" not in lesson.content  # another way to answer the same finding
        and _is_within(lesson, stands)
    ]
    return Round(
        decided=tuple(decided),
        proposed=tuple(proposed),
        superseded=tuple(dict.fromkeys([*gone, *replaced(stands, standing)])),
    )


def _lessons_of(findings: Sequence[Finding], repo: Path | None) -> list[Lesson]:
    """Return the lessons of confirmed findings; a memory only where memory may still mend it."""
    in_context = [one for one in findings if layer_of(one) in (None, "context")]
    return [
        *memory_lessons(one for one in in_context if not is_tenant_config(one)),
        *tenant_config_lessons(in_context),
        *skill_lessons(in_context),
        *harness_lessons(findings, repo),
        *advice_lessons(findings),
    ]


def _is_answered(finding: Finding, answered: AbstractSet[tuple[str, str]]) -> bool:
    """Whether somebody decided on a lesson for the finding, of the layer it goes to now."""
    layer = layer_of(finding)
    if layer in ("context", "harness"):
        return (finding.finding_id, layer) in answered
    return any(finding.finding_id == finding_id for finding_id, _ in answered)


def _kept(fresh: Lesson, standing: Sequence[Lesson]) -> Lesson:
    """Return the standing lesson that the fresh one must not replace, else the fresh one."""
    for known in standing:
        if known.state not in UNDECIDED:
            continue
        if known.lesson_id == fresh.lesson_id:
            held = (known.state == "quarantined") != (fresh.state == "quarantined")
            if held or (known.patch is not None and fresh.patch is None):
                return _as_proposed(known)
        elif (
            known.patch is not None
            and fresh.patch is None
            and {*fresh.findings} < {*known.findings}
        ):
            return _as_proposed(known)
    return fresh


def _as_proposed(lesson: Lesson) -> Lesson:
    state = lesson.state if lesson.state == "quarantined" else "proposed"
    return replace(lesson, state=state, evaluations=(), approvals=())


def _is_within(lesson: Lesson, lessons: Sequence[Lesson]) -> bool:
    """Whether another lesson answers everything that this one does."""
    return all(one.lesson_id != lesson.lesson_id for one in lessons) and any(
        {*lesson.findings} <= {*one.findings} for one in lessons if one.layer == lesson.layer
    )
