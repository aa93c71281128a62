"""The values that the parts of spanlore hand to each other: frozen, plain, keyword-only.

A span has no class here: spans are columns from the wire to the store and from the store to an
analyzer (building one object a span costs more than storing it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Layer = Literal["context", "harness", "model"]
ScopeLevel = Literal["user", "tenant", "global"]
# What may be believed of a finding, in the order in which findings are told.
Verdict = Literal[
    "confirmed", "inconclusive", "confounded", "underpowered", "no_effect", "not_comparable"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
JudgementSource = Literal["human", "end_user", "environment", "code", "llm"]
JUDGEMENT_SOURCES: tuple[JudgementSource, ...] = ("human", "end_user", "environment", "code", "llm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One agent execution, sealed from the spans of one trace (a row of ``agent_runs``).

    Times are UTC; ``started_at`` is None where the source gave none. Durations are milliseconds,
    ``cost_usd`` US dollars, None where a price or a token count is unknown.
    """

    trace_id: str
    agent: str | None
    tenant: str
    user: str | None
    task: str | None
    task_id: str | None
    state: str
    outcome: str | None
    outcome_score: float | None
    outcome_source: str | None
    started_at: datetime | None
    duration_ms: float | None
    steps: int
    tool_calls: int
    tool_errors: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    harness: str | None
    model: str | None
    spans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an analyzer saw and how sure it is.

    ``n`` is how many calls (or runs) were looked at, ``k`` in how many of them the thing was
    seen (``detail`` says what both count). ``effect`` is the risk difference (Mantel-Haenszel's)
    within what ``adjusted_for`` names, against the comparison named in ``detail``, and
    ``interval`` its 95 % interval (low, high); both are None where nothing could be compared.
    ``p`` is the two-sided test's p value and ``q`` the Benjamini-Hochberg adjusted one over the
    whole analysis. ``evidence`` and ``counter_evidence`` are trace ids, hex.

    ``verdict`` is "confirmed" exactly where ``confirmed`` is set; "underpowered" (too little was
    seen to say: it would take about ``n_needed`` looks); "inconclusive" (enough was seen, and it
    does not agree with itself); "confounded" (it flips or vanishes once something is held fixed);
    "no_effect" (what there may be is not worth naming); or "not_comparable". ``reason`` says why
    an unconfirmed finding is held back and is None on a confirmed one.
    """

    finding_id: str
    analyzer: str
    title: str
    n: int
    k: int
    effect: float | None
    interval: tuple[float, float] | None
    p: float | None
    q: float | None
    adjusted_for: tuple[str, ...]
    confirmed: bool
    evidence: tuple[str, ...]
    counter_evidence: tuple[str, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    verdict: Verdict = "inconclusive"
    n_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A proposed change born from findings.

    ``scope_key`` names the user or tenant the lesson holds for ("" for global), ``tenant`` the
    tenant inside which it holds ("" for every tenant, which only a global lesson may say).
    ``selector`` narrows it further: it holds for runs of that ``agent`` and ``task`` and users
    whose ``segment.<name>`` is the value given. ``patch`` is a unified diff for ``git apply``,
    None where there is nothing to change in a file; ``base_path`` and ``base_hash`` (SHA-256,
    hex) bind it to the file it was written against. ``content`` is the body as data, by ``kind``:
    what its gate scores and its effect is measured by.
    """

    lesson_id: str
    layer: Layer
    scope: ScopeLevel
    scope_key: str
    kind: str
    title: str
    body: str
    patch: str | None
    base_path: str | None
    base_hash: str | None
    findings: tuple[str, ...]
    evidence: tuple[str, ...]
    tenant: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    state: str = "proposed"
    evaluations: tuple[Mapping[str, Any], ...] = ()
    approvals: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: ``events`` in ``runs`` of ``users``; the rate is None of none.

    ``users`` counts those that are known, ``clusters`` the groups of runs that look alike: users,
    or sessions where all runs are of one user.
    """

    runs: int
    users: int
    clusters: int
    events: int

    @property
    def rate(self) -> float | None:
        """Events a run, None where there was no run."""
        return self.events / self.runs if self.runs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a lesson did after roll-out, against runs that were not given it.

    ``metric`` names the unwanted event that is counted; ``difference`` is its rate among exposed
    runs minus the other arm's, ``interval`` its 95 % interval (low, high), for clusters that are
    what ``clusters_are`` says.
    ``compared_with`` is "held_out" (``randomised``) or "before". ``verdict`` is one of
    ``lesson_state.MEASURED``; ``reason`` says in words what it rests on.
    """

    lesson_id: str
    lesson_version: int
    metric: str
    compared_with: Literal["held_out", "before"]
    exposed: Arm
    other: Arm
    difference: float | None
    interval: tuple[float, float] | None
    verdict: str
    reason: str
    clusters_are: str = "users"
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def randomised(self) -> bool:
        """Whether chance decided which runs were given the lesson."""
        return self.compared_with == "held_out"
