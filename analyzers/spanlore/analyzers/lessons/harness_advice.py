"""From confirmed findings about the harness to lessons that say what to change, without a diff.

``harness_lesson`` writes diffs of tool definitions; this is for everything else (``advice``). A
lesson is built from typed fields alone: names that look like names, numbers, and words of ours.
Findings that call for the same change are one lesson. It cannot be replayed, so its gate stays
inconclusive until a person, or their evaluation command, has judged the change.

Where triage says that one tenant alone is affected and an instruction is enough, the lesson is an
instruction for that tenant's agents (``tenant_config``) and no change of the harness.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanlore.analyzers.lessons.advice import advice_for, said
from spanlore.analyzers.lessons.triage import layer_of, only_tenant
from spanlore.analyzers.runs.quoted_text import plain, refusal
from spanlore.schemas.types import Finding, Layer, Lesson

TENANT_CONFIG = "tenant_config"
EVIDENCE_TRACES_MAX = 20
NAME_CHARS_MAX = 128
_ID_HEX_DIGITS = 32
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]*(?:/[A-Za-z0-9_.:\-]+)*")
_UNNAMED = "what the evidence shows"
_PLACES = ("tool", "model", "agent")


def advice_lessons(findings: Iterable[Finding]) -> list[Lesson]:
    """Return the lessons of confirmed, triaged findings, in the order of the findings.

    What only informs, goes to another layer or is not known to ``advice`` gives none.
    """
    groups: dict[tuple[Layer, str, str, str], list[Finding]] = {}
    for finding in findings:
        advice, layer = advice_for(finding), layer_of(finding)
        if not finding.confirmed or advice is None:
            continue
        tenant = only_tenant(finding) or ""
        if layer == "harness":
            key: tuple[Layer, str, str, str] = ("harness", tenant, advice.kind, advice.change)
        elif layer == "context" and tenant and advice.tell:
            key = ("context", tenant, TENANT_CONFIG, advice.tell)
        else:
            continue
        words = said(key[3], where=_where(finding), task=_task(finding))
        key = (*key[:3], words)
        groups.setdefault(key, []).append(finding)
    return [_lesson(key, group) for key, group in groups.items()]


def _lesson(key: tuple[Layer, str, str, str], findings: Sequence[Finding]) -> Lesson:
    layer, tenant, kind, advice = key
    first = findings[0]
    body = advice if layer == "context" else "\n\n".join((advice, *map(_numbers, findings), _JUDGE))
    traces = dict.fromkeys(trace for one in findings for trace in one.evidence)
    return Lesson(
        lesson_id=_lesson_id(key),
        layer=layer,
        scope="tenant" if tenant else "global",
        scope_key=tenant,
        tenant=tenant,
        kind=kind,
        title=f"{_TITLES.get(kind, 'Change the harness')}: {_where(first)}",
        body=body,
        patch=None,
        base_path=None,
        base_hash=None,
        findings=tuple(one.finding_id for one in findings),
        evidence=tuple(traces)[:EVIDENCE_TRACES_MAX],
        content={"analyzer": first.analyzer, "advice": advice},
    )


_JUDGE = (
    "No patch: what to change is for a person to find in the code. Judge the change with your own "
    "evaluation or on a share of the runs; past runs cannot tell what it would have done."
)
_TITLES = {
    "retry_logic": "Handle what fails or repeats",
    "context_limits": "Keep within limits",
    "output_parser": "Read the model's answers more safely",
    "tool_set": "Offer other tools",
    "routing": "Route differently",
    "system_prompt": "Instruct about what fails",
    TENANT_CONFIG: "Instruct this tenant's agents",
}


def _where(finding: Finding) -> str:
    """Return what a finding is about: names that look like names, else words of ours."""
    names = [_named(name) for name in _names(finding.detail)]
    return " and ".join(name for name in names if name) or _UNNAMED


def _task(finding: Finding) -> str:
    name = _named(str(finding.detail.get("task_type", "")))
    return f"type {name}" if name else "this type"


def _names(detail: Any) -> list[str]:
    """Return the names of tools, models or agents in the detail of a finding."""
    slot = detail.get("slot")
    if isinstance(slot, dict):
        return [str(slot.get("tool", ""))]
    if detail.get("tools"):
        return [str(one) for one in detail["tools"]]
    for one in detail.get("places") or ():
        return [str(value) for name, value in one.items() if name != "calls"][:1]
    found = [str(detail[name]) for name in _PLACES if detail.get(name)]
    return found if detail.get("kind") == "routing" else found[:1]


def _named(name: str) -> str | None:
    words = re.sub(r"[_/.\-:]+", " ", name).lower()
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        return None
    is_fit = refusal(words) is None and refusal(name.lower()) is None
    return f"`{name}`" if is_fit else None


def _numbers(finding: Finding) -> str:
    """Return the counts of a finding, with what they count where that may be quoted."""
    detail = finding.detail
    text = f"Seen in {finding.k} of {finding.n}"
    if finding.n:
        text += f" ({finding.k / finding.n:.0%}"
        low_high = detail.get("rate_interval")
        text += f", 95 % interval {low_high[0]:.0%} to {low_high[1]:.0%})" if low_high else ")"
    counts = [str(detail.get(name, "")) for name in ("n_counts", "k_counts")]
    if all(counts) and all(refusal(one.lower()) is None for one in counts):
        text += f": {plain(counts[0])}; {plain(counts[1])}"
    if finding.effect is not None and finding.interval is not None:
        low, high = finding.interval
        adjusted = ", ".join(finding.adjusted_for) or "nothing"
        text += (
            f". Against what it was compared with: {finding.effect:+.0%} ({low:+.0%} to "
            f"{high:+.0%}), adjusted for {adjusted}"
        )
    return f"{text}.{_whose(finding.detail.get('guard') or {})} Finding {finding.finding_id}."


def _whose(guard: Mapping[str, Any]) -> str:
    """Say which agent, model or harness alone carries a rate that is compared with none."""
    if "carried_by" not in guard:
        return ""
    name = _named(str(guard["level"] or ""))
    level = f"one {guard['carried_by']} of {guard['levels']}" + (f" ({name})" if name else "")
    also = "".join(f", which is one {one} as well" for one in guard["also"])
    (n, k), (rest_n, rest_k) = ((guard[arm]["n"], guard[arm]["k"]) for arm in ("looks", "rest"))
    return (
        f" That is under {level}{also}: {k:.0f} of {n:.0f} looks, under all others {rest_k:.0f} of "
        f"{rest_n:.0f}; change it there."
    )


def _lesson_id(key: tuple[Layer, str, str, str]) -> str:
    """Return the id of a lesson: of what it says and to whom, not of counts or findings."""
    text = "\x00".join(("advice", *key))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_HEX_DIGITS]
