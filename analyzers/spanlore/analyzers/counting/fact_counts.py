"""Counting facts over all runs, in SQL: what happened how often, and whether failure goes with it.

Every count is of whole populations: of each run its latest version, of each fact of that version
one row. A cell is the finest place to compare within: task, agent, model, harness and user, and
where events are outcomes whoever judged. The task is the one that the run names, else (for want of
one) the user with the type of task; the unit that decides the half is the named task, else the
user, else the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.registry import installed_extractors
from spanlore.analyzers.window import IN_WINDOW, NO_END, Window
from spanlore.schemas.learning_tables import NOT_REVOKED, RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS

EVIDENCE_MAX = 20
DETAILS_MAX = 5
RUNS_MIN = 5
# Keys are counted together until their cells are this many: what is in memory at once.
ROWS_MAX = 200_000
_CHANGED = "runs were sealed again while they were counted; learn again"

_TASK = "concat(TaskType, '/', TaskId)"
_USER = "concat(TenantId, '/', UserId)"
_AGENT = "concat(AgentName, '/', AgentVersion)"

RUNS_SQL = f"""
SELECT *, Outcome = 'fail' AS IsFailed,
    multiIf(TaskId != '', {_TASK}, UserId != '', {_USER}, TraceId) AS Unit,
    bitAnd(reinterpretAsUInt8(substring(SHA256(Unit), 1, 1)), 1) = 0 AS Discovers,
    reinterpretAsInt64(sipHash64(
        multiIf(TaskId != '', {_TASK}, UserId != '', concat(TaskType, '|', {_USER}), TaskType)
    )) AS Task,
    reinterpretAsInt64(sipHash64({_AGENT})) AS Agent,
    reinterpretAsInt64(sipHash64(Model)) AS ModelCode,
    reinterpretAsInt64(sipHash64(HarnessHash)) AS Harness,
    reinterpretAsInt64(sipHash64(OutcomeSource)) AS Judge,
    if(UserId != '', reinterpretAsInt64(bitShiftRight(sipHash64({_USER}), 1)), -1) AS Cluster
FROM (
    SELECT * FROM {RUNS}
    WHERE {IN_WINDOW} AND {NOT_REVOKED} {LATEST_RUN}
)
"""
FACTS_SQL = f"""
SELECT Key, TraceId, RunVersion, N, K, Value, Detail, SpanId FROM {RUN_FACTS} FINAL
WHERE Extractor = {{extractor:String}} AND ExtractorVersion = {{version:String}}
    AND Key != '' AND startsWith(Key, {{prefix:String}})
"""
FACTS_OF_RUNS_SQL = f"""
SELECT fact.*, run.* EXCEPT (TraceId)
FROM ({FACTS_SQL}) AS fact
INNER JOIN ({RUNS_SQL}) AS run ON run.TraceId = fact.TraceId AND run.Version = fact.RunVersion
"""
_UNTIL_SQL = f"SELECT toString(max(SealedAt), 'UTC') AS Until FROM {RUNS}"
_CELL = "Task, Agent, ModelCode, Harness, Cluster, Discovers"
_JUDGED_CELL = f"Judge, {_CELL}"
_FACTORS = {
    "task": "Task",
    "agent": "Agent",
    "model": "ModelCode",
    "harness": "Harness",
    "judge": "Judge",
}

_Floats = NDArray[np.float64]
_Codes = NDArray[np.int64]


class RunsChanged(RuntimeError):
    """Runs were sealed again while they were counted: counting again will help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The counts of one key, ready for a hypothesis.

    ``value`` is the sum of the facts' values where the thing happened; ``details`` are the detail
    texts of a few facts, always the same ones. Evidence are trace ids in which it happened (for
    ``presence``: that failed), counter-evidence those in which it did not (that passed).
    """

    key: str
    support: Support
    strata: Cells
    adjusted_for: tuple[str, ...]
    units_noun: str
    evidence: tuple[str, ...]
    counter_evidence: tuple[str, ...]
    value: float
    details: tuple[str, ...]

    def hypothesis(  # noqa: PLR0913 - what an analyzer says beside the counts
        self,
        *,
        analyzer: str,
        key: str,
        title: str,
        detail: Mapping[str, Any],
        counted: str,
        floor: float | None = None,
        family: str = "",
        told: bool = True,
        doubt: str | None = None,
    ) -> Hypothesis:
        """Return the hypothesis of an analyzer that rests on these counts."""
        return Hypothesis(
            analyzer=analyzer,
            key=key,
            title=title,
            support=self.support,
            strata=self.strata,
            adjusted_for=self.adjusted_for,
            evidence=self.evidence,
            counter_evidence=self.counter_evidence,
            units_noun=self.units_noun,
            floor=floor,
            family=family,
            told=told,
            doubt=doubt,
            counted=counted,
            detail=detail,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is counted: SQL for the looks and events of a row, and what the rest is.

    For analyzers whose rows are not the facts of one extractor as they stand.

    ``rows`` is the FROM of the facts, ``everything`` that of all there is to compare with
    (None compares with nothing), ``group`` the SQL of what a key is compared within. Keys with
    fewer events than ``events_min``, or in fewer runs than ``runs_min``, are left out. Where
    ``by_outcome`` says that events are outcomes, like is compared with like as to who judged the
    run: users praise what tests would fail, and may praise for a purpose.
    """

    rows: str
    everything: str | None
    looks: str
    events: str
    group: str
    params: Mapping[str, Any]
    runs_min: int
    events_min: int = 1
    by_outcome: bool = False

    @property
    def cell(self) -> str:
        """SQL for what makes the finest place to compare within."""
        return _JUDGED_CELL if self.by_outcome else _CELL


def rates(  # noqa: PLR0913 - what is counted, and how it is narrowed
    store: Store,
    window: Window,
    extractor: str,
    *,
    prefix: str = "",
    group: str | None = None,
    runs_min: int = RUNS_MIN,
    version: str | None = None,
) -> Iterator[Counted]:
    """Yield for each key how often the thing happened (k of n), cell by cell.

    With ``group``, SQL over ``Key``, a key is compared with all other keys of its group in the
    same cell; without it with nothing, so that only a tolerable rate can be tested. Keys that
    happened in no run, or were looked at in fewer than ``runs_min``, are left out. ``version`` is
    that of the extractor's facts where it is no installed one. Raises StoreError.
    """
    facts = f"({FACTS_OF_RUNS_SQL})"
    yield from counted(
        store,
        Question(
            rows=facts,
            everything=None if group is None else facts,
            looks="N",
            events="K",
            group=group or "''",
            params=facts_params(window, extractor, prefix, version=version),
            runs_min=runs_min,
        ),
    )


def presence(  # noqa: PLR0913 - what is counted, and how it is narrowed
    store: Store,
    window: Window,
    extractor: str,
    *,
    prefix: str = "",
    among: str = "1",
    runs_min: int = RUNS_MIN,
    version: str | None = None,
) -> Iterator[Counted]:
    """Yield for each key the judged runs that have it and those of them that failed.

    Compared with the judged runs of the same cell that do not have it; ``among`` is an SQL
    condition over the columns of ``agent_runs``. Raises StoreError.
    """
    judged = f"Outcome IN ('pass', 'fail') AND ({among})"
    yield from counted(
        store,
        Question(
            rows=f"(SELECT * FROM ({FACTS_OF_RUNS_SQL}) WHERE K > 0 AND {judged})",
            everything=f"(SELECT * FROM ({RUNS_SQL}) WHERE {judged})",
            looks="1",
            events="toUInt64(IsFailed)",
            group="''",
            params=facts_params(window, extractor, prefix, version=version),
            runs_min=runs_min,
            by_outcome=True,
        ),
    )


def facts_params(
    window: Window, extractor: str, prefix: str, *, version: str | None = None
) -> dict[str, str]:
    """Return the parameters of ``FACTS_OF_RUNS_SQL``; no ``version`` is the installed one."""
    if version is None:
        version = next(one.version for one in installed_extractors() if one.name == extractor)
    return {
        **window.params,
        "extractor": extractor,
        "version": version,
        "prefix": prefix,
    }


def counted(store: Store, question: Question) -> Iterator[Counted]:
    """Yield the counts of each key of a question's rows. Raises StoreError, and RunsChanged.

    Every query of it is about the same runs, whatever is sealed meanwhile.
    """
    question = _pinned(store, question)
    keys = store.query(_keys_sql(question), question.params)
    rest = _Rest(store, question)
    for chunk in _chunks(keys):
        columns = _columns(store, question, [row["Key"] for row in chunk])
        names = np.array(columns.pop("Key"), dtype=object)
        if len(names) == 0:
            raise RunsChanged(_CHANGED)
        arrays = {name: np.array(values) for name, values in columns.items()}
        begins = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()]
        ends = [*begins[1:], len(names)]
        pieces = {
            names[begin]: {name: values[begin:end] for name, values in arrays.items()}
            for begin, end in zip(begins, ends, strict=True)
        }
        for row in chunk:
            if row["Key"] not in pieces:
                raise RunsChanged(_CHANGED)
            yield _one(row, pieces[row["Key"]], rest)


def _pinned(store: Store, question: Question) -> Question:
    """Return the question with an end: where its window has none, what is sealed by now."""
    if question.params["until"] != NO_END:
        return question
    until = store.query(_UNTIL_SQL)[0]["Until"]
    return replace(question, params={**question.params, "until": until})


def _one(row: Mapping[str, Any], mine: Mapping[str, NDArray[Any]], rest: "_Rest") -> Counted:
    cells = rest.beside(mine, row["Group"])
    named = [
        name for name, codes in cells.factors.items() if name == "task" or len(np.unique(codes)) > 1
    ]
    noun = "task" if row["Tasks"] else "user" if row["Users"] else "run"
    return Counted(
        key=row["Key"],
        support=Support(n=row["Looks"], k=row["Events"], runs=row["Runs"], units=row["Units"]),
        strata=cells,
        adjusted_for=tuple(
            noun if name == "task" else name for name in named if name != "task" or noun != "run"
        ),
        units_noun=noun,
        evidence=tuple(trace_id for _, trace_id in row["Evidence"]),
        counter_evidence=tuple(row["Counter"]),
        value=row["Value"],
        details=tuple(detail for _, detail in row["Details"]),
    )


def _keys_sql(question: Question) -> str:
    """SQL for one row a key: its support and evidence, in the order of the keys."""
    return f"""
SELECT Key, any({question.group}) AS Group, sum({question.looks}) AS Looks,
    sum({question.events}) AS Events, uniqExact(TraceId) AS Runs,
    uniqExactIf(Unit, {question.events} > 0) AS Units, countIf(TaskId != '') > 0 AS Tasks,
    countIf(UserId != '') > 0 AS Users, uniqExact({question.cell}) AS CellCount,
    sumIf(Value, K > 0) AS Value,
    groupArraySortedIf({EVIDENCE_MAX})(
        (-toInt64({question.events}), TraceId), {question.events} > 0
    ) AS Evidence,
    groupArraySortedIf({EVIDENCE_MAX})(TraceId, {question.events} = 0) AS Counter,
    groupArraySortedIf({DETAILS_MAX})((TraceId, Detail), Detail != '' AND K > 0) AS Details
FROM {question.rows}
GROUP BY Key
HAVING Runs >= {question.runs_min} AND Events >= {question.events_min}
ORDER BY Key
"""


def _columns(store: Store, question: Question, keys: Sequence[str]) -> dict[str, list[Any]]:
    return store.columns(
        f"""SELECT Key, {question.cell}, sum({question.looks}) AS n, sum({question.events}) AS k
        FROM {question.rows} WHERE Key IN {{keys:Array(String)}}
        GROUP BY Key, {question.cell} ORDER BY Key""",
        {**question.params, "keys": list(keys)},
    )


def _chunks(keys: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    rows = 0
    for row in keys:
        if chunk and rows + row["CellCount"] > ROWS_MAX:
            yield chunk
            chunk, rows = [], 0
        chunk.append(row)
        rows += row["CellCount"]
    if chunk:
        yield chunk


class _Rest:
    """All that a key is compared with, cell by cell, held once for all keys of a group."""

    def __init__(self, store: Store, question: Question) -> None:
        self._groups: dict[str, dict[str, NDArray[Any]]] = {}
        if question.everything is None:
            return
        columns = store.columns(
            f"""SELECT {question.group} AS Group, {question.cell}, sum({question.looks}) AS n,
                sum({question.events}) AS k
            FROM {question.everything} GROUP BY Group, {question.cell} ORDER BY Group""",
            question.params,
        )
        groups = np.array(columns.pop("Group"), dtype=object)
        arrays = {name: np.array(values) for name, values in columns.items()}
        for group in dict.fromkeys(groups):
            where = groups == group
            self._groups[group] = _in_order(
                {name: values[where] for name, values in arrays.items()}
            )

    def beside(self, mine: Mapping[str, NDArray[Any]], group: str) -> Cells:
        """Return the key's cells with the rest of its group at every task it has cells of.

        Also of other agents and harnesses: they tell how much lies in those.
        """
        every = self._groups.get(group)
        if every is None:
            nothing = np.zeros(len(mine["n"]))
            return _cells(mine, n=mine["n"], k=mine["k"], other=(nothing, nothing))
        within = np.isin(every["Task"], np.unique(mine["Task"]))
        held = {name: values[within] for name, values in every.items()}
        cells = _cell(mine)
        at = np.searchsorted(held["cell"], cells)
        if (at == len(held["cell"])).any() or (held["cell"][at] != cells).any():
            raise RunsChanged(_CHANGED)
        n, k = np.zeros(len(held["cell"])), np.zeros(len(held["cell"]))
        n[at], k[at] = mine["n"], mine["k"]
        return _cells(held, n=n, k=k, other=(held["n"] - n, held["k"] - k))


def _cells(
    place: Mapping[str, NDArray[Any]],
    *,
    n: NDArray[Any],
    k: NDArray[Any],
    other: tuple[_Floats, _Floats],
) -> Cells:
    return Cells(
        n=n.astype(np.float64),
        k=k.astype(np.float64),
        other_n=other[0].astype(np.float64),
        other_k=other[1].astype(np.float64),
        discovers=place["Discovers"].astype(bool),
        factors={
            name: place[column].astype(np.int64)
            for name, column in _FACTORS.items()
            if column in place
        },
        cluster=place["Cluster"].astype(np.int64),
    )


def _in_order(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    held = {**columns, "cell": _cell(columns)}
    order = np.argsort(held["cell"], kind="stable")
    return {name: values[order] for name, values in held.items()}


def _cell(columns: Mapping[str, NDArray[Any]]) -> _Codes:
    names = (*_FACTORS.values(), "Cluster", "Discovers")
    return _mixed([columns[name] for name in names if name in columns])


def _mixed(columns: Sequence[NDArray[Any]]) -> _Codes:
    """Mix several codes into one, as good as unique among some millions (splitmix64)."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.int64).view(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed.view(np.int64)
