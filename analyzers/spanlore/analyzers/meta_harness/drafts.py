"""A model's drafts: what may become a proposed lesson, and why the rest may not."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spanlore.analyzers.lessons.patch import unified_diff
from spanlore.analyzers.meta_harness.question import SourceFile
from spanlore.analyzers.runs.quoted_text import plain, refusal
from spanlore.schemas.types import Finding, Lesson

KIND = "drafted_change"
EVIDENCE_MAX = 20
TITLE_CHARS_MAX = 160
_ID_HEX_DIGITS = 32
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Small numbers are words of a sentence ("one of 2 tools"), not claims.
_PLAIN_NUMBER_MAX = 3


class Unfit(ValueError):
    """A draft that becomes no lesson; the message says why."""


def lesson_of(
    draft: Mapping[str, Any],
    confirmed: Mapping[str, Finding],
    files: Sequence[SourceFile],
    *,
    by: str,
) -> Lesson:
    """Return the lesson of a draft. ``confirmed`` are the findings it may cite, by id.

    It is a proposal of the harness layer with no gate: a person has to judge it. Raises Unfit.
    """
    findings = _cited(draft, confirmed)
    _need_fit_text(draft, findings)
    file, after = _changed(draft, files)
    ids = tuple(one.finding_id for one in findings)
    traces = dict.fromkeys(trace for one in findings for trace in one.evidence)
    return Lesson(
        lesson_id=_lesson_id(ids, draft),
        layer="harness",
        scope="global",
        scope_key="",
        kind=KIND,
        title=plain(str(draft["title"]), chars_max=TITLE_CHARS_MAX),
        body=f"{draft['body'].strip()}\n\nDrafted by {by}. No past run can tell what it would do: "
        "judge it with your own evaluation.",
        patch=unified_diff(file.path, file.text, after) if file else None,
        base_path=file.path if file else None,
        base_hash=file.sha256 if file else None,
        findings=ids,
        evidence=tuple(traces)[:EVIDENCE_MAX],
        content={"drafted_by": by},
    )


def _cited(draft: Mapping[str, Any], confirmed: Mapping[str, Finding]) -> list[Finding]:
    unknown = [one for one in draft["findings"] if one not in confirmed]
    if unknown:
        raise Unfit(f"it cites {plain(unknown[0])!r}, which is no confirmed finding")
    return [confirmed[one] for one in dict.fromkeys(draft["findings"])]


def _need_fit_text(draft: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    for name in ("title", "body", "replace"):
        text = str(draft[name])
        if _CONTROL.search(text):
            raise Unfit(f"its {name} holds control characters")
        # Its own file may say whatever it said before.
        said = text if name != "replace" else _added(str(draft["find"]), text)
        found = refusal(said.lower())
        if found is not None:
            raise Unfit(f"its {name} holds {found}")
    known = set(_numbers(json.dumps([_numbers_of(one) for one in findings])))
    for number in _numbers(f"{draft['title']} {draft['body']}"):
        if number > _PLAIN_NUMBER_MAX and not any(_same(number, one) for one in known):
            raise Unfit(f"it says {number:g}, which is in none of the findings it cites")


def _added(before: str, after: str) -> str:
    """Return the lines of a replacement that the passage before did not hold."""
    held = set(before.splitlines())
    return "\n".join(line for line in after.splitlines() if line not in held)


def _changed(
    draft: Mapping[str, Any], files: Sequence[SourceFile]
) -> tuple[SourceFile | None, str]:
    if not draft["file"]:
        return None, ""
    file = next((one for one in files if one.path == draft["file"]), None)
    if file is None:
        raise Unfit(f"it changes {plain(draft['file'])!r}, which is none of the files shown")
    if not draft["find"] or file.text.count(draft["find"]) != 1:
        raise Unfit(f"what it would replace does not stand in {file.path} exactly once")
    after = file.text.replace(draft["find"], draft["replace"])
    if after == file.text:
        raise Unfit("it changes nothing")
    if file.path.endswith(".json"):
        _need_json(file.path, after)
    return file, after


def _need_json(path: str, text: str) -> None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"{path} would be no JSON any more: {error}") from error


def _numbers_of(finding: Finding) -> list[Any]:
    shares = [finding.effect, *(finding.interval or ()), finding.detail.get("rate")]
    percents = [round(100 * one) for one in shares if isinstance(one, int | float)]
    return [finding.n, finding.k, *shares, *percents, finding.title]


def _numbers(text: str) -> Iterator[float]:
    for found in _NUMBER.finditer(text):
        yield float(found.group().replace(",", "").rstrip("."))


def _same(one: float, other: float) -> bool:
    """Whether they are the same number, as far as the rougher of them is written."""
    return abs(one - other) <= max(abs(other) * 0.005, 1e-9) or abs(one) == round(abs(other))


def _lesson_id(finding_ids: Sequence[str], draft: Mapping[str, Any]) -> str:
    said = [KIND, list(finding_ids), draft["file"], draft["find"], draft["replace"], draft["body"]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_ID_HEX_DIGITS]
