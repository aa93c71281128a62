"""What the model is asked: findings with traces that are evidence for them, as data.

It is shown runs of the discovery half alone: what it proposes is confirmed on runs that it has
not seen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.counting.fact_counts import RUNS_SQL
from spanlore.analyzers.judges.run_text import quoted_run
from spanlore.analyzers.meta_harness.feature import CALL_TESTS, RUN_TESTS
from spanlore.analyzers.models.question import Question, Quoted
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding

FINDINGS_MAX = 12
TRACES_MAX = 6
TRACE_CHARS_MAX = 12_000
HYPOTHESES_MAX = 10
DRAFTS_MAX = 5
BODY_CHARS_MAX = 2_000
OUTPUT_TOKENS_MAX = 4_096

_SYSTEM = """You help the maintainers of an AI agent to improve its harness: prompts, tool
definitions, retry and routing code. You read what statistics found in the agent's traces and
propose. You decide nothing: every hypothesis is counted over all runs and tested, every draft is
checked and read by a person."""

_TASK = f"""Propose up to {HYPOTHESES_MAX} hypotheses and up to {DRAFTS_MAX} drafts.

A hypothesis is one feature that may go with failure and that the findings do not say already. It
is about a tool_call (tests: {", ".join(CALL_TESTS)}; `argument` is a JSON pointer such as
/payment/id, "*" for any item) or about a run (tests: {", ".join(RUN_TESTS)}; for calls_before
`value` is the later tool). `because` are ids of the findings that it rests on.

A draft is a change that answers confirmed findings, named by their ids in `findings`: `title` and
`body` say what to change and why, in plain words, with no number that is not in those findings.
Where one of the files shown has to change, `file` is its name, `find` a passage that stands in it
exactly once, and `replace` what stands there instead; else all three are empty."""

_TEXT = {"type": "string", "maxLength": 400}
_IDS = {"type": "array", "minItems": 1, "maxItems": 10, "items": _TEXT}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


_LONG = {"type": "string", "maxLength": BODY_CHARS_MAX}
SCHEMA = _object(
    hypotheses={
        "type": "array",
        "maxItems": HYPOTHESES_MAX,
        "items": _object(
            because=_IDS,
            about={"type": "string", "enum": ["tool_call", "run"]},
            tool=_TEXT,
            argument=_TEXT,
            test={"type": "string", "enum": [*CALL_TESTS, *RUN_TESTS]},
            value=_TEXT,
        ),
    },
    drafts={
        "type": "array",
        "maxItems": DRAFTS_MAX,
        "items": _object(
            findings=_IDS,
            title=_TEXT,
            body=_LONG,
            file=_TEXT,
            find=_LONG,
            replace=_LONG,
        ),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of the agent's code: its path in the repository, its text and SHA-256 (hex)."""

    path: str
    text: str
    sha256: str


def question_of(
    findings: Sequence[Finding], traces: Sequence[RunTrace], files: Sequence[SourceFile]
) -> Question:
    """Return the question about these findings."""
    data = [Quoted(name="findings", text=json.dumps([_shown(one) for one in findings], indent=1))]
    for at, run in enumerate(traces, 1):
        data += (
            Quoted(name=f"trace {at} {one.name}", text=one.text[:TRACE_CHARS_MAX])
            for one in quoted_run(run)
        )
    data += [
        Quoted(name=f"file {at}", text=f"name: {file.path}\n{file.text}")
        for at, file in enumerate(files, 1)
    ]
    return Question(
        system=_SYSTEM,
        task=_TASK,
        data=tuple(data),
        schema=SCHEMA,
        output_tokens_max=OUTPUT_TOKENS_MAX,
    )


def traces_to_show(store: Store, window: Window, findings: Sequence[Finding]) -> list[RunTrace]:
    """Return runs that are evidence for the findings, of the discovery half, one each in turn."""
    named = list(dict.fromkeys(trace for one in findings for trace in one.evidence))
    rows = store.query(
        f"SELECT TraceId FROM ({RUNS_SQL}) WHERE Discovers AND TraceId IN {{ids:Array(String)}}",
        {**window.params, "ids": named},
    )
    seen = {row["TraceId"] for row in rows}
    chosen: dict[str, None] = {}
    for place in range(max((len(one.evidence) for one in findings), default=0)):
        for one in findings:
            if place < len(one.evidence) and one.evidence[place] in seen:
                chosen.setdefault(one.evidence[place])
    wanted = list(chosen)[:TRACES_MAX]
    runs = {run.trace_id: run for run in run_traces(store, wanted)}
    return [runs[trace_id] for trace_id in wanted if trace_id in runs]


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "analyzer": finding.analyzer,
        "title": finding.title,
        "confirmed": finding.confirmed,
        "n": finding.n,
        "k": finding.k,
        "effect": finding.effect,
        "interval": finding.interval,
        "reason": finding.reason,
    }
