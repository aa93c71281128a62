"""The arms of a memory: how often users change what the agent proposes for its slot.

Whom a tenant's memory was held out from was decided by a hash of the user (the delivery door),
and every such run has an exposure, given or held out. A memory of one user is never held out:
then the same user's runs before the first exposure are what is compared with.

What was given before the last approval was another approval's, and perhaps in other words. An
exposure says of itself whose it is; it counts where the run says the same.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.analyzers.evaluation.effect_arms import PASSED, Arms, EffectRun
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.preferences.slot_choices import SlotChoice, slot_choices
from spanlore.analyzers.preferences.slot_values import slot_of
from spanlore.analyzers.preferences.user_halves import session_of
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import EXPOSURES, LESSONS, NOT_REVOKED
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Lesson

METRIC = "override"
OWN_RUNS_MIN = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EXPOSURES_SQL = f"""
SELECT exposure.TraceId AS TraceId, exposure.TenantId AS TenantId, exposure.Arm AS Arm,
       exposure.UserId AS UserId, toUnixTimestamp64Nano(exposure.At) AS AtNs,
       run.TaskType AS TaskType, run.TaskId AS TaskId, run.Outcome AS Outcome
FROM (
    SELECT * FROM {EXPOSURES}
    WHERE LessonId = {{lesson:String}} AND At <= {{now:DateTime64(9)}} AND LessonVersion >= (
        SELECT max(Version) FROM {LESSONS} WHERE LessonId = {{lesson:String}} AND State = 'approved'
    )
    ORDER BY Version DESC LIMIT 1 BY LessonId, TenantId, TraceId
) AS exposure
INNER JOIN (
    SELECT TenantId, TraceId, TaskType, TaskId, Outcome, State
    FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN}
) AS run ON run.TenantId = exposure.TenantId AND run.TraceId = exposure.TraceId
WHERE run.State != 'open'
"""

OUTCOMES_SQL = f"""
SELECT TraceId, Outcome FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN}
"""


def memory_arms(store: Store, lesson: Lesson, now: datetime) -> Arms:
    """Return the arms of a lesson whose content names a slot. Raises StoreError.

    Runs that no round of learning has read yet count as well: they are read first.
    """
    extract_pending(store, Window())
    slot = slot_of(lesson.content["slot"])
    choices = {
        one.trace_id: one
        for one in slot_choices(store, Window(), tool=slot.tool)
        if one.slot == slot
    }
    params = {"lesson": lesson.lesson_id, "now": f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"}
    exposures = store.query(EXPOSURES_SQL, params)
    if lesson.scope != "user" and any(row["Arm"] == "held_out" for row in exposures):
        return _held_out(exposures, choices)
    outcomes = {row["TraceId"]: row["Outcome"] for row in store.query(OUTCOMES_SQL)}
    return _before(lesson, exposures, choices=choices, outcomes=outcomes)


def _held_out(exposures: Iterable[Mapping[str, Any]], choices: Mapping[str, SlotChoice]) -> Arms:
    """Compare all runs that were given it with all that were held out, as chance decided.

    Where no user was named there was one lot for all: those runs are left out.
    """
    arms: dict[str, list[EffectRun]] = {"exposed": [], "held_out": []}
    nameless = 0
    for row in exposures:
        if not row["UserId"]:
            nameless += 1
            continue
        choice = choices.get(row["TraceId"])
        run = EffectRun(
            trace_id=row["TraceId"],
            user=(user := f"{row['TenantId']}\x00{row['UserId']}"),
            cluster=user,
            stratum=f"{row['TaskType']}/{row['TaskId']}" if row["TaskId"] else row["TaskType"],
            event=choice.overridden if choice else None,
            passed=PASSED.get(row["Outcome"]),
        )
        arms.setdefault(row["Arm"], []).append(run)
    without = {arm: sum(one.event is None for one in runs) for arm, runs in arms.items()}
    return Arms(
        metric=METRIC,
        event_words="the user changed what the agent proposed",
        compared_with="held_out",
        exposed=arms["exposed"],
        other=arms["held_out"],
        detail={
            "runs_in_which_nothing_was_proposed": {
                "exposed": without["exposed"],
                "other": without["held_out"],
            },
            "runs_without_a_user": nameless,
        },
    )


def _before(
    lesson: Lesson,
    exposures: Iterable[Mapping[str, Any]],
    *,
    choices: Mapping[str, SlotChoice],
    outcomes: Mapping[str, str],
) -> Arms:
    """Compare the runs that were given it with runs of the lesson's scope before the first."""
    own = lesson.scope == "user"
    known = {row["TraceId"] for row in exposures}
    given = {row["TraceId"]: row["AtNs"] for row in exposures if row["Arm"] == "exposed"}
    first_ns = min(given.values(), default=None)

    def run_of(choice: SlotChoice) -> EffectRun:
        user = f"{choice.tenant}\x00{choice.user}"
        return EffectRun(
            trace_id=choice.trace_id,
            user=user if choice.user else "",
            cluster=session_of(choice) if own else user,
            stratum=choice.task,
            event=choice.overridden,
            passed=PASSED.get(outcomes.get(choice.trace_id, "")),
        )

    earlier = [
        one
        for one in choices.values()
        if one.trace_id not in known
        and is_within(lesson, one)
        and (first_ns is None or one.start_ns < first_ns)
    ]
    return Arms(
        metric=METRIC,
        event_words="the user changed what the agent proposed",
        compared_with="before",
        exposed=[
            run_of(choices[trace])
            for trace in given
            if trace in choices and _is_whose(lesson, choices[trace])
        ],
        other=[run_of(one) for one in earlier],
        clusters_are="sessions of the user" if own else "users",
        clusters_min=2 if own else 5,
        runs_min=OWN_RUNS_MIN if own else 20,
        detail={"first_exposure_at": None if first_ns is None else _time(first_ns)},
    )


def is_within(lesson: Lesson, choice: SlotChoice) -> bool:
    """Whether a choice was made where a lesson holds: its scope, and what its selector says."""
    said = {"agent": {choice.agent}, "task": {choice.task, choice.task_type}}
    return _is_whose(lesson, choice) and all(
        value in said.get(key, {choice.segments.get(key.removeprefix("segment."))})
        for key, value in lesson.selector.items()
    )


def _is_whose(lesson: Lesson, choice: SlotChoice) -> bool:
    """Whether a choice was made for whom a lesson is: its tenant, its user."""
    return lesson.tenant in ("", choice.tenant) and (
        lesson.scope != "user" or lesson.scope_key == choice.user
    )


def _time(unix_ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=unix_ns // 1_000)).isoformat()
