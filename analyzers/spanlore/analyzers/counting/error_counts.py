"""Counting error clusters over all runs: how often, with which harness, and with which outcome.

The clusters are made of the masked texts that the facts hold; then SQL counts all runs, one row a
cluster and run: looked at where the run calls one of the cluster's tools (models), happened where
one of these calls ended in one of its texts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.counting.fact_counts import (
    FACTS_OF_RUNS_SQL,
    FACTS_SQL,
    RUNS_MIN,
    RUNS_SQL,
    Counted,
    Question,
    counted,
    facts_params,
)
from spanlore.analyzers.counting.mined_templates import mined_templates
from spanlore.analyzers.counting.seen_in import SCOPE_SQL, scope_of, seen_in
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

AT, ERROR = "at", "error"
TOOL, MODEL = "tool", "model"
TEMPLATES_MAX = 2_000  # of all places, those of the most runs first
EVENTS_MIN = 5  # of both arms together: fewer could never be told apart
VERSION_RUNS_MIN = 20

TEMPLATES_SQL = f"""
SELECT Key, sipHash64(Key) AS Code, count() AS Runs, sum(Value) AS Calls
FROM ({FACTS_OF_RUNS_SQL})
GROUP BY Key ORDER BY Runs DESC, Key LIMIT {TEMPLATES_MAX}
"""

# The harnesses of an agent that ran often enough to be told apart, and the one that came last: of
# each tenant, since tenants may have their own. ``NewestCode`` is the same where tenants share it.
_VERSIONS_SQL = f"""
SELECT TenantId, AgentName, groupArray(Version) AS Versions,
       argMax(Version, (Began, Version)) AS Newest, max(Began) AS Since,
       sipHash64(AgentName, Newest) AS NewestCode
FROM (
    SELECT TenantId, AgentName, (AgentVersion, HarnessHash) AS Version, min(StartedAt) AS Began
    FROM ({RUNS_SQL}) WHERE NOT TimeUnknown
    GROUP BY TenantId, AgentName, Version HAVING count() >= {VERSION_RUNS_MIN}
)
GROUP BY TenantId, AgentName HAVING length(Versions) > 1
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorCluster:
    """One error of tools (or models): its text, and the facts that belong to it.

    ``templates`` are the keys of its facts by their hash in the store, ``calls_by_place`` counts
    the calls of each tool (model) that ended so.
    """

    kind: str
    text: str
    templates: tuple[int, ...]
    calls_by_place: Counter[str]
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """The newest harness of an agent: its version, its hash, and when its first run started."""

    agent: str
    version: str
    harness: str
    since: str

    @property
    def words(self) -> str:
        """What a title calls it."""
        return plain(f"{self.agent} {self.version} (harness {self.harness})")


def error_clusters_of(store: Store, window: Window, analyzer: str) -> list[ErrorCluster]:
    """Return the clusters that at least a few runs could have, in the order of their texts."""
    rows = store.query(TEMPLATES_SQL, facts_params(window, analyzer, f"{ERROR}|"))
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        _, place, text = row["Key"].split("|", 2)
        texts[place.partition(":")[0]].append(text)
    mined = {kind: mined_templates(found) for kind, found in texts.items()}
    members: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        _, place, text = row["Key"].split("|", 2)
        kind, _, name = place.partition(":")
        members[kind, mined[kind][text]].append({**row, "Place": name})
    clusters = (_cluster(kind, text, members[kind, text]) for kind, text in sorted(members))
    return [one for one in clusters if one.runs >= RUNS_MIN]


class ErrorCounts:
    """The counts of these clusters over all runs of the window."""

    def __init__(
        self, store: Store, window: Window, analyzer: str, clusters: Sequence[ErrorCluster]
    ) -> None:
        self._store = store
        self._clusters = {str(number): one for number, one in enumerate(clusters)}
        self._errors = facts_params(window, analyzer, "")
        self._places = self._looked_at()
        self._rows = f"(SELECT * FROM ({self._cluster_rows()}))"

    def rates(self) -> Iterator[tuple[ErrorCluster, Counted]]:
        """Yield each cluster with the runs that could have it, and those of them that do."""
        yield from self._counted(rows=self._rows, everything=None)

    def outcomes(self) -> Iterator[tuple[ErrorCluster, Counted]]:
        """Yield each cluster with the judged runs that have it, and those of them that failed.

        Compared with the judged runs that call the same tools (models) and do not have it.
        """
        judged = f"SELECT * FROM {self._rows} WHERE Outcome IN ('pass', 'fail')"
        yield from self._counted(
            rows=f"({judged} AND K > 0)", everything=f"({judged})", by_outcome=True
        )

    def newest(self) -> Iterator[tuple[ErrorCluster, Harness, Counted]]:
        """Yield each cluster with the runs of an agent's newest harness, and those that have it.

        Compared with the agent's earlier harnesses, within tenant, task and model. Left out is
        what no runs of both stand beside each other for, or too few runs have.
        """
        harnesses = {str(row["NewestCode"]): row for row in self._versions()}
        if not harnesses:
            return
        # What is compared is the harness: it must not be held fixed as well. The tenant is, in
        # the place of the agent, of which there is but one.
        rows = f"""SELECT row.* REPLACE (
                concat(row.Key, '|', toString(versions.NewestCode)) AS Key,
                reinterpretAsInt64(sipHash64(row.TenantId)) AS Agent, toInt64(0) AS Harness),
            (row.AgentVersion, row.HarnessHash) = versions.Newest AS IsNewest
            FROM {self._rows} AS row INNER JOIN ({_VERSIONS_SQL}) AS versions
            ON versions.TenantId = row.TenantId AND versions.AgentName = row.AgentName
            WHERE has(versions.Versions, (row.AgentVersion, row.HarnessHash))"""
        question = self._question(
            rows=f"(SELECT * FROM ({rows}) WHERE IsNewest)", everything=f"({rows})"
        )
        for one in counted(self._store, question):
            number, _, newest = one.key.partition("|")
            cells = one.strata
            if _side_by_side(cells) and np.sum(cells.k + cells.other_k) >= EVENTS_MIN:
                yield self._clusters[number], _harness(harnesses[newest]), _by_tenant(one)

    def said(self) -> dict[ErrorCluster, dict[str, Any]]:
        """Return what there is to tell of each cluster beside its counts."""
        if not self._clusters:
            return {}
        places = seen_in(self._store, self._rows, self._errors)
        sql = f"""
        SELECT Key, sum(Value) AS Calls, countIf(K > 0) AS Runs,
               {SCOPE_SQL},
               countIf(K > 0 AND IsFailed) AS FailedWith, countIf(IsFailed) AS Failed,
               countIf(K > 0 AND NOT TimeUnknown) > 0 AS IsTimed,
               minIf(StartedAt, K > 0 AND NOT TimeUnknown) AS FirstSeen,
               argMinIf(concat(AgentName, '/', AgentVersion), (StartedAt, TraceId),
                        K > 0 AND NOT TimeUnknown) AS FirstAgent
        FROM {self._rows} GROUP BY Key ORDER BY Key
        """
        return {
            self._clusters[row["Key"]]: {
                "calls": round(row["Calls"]),
                "runs_affected": row["Runs"],
                "scope": scope_of(row),
                "first_seen": row["FirstSeen"].isoformat() if row["IsTimed"] else None,
                "first_seen_with": plain(row["FirstAgent"]) if row["IsTimed"] else None,
                "failed_runs": row["Failed"],
                "failed_runs_with_it": row["FailedWith"],
                "elsewhere": self._elsewhere(self._clusters[row["Key"]]),
                "seen_in": places.get(row["Key"], []),
            }
            for row in self._store.query(sql, self._errors)
        }

    def _counted(
        self, *, rows: str, everything: str | None, by_outcome: bool = False
    ) -> Iterator[tuple[ErrorCluster, Counted]]:
        question = self._question(rows=rows, everything=everything, by_outcome=by_outcome)
        for one in counted(self._store, question) if self._clusters else ():
            yield self._clusters[one.key], one

    def _question(self, *, rows: str, everything: str | None, by_outcome: bool = False) -> Question:
        return Question(
            rows=rows,
            everything=everything,
            looks="1" if by_outcome else "N",
            events="toUInt64(IsFailed)" if by_outcome else "K",
            by_outcome=by_outcome,
            group="''" if everything is None else "Key",
            params=self._errors,
            runs_min=RUNS_MIN,
        )

    def _cluster_rows(self) -> str:
        """SQL for one row a cluster and run that calls one of its tools: K = 1 where it failed so.

        The facts are recognised by their hashes, which are numbers and stand in the SQL itself.
        """
        lists: list[list[int]] = [[]]
        positions: dict[int, int] = {}
        by_place: dict[str, list[int]] = defaultdict(list)
        for number, cluster in self._clusters.items():
            lists.append([int(number)])
            positions |= dict.fromkeys(cluster.templates, len(lists))
            for place in cluster.calls_by_place:
                by_place[f"{cluster.kind}:{place}"].append(int(number))
        for place, numbers in by_place.items():
            lists.append(numbers)
            positions[self._places[place]["Code"]] = len(lists)
        codes = f"{list(positions) or [0]}, {list(positions.values()) or [1]}, 1"
        return f"""
        SELECT fact.*, run.* EXCEPT (TraceId)
        FROM (
            SELECT toString(Number) AS Key, TraceId, RunVersion, toUInt32(1) AS N,
                   max(IsError) AS K, sum(Calls) AS Value, '' AS Detail
            FROM (
                SELECT TraceId, RunVersion, startsWith(Key, '{ERROR}|') AS IsError,
                       if(IsError, Value, 0) AS Calls,
                       arrayJoin(arrayElement(CAST({lists}, 'Array(Array(UInt32))'),
                                              transform(sipHash64(Key), {codes}))) AS Number
                FROM ({FACTS_SQL})
            )
            GROUP BY Number, TraceId, RunVersion
        ) AS fact
        INNER JOIN ({RUNS_SQL}) AS run
        ON run.TraceId = fact.TraceId AND run.Version = fact.RunVersion
        """

    def _versions(self) -> list[dict[str, Any]]:
        """Return the newest harnesses, of tenants that share one the first that had it."""
        rows = self._store.query(_VERSIONS_SQL, self._errors)
        return sorted(rows, key=lambda row: (row["Since"], row["TenantId"]), reverse=True)

    def _looked_at(self) -> dict[str, dict[str, Any]]:
        """Return for each tool and model its hash, how many runs call it, and how many fail."""
        sql = f"""SELECT Key, sipHash64(Key) AS Code, sum(N) AS Runs, sum(K) AS Failing
        FROM ({FACTS_OF_RUNS_SQL}) GROUP BY Key"""
        rows = self._store.query(sql, {**self._errors, "prefix": f"{AT}|"})
        return {row["Key"].partition("|")[2]: row for row in rows}

    def _elsewhere(self, cluster: ErrorCluster) -> dict[str, int]:
        """Return how often the other tools (models) fail at all: looks are runs that call one."""
        others = [
            row
            for place, row in self._places.items()
            if place.partition(":")[0] == cluster.kind
            and place.partition(":")[2] not in cluster.calls_by_place
        ]
        return {
            "looks": sum(row["Runs"] for row in others),
            "failing": sum(row["Failing"] for row in others),
        }


def _cluster(kind: str, text: str, rows: Sequence[dict[str, Any]]) -> ErrorCluster:
    calls: Counter[str] = Counter()
    for row in rows:
        calls[row["Place"]] += round(row["Calls"])
    return ErrorCluster(
        kind=kind,
        text=text,
        templates=tuple(row["Code"] for row in rows),
        calls_by_place=Counter(dict(sorted(calls.items(), key=lambda one: (-one[1], one[0])))),
        runs=sum(row["Runs"] for row in rows),
    )


def _harness(row: dict[str, Any]) -> Harness:
    version, harness = row["Newest"]
    return Harness(
        agent=row["AgentName"], version=version, harness=harness, since=row["Since"].isoformat()
    )


def _by_tenant(one: Counted) -> Counted:
    """Return the counts with the factor that stands for the tenant under its name."""
    names = {"agent": "tenant"}
    factors = {names.get(name, name): codes for name, codes in one.strata.factors.items()}
    return replace(
        one,
        strata=replace(one.strata, factors=factors),
        adjusted_for=tuple(names.get(name, name) for name in one.adjusted_for),
    )


def _side_by_side(cells: Cells) -> bool:
    """Whether some stratum holds runs of both arms."""
    levels = np.stack(list(cells.factors.values()))
    _, stratum = np.unique(levels, axis=1, return_inverse=True)
    mine = np.bincount(stratum, weights=cells.n)
    others = np.bincount(stratum, weights=cells.other_n)
    return bool(np.any((mine > 0) & (others > 0)))
