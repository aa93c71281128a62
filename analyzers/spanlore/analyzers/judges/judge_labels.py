"""What judges said of runs beside what is known of them, counted in SQL over all judged runs.

A judge is a name: ``llm:task_success`` or ``code:tests`` (what stands before "@" in the
evaluator's id), else the source alone: ``human``, ``environment``, ``end_user``. Of llm and code
judges the whole id is the version: "task_success@1+openai:some-model". Of one judge's versions on
one run the latest label counts.

Gold is the label of the first source in the order given that is better than the judge's own. A
source that only ever says one of pass and fail is no gold: which runs it speaks of says it all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.counting.fact_counts import RUNS_SQL
from spanlore.analyzers.judges.calibration import Confusion
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.outcome import outcome_sql
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS
from spanlore.schemas.types import JUDGEMENT_SOURCES, JudgementSource

GOLD: tuple[JudgementSource, ...] = ("human", "environment", "code")
EVIDENCE_MAX = 20
JUDGES_MAX = 100
"""Judges beyond these, by how much they said, are not looked at."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

_HAS_VERSIONS = "Source IN ('llm', 'code') AND Evaluator != ''"
_JUDGE = f"if({_HAS_VERSIONS}, concat(Source, ':', splitByChar('@', Evaluator)[1]), Source)"
_JUDGE_VERSION = f"if({_HAS_VERSIONS}, Evaluator, '')"


def _labels_sql(*by: str) -> str:
    """SQL for the latest label of each run by these: one row a run and label."""
    return f"""
    SELECT TraceId, {", ".join(by)}, any(Source) AS Source, max(At) AS At,
        argMax({outcome_sql("Label", "Score")}, (Version, ReceivedAt)) AS Said
    FROM (
        SELECT TraceId, Source, At, Label, Score, Version, ReceivedAt, {_JUDGE} AS Judge,
            {_JUDGE_VERSION} AS JudgeVersion
        FROM {JUDGEMENTS} WHERE Name = '{semconv.EVALUATION_TASK_SUCCESS}'
    )
    GROUP BY TraceId, {", ".join(by)}
    HAVING Said != ''"""


_LABELS_SQL = _labels_sql("Judge", "JudgeVersion")
_JUDGES_SQL = f"""
SELECT Judge, any(Source) AS Source, count() AS Labels, uniqExact(Said) = 2 AS IsTwoSided
FROM ({_LABELS_SQL}) GROUP BY Judge ORDER BY Labels DESC, Judge LIMIT {JUDGES_MAX}
"""
_COUNTS = ("PassPass", "PassFail", "FailPass", "FailFail", "PassOnly", "FailOnly")
_PLACE = "Task, Agent, ModelCode, Harness, Cluster, UnitCode, Discovers"
_UNIT_CODE = "reinterpretAsInt64(bitShiftRight(sipHash64(Unit), 1)) AS UnitCode"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRuns:
    """One judge's labels as columns: row ``i`` is the runs of one version, time and place.

    ``version`` numbers ``versions``, which are in the order in which they were last heard;
    ``late`` says whether the labels are of the later half of their version's. ``counts`` has a
    column for each of ``Confusion``'s fields, in its order. ``places`` are the codes of task,
    agent, model, harness, user (``Cluster``) and of the unit that decides the half.
    ``evidence`` maps (version, late, what the judge said, what gold says) to trace ids.
    """

    judge: str
    source: str
    versions: tuple[str, ...]
    version: Codes
    late: Flags
    counts: Floats
    places: dict[str, Codes]
    discovers: Flags
    units_noun: str
    evidence: dict[tuple[str, bool, str, str], tuple[str, ...]]

    def confusion(self, where: Flags | slice = slice(None)) -> Confusion:
        """Add rows up."""
        total = self.counts[where].sum(axis=0)
        return Confusion(**dict(zip(_FIELDS, map(int, total), strict=True)))


_FIELDS = ("pass_pass", "pass_fail", "fail_pass", "fail_fail", "pass_only", "fail_only")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedTwice:
    """Runs of one type of task that two judges labelled, as columns.

    ``counts`` are those that both pass, the first alone, the second alone, both fail; ``units``
    the codes of the units that decide the half. ``evidence`` are the traces that the first alone
    passes, and that the second alone passes.
    """

    judges: tuple[str, str]
    task_type: str
    counts: Floats
    units: Codes
    discovers: Flags
    evidence: tuple[tuple[str, ...], tuple[str, ...]]


def judged_runs(
    store: Store, window: Window, gold: Sequence[JudgementSource] = GOLD
) -> Iterator[JudgedRuns]:
    """Yield each judge's labels beside gold, the busiest judge first. Raises StoreError."""
    judges = store.query(_JUDGES_SQL)
    two_sided = [row["Judge"] for row in judges if row["IsTwoSided"]]
    for row in judges:
        params = {**window.params, "judge": row["Judge"], "two_sided": two_sided}
        sql = _judged_sql(row["Source"], gold)
        columns = store.columns(_cells_sql(sql), params)
        if columns["JudgeVersion"]:
            evidence = store.query(_evidence_sql(sql), params)
            yield _judged(row["Judge"], row["Source"], columns=columns, evidence=evidence)


def judged_twice(store: Store, window: Window) -> Iterator[JudgedTwice]:
    """Yield what each two judges said of the same runs, by type of task. Raises StoreError."""
    judges = [row["Judge"] for row in store.query(_JUDGES_SQL)]
    if len(judges) < 2:  # noqa: PLR2004 - it takes two
        return
    params = {**window.params, "judges": judges}
    evidence = {
        (row["A"], row["B"], row["TaskType"]): (tuple(row["First"]), tuple(row["Second"]))
        for row in store.query(_pair_evidence_sql(), params)
    }
    columns = store.columns(_pair_cells_sql(), params)
    keys = list(zip(columns["A"], columns["B"], columns["TaskType"], strict=True))
    counts = np.array(
        [columns[name] for name in ("Both", "First", "Second", "Neither")], dtype=np.float64
    ).T
    units = np.array(columns["UnitCode"], dtype=np.int64)
    discovers = np.array(columns["Discovers"], dtype=np.bool_)
    for key, rows in groupby(range(len(keys)), key=keys.__getitem__):
        at = list(rows)
        yield JudgedTwice(
            judges=(key[0], key[1]),
            task_type=key[2],
            counts=counts[at],
            units=units[at],
            discovers=discovers[at],
            evidence=evidence[key],
        )


def _judged_sql(source: str, gold: Sequence[JudgementSource]) -> str:
    """SQL for one row a label of one judge: what it said, what gold says, when, and the run."""
    better = [one for one in gold[: [*gold, source].index(source)] if one in JUDGEMENT_SOURCES]
    names = ", ".join(f"'{one}'" for one in (*better, "nobody"))
    return f"""
    SELECT said.TraceId AS TraceId, said.JudgeVersion AS JudgeVersion, said.Said AS Said,
        said.At AS At, golds.Gold AS Gold, said.Late AS Late, run.TaskId AS TaskId,
        run.UserId AS UserId, run.Task AS Task, run.Agent AS Agent, run.ModelCode AS ModelCode,
        run.Harness AS Harness, run.Cluster AS Cluster, run.Discovers AS Discovers, {_UNIT_CODE}
    FROM (
        SELECT *, At > quantileExact(0.5)(At) OVER (PARTITION BY JudgeVersion) AS Late
        FROM ({_LABELS_SQL}) WHERE Judge = {{judge:String}}
    ) AS said
    INNER JOIN ({RUNS_SQL}) AS run ON run.TraceId = said.TraceId
    LEFT JOIN (
        SELECT TraceId, argMin(Said, (indexOf([{names}], Source), -toUnixTimestamp64Nano(At)))
            AS Gold
        FROM ({_LABELS_SQL})
        WHERE Source IN ({names}) AND Judge IN {{two_sided:Array(String)}}
        GROUP BY TraceId
    ) AS golds ON golds.TraceId = said.TraceId"""


def _cells_sql(judged: str) -> str:
    return f"""
    SELECT JudgeVersion, Late, {_PLACE}, max(At) AS LastAt, countIf(TaskId != '') AS Tasks,
        countIf(UserId != '') AS Users,
        countIf(Said = 'pass' AND Gold = 'pass') AS PassPass,
        countIf(Said = 'pass' AND Gold = 'fail') AS PassFail,
        countIf(Said = 'fail' AND Gold = 'pass') AS FailPass,
        countIf(Said = 'fail' AND Gold = 'fail') AS FailFail,
        countIf(Said = 'pass' AND Gold = '') AS PassOnly,
        countIf(Said = 'fail' AND Gold = '') AS FailOnly
    FROM ({judged})
    GROUP BY JudgeVersion, Late, {_PLACE}
    ORDER BY JudgeVersion, Late, {_PLACE}"""


def _evidence_sql(judged: str) -> str:
    return f"""
    SELECT JudgeVersion, Late, Said, Gold, groupArraySorted({EVIDENCE_MAX})(TraceId) AS Traces
    FROM ({judged}) GROUP BY JudgeVersion, Late, Said, Gold"""


def _judged(
    judge: str, source: str, *, columns: dict[str, list[Any]], evidence: Sequence[dict[str, Any]]
) -> JudgedRuns:
    last: dict[str, Any] = {}
    for version, at in zip(columns["JudgeVersion"], columns["LastAt"], strict=True):
        last[version] = max(last.get(version, at), at)
    versions = tuple(sorted(last, key=lambda one: (last[one], one)))
    numbers = {version: number for number, version in enumerate(versions)}
    return JudgedRuns(
        judge=judge,
        source=source,
        versions=versions,
        version=np.array([numbers[one] for one in columns["JudgeVersion"]], dtype=np.int64),
        late=np.array(columns["Late"], dtype=np.bool_),
        counts=np.array([columns[name] for name in _COUNTS], dtype=np.float64).T,
        places={
            name: np.array(columns[name], dtype=np.int64)
            for name in ("Task", "Agent", "ModelCode", "Harness", "Cluster", "UnitCode")
        },
        discovers=np.array(columns["Discovers"], dtype=np.bool_),
        units_noun="task" if any(columns["Tasks"]) else "user" if any(columns["Users"]) else "run",
        evidence={
            (row["JudgeVersion"], bool(row["Late"]), row["Said"], row["Gold"]): tuple(row["Traces"])
            for row in evidence
        },
    )


def _pairs_sql() -> str:
    """SQL for one row a run and pair of judges that labelled it, each by its latest word."""
    latest = f"SELECT * FROM ({_labels_sql('Judge')}) WHERE Judge IN {{judges:Array(String)}}"
    return f"""
    SELECT a.TraceId AS TraceId, a.Judge AS A, b.Judge AS B, a.Said AS SaidA, b.Said AS SaidB,
        run.TaskType AS TaskType, run.Discovers AS Discovers, {_UNIT_CODE}
    FROM ({latest}) AS a
    INNER JOIN ({latest}) AS b ON a.TraceId = b.TraceId
    INNER JOIN ({RUNS_SQL}) AS run ON run.TraceId = a.TraceId
    WHERE a.Judge < b.Judge"""


def _pair_evidence_sql() -> str:
    only = "groupArraySortedIf({max})(TraceId, SaidA = '{a}' AND SaidB = '{b}')"
    first = only.format(max=EVIDENCE_MAX, a="pass", b="fail")
    second = only.format(max=EVIDENCE_MAX, a="fail", b="pass")
    return f"""
    SELECT A, B, TaskType, {first} AS First, {second} AS Second
    FROM ({_pairs_sql()}) GROUP BY A, B, TaskType"""


def _pair_cells_sql() -> str:
    return f"""
    SELECT A, B, TaskType, UnitCode, Discovers,
        countIf(SaidA = 'pass' AND SaidB = 'pass') AS Both,
        countIf(SaidA = 'pass' AND SaidB = 'fail') AS First,
        countIf(SaidA = 'fail' AND SaidB = 'pass') AS Second,
        countIf(SaidA = 'fail' AND SaidB = 'fail') AS Neither
    FROM ({_pairs_sql()})
    GROUP BY A, B, TaskType, UnitCode, Discovers
    ORDER BY A, B, TaskType, UnitCode, Discovers"""
