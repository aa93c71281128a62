"""A user who has to say the same thing again: the same slot, corrected in several sessions.

Sees a correction where the user answers a tool call with one (``said_corrections``) and the agent
then calls the same tool with another value. For each user and slot sessions are counted in which
the tool was called before the user spoke, and those in which the slot was corrected; a session is
one look. The earlier sessions of the user discover, the later ones confirm, against the rate at
which other users correct the slot (at least 5 %). Where most corrections end with one value it is
a preference of that user, in the shape of ``preference_override``'s, so that a memory is proposed
from it; where they differ, or a user corrects what no call tells of (``in words``), it is a finding
without a lesson. What users wrote is never quoted.

What ``preference_override`` confirms for a user's slot, for the user or a group that holds them,
is its to say: its hypotheses of the same runs are judged here as the core judges them, and such
slots of such users are counted and not told. This one adds users with fewer sessions, corrections
after an error, and slots that are corrected to ever other values.

Cannot see: corrections in other languages, by silence or by hand (the application reports those as
overrides), and proposals that were only text. Runs without a user or times are not counted.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanlore.analyzers.catalogue.preference_override import preference_override
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.core.statistics import Table, wilson_interval
from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL
from spanlore.analyzers.preferences.said_corrections import heard
from spanlore.analyzers.preferences.slot_values import NO_VALUE, Slot, slot_of
from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding

NAME = "repeated_correction"
VERSION = "1"
FLOOR_RATE = 0.05
FLOOR_RATE_ALONE = 0.2  # where there are too few others to compare with
SESSIONS_MIN = 5  # fewer hold too few events for the core to confirm anything
SESSIONS_CORRECTED_MIN = 3
SAME_VALUE_SHARE_MIN = 0.8
OTHERS_SESSIONS_MIN = 20
EVIDENCE_MAX = 20
# A conversation whose user corrected something that no changed call tells of.
_IN_WORDS = Slot("", "", "value")

_SESSIONS_SQL = f"""
SELECT TenantId, UserId, if(SessionId != '', SessionId, TraceId) AS Session, TraceId,
       Key, K, Detail, toUnixTimestamp64Nano(StartedAt) AS StartNs
FROM ({FACTS_OF_RUNS_SQL})
WHERE UserId != '' AND TimeUnknown = 0
ORDER BY TenantId, UserId, Key, StartNs, TraceId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session of a user says about a slot: ``trace_id`` shows it, ``final`` is "" if not."""

    name: str
    start_ns: int
    trace_id: str
    is_corrected: bool
    proposed: str = NO_VALUE
    final: str = NO_VALUE


User = tuple[str, str]
# (tenant, user) -> slot -> the sessions in which the user could have corrected it, by time
Sessions = Mapping[User, Mapping[Slot, Sequence[Session]]]


def repeated_correction_facts(run: RunTrace) -> Iterator[Fact]:
    """Yield a fact for each tool the user could object to, and each slot that was corrected."""
    said = heard(run.messages)
    for tool in said.chances:
        yield Fact(key=f"chance|{tool}", k=0)
    for one in said.corrections:
        slot = one.slot
        yield Fact(
            key=f"slot|{slot.tool}|{slot.part}|{slot.field}",
            detail=json.dumps(
                {"slot": slot.json(), "proposed": one.proposed, "final": one.final},
                ensure_ascii=False,
            ),
        )
    if said.has_spoken_again:
        yield Fact(key="words", k=int(said.unexplained))


def repeated_correction(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at what each user corrected in all runs of the window. Raises StoreError."""
    params = {**window.params, "extractor": NAME, "version": VERSION, "prefix": ""}
    formed = list(repeated_correction_hypotheses(sessions_of(store.query(_SESSIONS_SQL, params))))
    confirmed: list[Finding] = []
    if any(one.told for one in formed):
        confirmed = findings_of(list(preference_override(store, window)))
    yield from not_repeated(formed, [one for one in confirmed if one.confirmed])


def repeated_correction_hypotheses(sessions: Sessions) -> Iterator[Hypothesis]:
    """Form one hypothesis for each user and slot that was corrected often enough by anybody."""
    totals = _totals(sessions)
    often = {slot for slot, (_, k) in totals.items() if k >= SESSIONS_CORRECTED_MIN}
    for user, slots in sorted(sessions.items()):
        for slot in sorted(often & slots.keys()):
            if len(slots[slot]) >= SESSIONS_MIN:
                yield _hypothesis(user, slot, slots[slot], of_all=totals[slot])


def sessions_of(rows: Iterable[Mapping[str, Any]]) -> Sessions:
    """Gather the sessions of users from rows of facts; each has every slot it could correct."""
    chances: dict[User, dict[str, dict[str, Session]]] = {}
    corrected: dict[User, dict[Slot, dict[str, Session]]] = {}
    for row in rows:
        user, what = (row["TenantId"], row["UserId"]), row["Key"].partition("|")
        session = _session(row)
        if what[0] == "slot":
            slot = slot_of(parsed(row["Detail"])["slot"])
            corrected.setdefault(user, {}).setdefault(slot, {})[session.name] = session
        else:
            chances.setdefault(user, {}).setdefault(what[2], {}).setdefault(session.name, session)
            if session.is_corrected:
                words = corrected.setdefault(user, {}).setdefault(_IN_WORDS, {})
                words[session.name] = session
    slots = {slot for mine in corrected.values() for slot in mine}
    return {
        user: {
            slot: _by_time({**tools[slot.tool], **corrected.get(user, {}).get(slot, {})})
            for slot in slots
            if slot.tool in tools
        }
        for user, tools in chances.items()
    }


def not_repeated(
    formed: Iterable[Hypothesis], confirmed: Sequence[Finding]
) -> Iterator[Hypothesis]:
    """Yield the hypotheses, untold where a confirmed preference says it of the user and slot."""
    for one in formed:
        if one.told and any(_covers(finding.detail, one.detail) for finding in confirmed):
            yield replace(one, told=False)
        else:
            yield one


def _covers(preference: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    scope, mine = preference["scope"], detail["scope"]
    if preference["slot"] != detail["slot"] or scope["tenant"] not in (None, mine["tenant"]):
        return False
    if scope["level"] == "user":
        return bool(scope["key"] == mine["key"])
    if preference["value"] != detail["value"]:
        return False  # others have another preference
    members = {(one["tenant"], one["user"]) for one in preference["by_user"]}
    return not scope["selector"] or (mine["tenant"], mine["key"]) in members


def _session(row: Mapping[str, Any]) -> Session:
    said = parsed(row["Detail"]) or {}
    return Session(
        name=row["Session"],
        start_ns=row["StartNs"],
        trace_id=row["TraceId"],
        is_corrected=bool(row["K"]),
        proposed=said.get("proposed", NO_VALUE),
        final=said.get("final", NO_VALUE),
    )


def _by_time(sessions: Mapping[str, Session]) -> list[Session]:
    return sorted(sessions.values(), key=lambda one: (one.start_ns, one.name))


def _totals(sessions: Sessions) -> dict[Slot, tuple[int, int]]:
    """Return slot -> (sessions in which it could be corrected, and was), over all users."""
    totals: dict[Slot, tuple[int, int]] = {}
    for slots in sessions.values():
        for slot, mine in slots.items():
            n, k = totals.get(slot, (0, 0))
            totals[slot] = (n + len(mine), k + sum(one.is_corrected for one in mine))
    return totals


def _hypothesis(
    user: User, slot: Slot, sessions: Sequence[Session], *, of_all: tuple[int, int]
) -> Hypothesis:
    corrected = [one for one in sessions if one.is_corrected]
    others = (of_all[0] - len(sessions), of_all[1] - len(corrected))
    middle = (len(sessions) + 1) // 2
    floor, compared_with = _floor(*others)
    return Hypothesis(
        analyzer=NAME,
        key="|".join((*slot.json().values(), *user)),
        title=_title(user, slot),
        support=Support(
            n=len(sessions), k=len(corrected), runs=len(sessions), units=len(corrected)
        ),
        strata=tuple(
            Stratum(name=name, unit="", table=_table(half), discovers=discovers)
            for name, half, discovers in (
                ("earlier sessions", sessions[:middle], True),
                ("later sessions", sessions[middle:], False),
            )
        ),
        adjusted_for=(),
        evidence=tuple(one.trace_id for one in corrected)[:EVIDENCE_MAX],
        counter_evidence=tuple(one.trace_id for one in sessions if not one.is_corrected)[
            :EVIDENCE_MAX
        ],
        units_noun="session",
        floor=floor,
        family=NAME,
        told=len(corrected) >= SESSIONS_CORRECTED_MIN,
        counted="session",
        units_min=SESSIONS_CORRECTED_MIN,
        detail={
            **_what(user, slot, sessions=sessions, corrected=corrected),
            "n_counts": "the user's sessions in which the tool was called before the user spoke",
            "k_counts": "of these, those in which the user corrected it in words",
            "halves": "earlier and later sessions",
            "compared_with": compared_with,
            "others": {"sessions": others[0], "corrected": others[1]},
        },
    )


def _what(
    user: User, slot: Slot, *, sessions: Sequence[Session], corrected: Sequence[Session]
) -> dict[str, Any]:
    """Say what is corrected; where it is always to the same value, as a preference."""
    value = _most([one.final for one in corrected])
    ended = [one for one in corrected if one.final == value]
    low, high = wilson_interval(len(ended), len(sessions))
    return {
        "kind": "repeated_correction" if value is None else "preference",
        "slot": slot.json(),
        "value": value,
        "instead_of": None if value is None else _most([one.proposed for one in ended]),
        "scope": {
            "level": "user",
            "tenant": user[0],
            "key": user[1],
            "selector": {},
            "tenants": 1,
            "users": 1,
        },
        "inside": {
            "sessions": len(sessions),
            "corrected": len(ended),
            "rate": round(len(ended) / len(sessions), 4),
            "interval": [round(low, 4), round(high, 4)],
        },
    }


def _most(values: Sequence[str]) -> str | None:
    """Return the value that nearly all are, None where there is no such."""
    [(value, number)] = Counter(values).most_common(1) or [(NO_VALUE, 0)]
    return value if value != NO_VALUE and number >= SAME_VALUE_SHARE_MIN * len(values) else None


def _floor(others: int, corrected: int) -> tuple[float, str]:
    """Return the rate to be above of, and what it is, of the other users' sessions."""
    if others < OTHERS_SESSIONS_MIN:
        return FLOOR_RATE_ALONE, (
            f"a tolerable rate of {FLOOR_RATE_ALONE:.0%} (too few to compare with: {others} "
            f"sessions of other users, and {OTHERS_SESSIONS_MIN} are needed)"
        )
    upper = wilson_interval(corrected, others)[1]
    bound = f"the upper 95 % bound of other users' rate, {upper:.1%}"
    if upper <= FLOOR_RATE:
        return FLOOR_RATE, f"a tolerable rate of {FLOOR_RATE:.0%} (more than {bound})"
    return upper, bound


def _table(sessions: Sequence[Session]) -> Table:
    return Table(len(sessions), sum(one.is_corrected for one in sessions), 0, 0)


def _title(user: User, slot: Slot) -> str:
    whose = f"user {user[1]} of {user[0]}"
    if slot == _IN_WORDS:
        return plain(f"{whose} corrects the agent again and again, in words that no call follows")
    part = " (time of day)" if slot.part == "time_of_day" else ""
    return plain(f"{whose} corrects {slot.tool} {slot.field}{part} again and again")
