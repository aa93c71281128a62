"""What becomes of the memories that stand, given what is known now: whole lessons, never words.

Pure: from lessons, findings and usage to a list of operations. A lesson is added, superseded by
another that stands, withdrawn, or expires; no text is ever written anew, for a memory that is
rewritten again and again loses what it said (ACE, arXiv 2510.04618). What is not for a program to
decide is a note to a person. In this order, each lesson being spoken of once:

* validity: the time of a lesson is over (``valid_until``);
* decay: what an undecided one rests on is confirmed no more by an analyzer that counted all runs,
  a finding says that it is outdated (``stale_memory``), or nobody was given it for long;
* duplicates: the same slot and value, or the same text but for a tenth of it;
* contradiction: the same slot in the same place with another value, at overlapping times. The
  newer one that is better supported stands; where that is not so clear, both stay, with a note.

What is given to agents goes into quarantine, whoever approved it, when traces of its tenant were
revoked since and it is confirmed no more without them; so does what was promoted from it.

Undecided lessons end so, and of delivered ones those that policy approved for their user; what a
person approved ends by its time, by another lesson that is delivered in its place, or by a person.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from scipy import stats

from spanlore.analyzers.lessons.lesson_note import Note
from spanlore.analyzers.lessons.lesson_usage import Usage
from spanlore.analyzers.lessons.memory_lesson import is_wider, place_of, says_the_same
from spanlore.analyzers.lessons.text_likeness import grams, likeness
from spanlore.schemas.lesson_state import (
    DELIVERED,
    UNDECIDED,
    Ending,
    EndKind,
    approved_by_policy,
    content_hash,
    promoted_from,
)
from spanlore.schemas.lesson_validity import validity_of
from spanlore.schemas.types import Finding, Lesson

UNUSED_DAYS_MAX = 90
DUPLICATE_LIKENESS_MIN = 0.9
BETTER_P_MAX = 0.05
# What findings about a lesson say against it (``stale_memory``); that it is changed more often than
# it was says only that it should be watched.
_OUTDATED = frozenset(
    {"memory_mostly_contradicted", "memory_harmful", "memory_outlived", "memory_unused"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that consolidation knows.

    ``lessons`` are all that stand, by id. ``findings`` are those of this analysis by id, and
    ``analyzer_of`` says of each finding that a lesson names which analyzer made it;
    ``complete`` are the analyzers that counted all runs this time, without a failure. ``since``
    is when each lesson was proposed first, ``revoked`` when a trace of each tenant was last
    revoked, UTC.
    """

    lessons: Mapping[str, Lesson]
    findings: Mapping[str, Finding]
    now: datetime
    since: Mapping[str, datetime] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    analyzer_of: Mapping[str, str] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    revoked: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidated:
    """What is to happen to standing lessons, and what a person should look at."""

    endings: tuple[Ending, ...] = ()
    notes: tuple[Note, ...] = ()


def consolidate(known: Known) -> Consolidated:
    """Return what becomes of the context lessons that stand; nothing where all is well."""
    standing = {
        lesson_id: lesson
        for lesson_id, lesson in sorted(known.lessons.items())
        if lesson.layer == "context"
        and lesson.state in DELIVERED | UNDECIDED
        and lesson.state != "quarantined"
    }
    endings: list[Ending] = []
    notes: list[Note] = []
    for said in (
        *(_of_time(known, one) for one in standing.values()),
        *_of_revocation(known, standing),
        *(_of_decay(known, one) for one in standing.values()),
        *_pairs(known, standing),
    ):
        gone = {one.lesson_id for one in endings}
        match said:
            case Ending() if not gone & {said.lesson_id, said.successor}:
                endings.append(said)
            case Note() if not gone & {said.lesson_id, said.other_id}:
                notes.append(said)
    gone = {one.lesson_id for one in endings}
    return Consolidated(
        endings=tuple(endings),
        notes=tuple(
            one for one in dict.fromkeys(notes) if not gone & {one.lesson_id, one.other_id}
        ),
    )


def _of_time(known: Known, lesson: Lesson) -> Ending | None:
    if not validity_of(lesson.content).is_over(known.now):
        return None
    said = str(lesson.content.get("valid_until"))
    return _ending(lesson, "expire", f"it held until {said}")


def _of_revocation(known: Known, standing: Mapping[str, Lesson]) -> Iterator[Ending]:
    """Quarantine what is delivered and rested on revoked traces, and what was promoted from it."""
    reason = "traces were revoked since its approval, and without them it is confirmed no more"
    fallen = {
        lesson_id
        for lesson_id, lesson in standing.items()
        if lesson.state in DELIVERED
        and _revoked_since(known, lesson)
        and _is_confirmed_no_more(known, lesson)
    }
    for lesson_id in sorted(fallen):
        yield _ending(standing[lesson_id], "quarantine", reason)
    for lesson_id in sorted(promoted_from(standing, fallen)):
        reason = "a lesson that it was promoted from is in quarantine: traces were revoked"
        yield _ending(standing[lesson_id], "quarantine", reason)


def _revoked_since(known: Known, lesson: Lesson) -> bool:
    """Whether a trace of the lesson's tenant was revoked since it was approved."""
    approved = _approved_at(lesson)
    times = [at for tenant, at in known.revoked.items() if lesson.tenant in ("", tenant)]
    return approved is not None and any(at > approved for at in times)


def _of_decay(known: Known, lesson: Lesson) -> Ending | Note | None:
    reason = _outdated(known, lesson) or _vanished(known, lesson) or _unused(known, lesson)
    if reason is None:
        return None
    if _is_ours(lesson):
        return _ending(lesson, "withdraw", reason)
    return Note(lesson_id=lesson.lesson_id, kind="retire", reason=reason)


def _outdated(known: Known, lesson: Lesson) -> str | None:
    """Return what a finding about the lesson itself says against it."""
    for finding in known.findings.values():
        is_about = finding.detail.get("lesson_id") == lesson.lesson_id
        if is_about and finding.confirmed and finding.detail.get("kind") in _OUTDATED:
            return f"finding {finding.finding_id} says that it is outdated"
    return None


def _vanished(known: Known, lesson: Lesson) -> str | None:
    """Say that none of its findings is confirmed any more, where all of them were looked for.

    Not of what is delivered: a memory that works leaves nothing to be found.
    """
    if lesson.state in DELIVERED or not _is_confirmed_no_more(known, lesson):
        return None
    return "what it rests on is confirmed no more, counted over all runs"


def _is_confirmed_no_more(known: Known, lesson: Lesson) -> bool:
    found = [known.findings.get(finding_id) for finding_id in lesson.findings]
    return (
        bool(found)
        and all(known.analyzer_of.get(one) in known.complete for one in lesson.findings)
        and not any(one is not None and one.confirmed for one in found)
    )


def _unused(known: Known, lesson: Lesson) -> str | None:
    if lesson.state not in DELIVERED:
        return None
    usage = known.usage.get(lesson.lesson_id)
    times = [known.since.get(lesson.lesson_id), _approved_at(lesson)]
    last = max((one for one in (*times, usage and usage.last_given) if one), default=None)
    if last is None or known.now - last < timedelta(days=UNUSED_DAYS_MAX):
        return None
    return f"no run was given it for {UNUSED_DAYS_MAX} days"


def _pairs(known: Known, standing: Mapping[str, Lesson]) -> Iterator[Ending | Note]:
    """Compare what is for the same place, then what is for fewer with what is for more."""
    for lessons in _grouped(standing.values(), _subject).values():
        for here in _grouped(lessons, place_of).values():
            for one, other in combinations(here, 2):
                if _say_the_same(one, other):
                    yield _duplicate(known, one, other)
                elif "slot" in one.content:
                    yield from _contradiction(known, one, other)
        wide = [one for one in lessons if one.scope != "user" and one.state in DELIVERED]
        for narrow in (one for one in lessons if one.state in UNDECIDED):
            yield from _spoken_for(narrow, wide)


def _duplicate(known: Known, one: Lesson, other: Lesson) -> Ending | Note:
    """Keep one of two that say the same in the same place."""
    kept, gone = sorted((one, other), key=lambda lesson: _seniority(known, lesson))
    reason = f"lesson {kept.lesson_id} says the same"
    if _is_ours(gone):
        return _ending(gone, "supersede", reason, successor=kept)
    return Note(lesson_id=gone.lesson_id, kind="retire", reason=reason, other_id=kept.lesson_id)


def _spoken_for(narrow: Lesson, wide: Sequence[Lesson]) -> Iterator[Ending]:
    """End an undecided lesson that a delivered one says to more users.

    Never a delivered one: the wider is held out from some users, the narrower was not. All that
    do are named, as some may be ending themselves.
    """
    for one in wide:
        if is_wider(one, narrow) and _say_the_same(one, narrow):
            reason = f"lesson {one.lesson_id} says the same to more users"
            yield _ending(narrow, "supersede", reason, successor=one)


def _contradiction(known: Known, one: Lesson, other: Lesson) -> Iterator[Ending | Note]:
    if not validity_of(one.content).overlaps(validity_of(other.content)):
        return
    old, new = sorted((one, other), key=lambda lesson: (_since(known, lesson), lesson.lesson_id))
    before, after = _support(known, old), _support(known, new)
    better = _since(known, old) < _since(known, new) and _is_better(after, before)
    counts = f"seen {after} times, the other {before}"
    takes_place = old.state in UNDECIDED or new.state in DELIVERED
    if takes_place and _may_end(old, new) and (better or _decided_later(old, new)):
        reason = f"lesson {new.lesson_id} says otherwise, is newer and better supported ({counts})"
        if not better:
            reason = f"lesson {new.lesson_id} says otherwise, and a person approved it later"
        yield _ending(old, "supersede", reason, successor=new)
        return
    yield Note(
        lesson_id=new.lesson_id,
        kind="conflict",
        other_id=old.lesson_id,
        reason=f"lesson {old.lesson_id} says otherwise for the same slot ({counts})",
    )


def _may_end(old: Lesson, new: Lesson) -> bool:
    return _is_ours(old) or _decided_later(old, new)


def _decided_later(old: Lesson, new: Lesson) -> bool:
    """Whether a person approved the new one while the old one was delivered already."""
    if old.state not in DELIVERED or new.state not in DELIVERED or approved_by_policy(new):
        return False
    before, after = _approved_at(old), _approved_at(new)
    return before is not None and after is not None and before < after


def _is_ours(lesson: Lesson) -> bool:
    """Whether a round of learning may end it: nobody decided on it, or only policy did."""
    if lesson.state in UNDECIDED:
        return True
    return lesson.scope == "user" and approved_by_policy(lesson)


def _support(known: Known, lesson: Lesson) -> int:
    """Return how often what the lesson says was seen, in findings that are confirmed now."""
    found = [known.findings[one] for one in lesson.findings if one in known.findings]
    return max((one.k for one in found if one.confirmed), default=0)


def _is_better(after: int, before: int) -> bool:
    """Whether it was seen more often than the other, by more than chance (sign test)."""
    if after <= before:
        return False
    test = stats.binomtest(after, after + before, alternative="greater")
    return bool(test.pvalue <= BETTER_P_MAX)


def _seniority(known: Known, lesson: Lesson) -> tuple[bool, datetime, str]:
    """Order duplicates: what is delivered first, then what was proposed first."""
    return lesson.state not in DELIVERED, _since(known, lesson), lesson.lesson_id


def _since(known: Known, lesson: Lesson) -> datetime:
    return known.since.get(lesson.lesson_id, known.now)


def _approved_at(lesson: Lesson) -> datetime | None:
    if not lesson.approvals:
        return None
    return datetime.fromisoformat(str(lesson.approvals[-1]["at"]))


def _subject(lesson: Lesson) -> tuple[str, ...]:
    """Return what a lesson is about. Lessons of two tenants are never about the same."""
    slot = lesson.content.get("slot")
    if isinstance(slot, Mapping):
        return ("slot", *(str(slot.get(name, "")) for name in ("tool", "field", "part")))
    return ("text", lesson.tenant, lesson.kind)


def _say_the_same(one: Lesson, other: Lesson) -> bool:
    if "slot" in one.content:
        return says_the_same(one, other)
    return likeness(grams(one.body), grams(other.body)) >= DUPLICATE_LIKENESS_MIN


def _grouped(
    lessons: Iterable[Lesson], key: Callable[[Lesson], tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[Lesson]]:
    groups: dict[tuple[Any, ...], list[Lesson]] = {}
    for lesson in lessons:
        groups.setdefault(key(lesson), []).append(lesson)
    return groups


def _ending(
    lesson: Lesson, kind: EndKind, reason: str, *, successor: Lesson | None = None
) -> Ending:
    return Ending(
        lesson_id=lesson.lesson_id,
        kind=kind,
        state=lesson.state,
        content_hash=content_hash(lesson),
        reason=reason,
        successor=successor.lesson_id if successor else "",
    )
