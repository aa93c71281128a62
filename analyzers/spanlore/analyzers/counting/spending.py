"""Counting time and tokens over all runs: what is usual, what is beyond it, and what it sums to."""

from collections.abc import Iterator
from typing import Any

from spanlore.analyzers.counting.fact_counts import (
    FACTS_OF_RUNS_SQL,
    RUNS_MIN,
    RUNS_SQL,
    Counted,
    Question,
    counted,
    facts_params,
    rates,
)
from spanlore.analyzers.counting.spent_ratio import spent_ratio, spent_ratio_sql
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

TOOK, CACHE_MISS, REPEATED, RETRIED = "took", "cache_miss", "repeated", "retried"
DEVIATIONS = 5
MS_OVER_MIN = 1_000
COSTLY_TIMES = 2
# Fewer runs do not tell what is usual for a kind of task.
USUAL_RUNS_MIN = 20
TASKS_SHOWN_MAX = 3
# The MAD of a normal distribution is this part of its standard deviation.
_MAD_TO_SIGMA = 1.4826
# A tool that always takes as long to the millisecond: a tenth more is no outlier.
_SIGMA_MIN = 0.05

# Values are milliseconds; the usual and the limit are those of the key's runs.
_SLOW_ROWS = f"""
SELECT fact.* REPLACE (
    toUInt32(1) AS N, toUInt32(fact.Value > usual.LimitMs) AS K,
    greatest(fact.Value - usual.UsualMs, 0) AS Value
), usual.UsualMs AS UsualMs, usual.LimitMs AS LimitMs
FROM ({FACTS_OF_RUNS_SQL}) AS fact
INNER JOIN (
    SELECT Key, exp(any(Middle)) AS UsualMs,
        {_MAD_TO_SIGMA} * quantileExact(0.5)(abs(log(Value) - Middle)) AS Sigma,
        greatest(exp(any(Middle) + {DEVIATIONS} * greatest(Sigma, {_SIGMA_MIN})),
                 UsualMs + {MS_OVER_MIN}) AS LimitMs
    FROM ({FACTS_OF_RUNS_SQL}) AS one
    INNER JOIN (
        SELECT Key, quantileExact(0.5)(log(Value)) AS Middle FROM ({FACTS_OF_RUNS_SQL}) GROUP BY Key
    ) AS middle ON middle.Key = one.Key
    GROUP BY Key
) AS usual ON usual.Key = fact.Key
"""

_SPENT_ROWS = f"""
SELECT *, ifNull(InputTokens, 0) + ifNull(OutputTokens, 0) AS Tokens FROM ({RUNS_SQL})
WHERE Outcome IN ('pass', 'fail') AND (InputTokens IS NOT NULL OR OutputTokens IS NOT NULL)
"""
_FAILURE_ROWS = f"""
SELECT *, concat('spent_on_failure|', AgentName) AS Key, toUInt32(1) AS N, toUInt32(IsFailed) AS K,
       toFloat64(Tokens) AS Value, '' AS Detail
FROM ({_SPENT_ROWS})
"""
_USUAL = "TaskType, AgentName, AgentVersion, Model"
_COSTLY_ROWS = f"""
SELECT run.*, 'costly' AS Key, toUInt32(1) AS N,
       toUInt32(run.Tokens > {COSTLY_TIMES} * Median) AS K,
       greatest(run.Tokens - Median, 0) AS Value, '' AS Detail
FROM ({_SPENT_ROWS}) AS run
INNER JOIN (
    SELECT {_USUAL}, quantileExact(0.5)(Tokens) AS Median FROM ({_SPENT_ROWS})
    GROUP BY {_USUAL} HAVING count() >= {USUAL_RUNS_MIN}
) AS usual USING ({_USUAL})
"""

_PARTS = {
    "task": "if(TaskId != '', concat(TaskType, '/', TaskId), '')",
    "user": "if(UserId != '', concat(TenantId, '/', UserId), '')",
}


class Spending:
    """What the runs of the window spent."""

    def __init__(self, store: Store, window: Window, analyzer: str) -> None:
        self._store = store
        self._window = window
        self._analyzer = analyzer

    def slow(self) -> Iterator[tuple[Counted, dict[str, Any]]]:
        """Yield each tool and model: runs with a call far slower than usual, and the time lost."""
        params = facts_params(self._window, self._analyzer, f"{TOOK}|")
        usual = {
            row["Key"]: {
                "usual_ms": round(row["UsualMs"], 1),
                "limit_ms": round(row["LimitMs"], 1),
                "slowest_ms_over_usual": round(row["Most"], 1),
                "ms_over_usual_a_run": _json(row),
            }
            for row in self._store.query(
                f"""SELECT Key, any(UsualMs) AS UsualMs, any(LimitMs) AS LimitMs, max(Most) AS Most,
                    {spent_ratio_sql(part="Over", whole="Runs")}
                FROM (
                    SELECT Key, Unit, any(UsualMs) AS UsualMs, any(LimitMs) AS LimitMs,
                        max(Value) AS Most, sumIf(Value, K > 0) AS Over, toFloat64(count()) AS Runs
                    FROM ({_SLOW_ROWS}) GROUP BY Key, Unit
                ) GROUP BY Key""",
                params,
            )
        }
        question = _alone(f"({_SLOW_ROWS})", params)
        for one in counted(self._store, question):
            yield one, usual[one.key]

    def cache_misses(self) -> Iterator[tuple[Counted, dict[str, Any]]]:
        """Yield each model: runs whose prefixes were hardly read from the cache, and the tokens."""
        prefix = f"{CACHE_MISS}|"
        rows = self._store.query(
            f"""SELECT Key, {spent_ratio_sql(part="Missed", whole="Runs")}
            FROM (
                SELECT Key, Unit, sum(Value) AS Missed, toFloat64(count()) AS Runs
                FROM ({FACTS_OF_RUNS_SQL}) GROUP BY Key, Unit
            ) GROUP BY Key""",
            facts_params(self._window, self._analyzer, prefix),
        )
        missed = {row["Key"]: _json(row) for row in rows}
        for one in rates(self._store, self._window, self._analyzer, prefix=prefix):
            yield one, missed[one.key] or {}

    def on_failure(self) -> Iterator[tuple[Counted, dict[str, Any]]]:
        """Yield each agent: its failed runs, the tokens spent on them, and where most are spent."""
        params = facts_params(self._window, self._analyzer, "")
        rows = self._store.query(
            f"""SELECT Key, {spent_ratio_sql(part="Failed", whole="Spent")}
            FROM (
                SELECT Key, Unit, sumIf(Value, K > 0) AS Failed, sum(Value) AS Spent
                FROM ({_FAILURE_ROWS}) GROUP BY Key, Unit
            ) GROUP BY Key""",
            params,
        )
        spent = {row["Key"]: {"tokens_on_failure": _json(row)} for row in rows}
        repeated = self._repeated()
        for key, found in spent.items():
            found |= {"tokens_on_repeats": repeated.get(key.partition("|")[2], {})}
            found |= {f"by_{part}": self._spread(key, params, part=part) for part in _PARTS}
        for one in counted(self._store, _alone(f"({_FAILURE_ROWS})", params)):
            yield one, spent[one.key]

    def costly(self) -> Iterator[Counted]:
        """Yield the judged runs that use far more tokens than usual, beside the others."""
        yield from counted(
            self._store,
            Question(
                rows=f"(SELECT * FROM ({_COSTLY_ROWS}) WHERE K > 0)",
                everything=f"({_COSTLY_ROWS})",
                looks="1",
                events="toUInt64(IsFailed)",
                group="''",
                params=facts_params(self._window, self._analyzer, ""),
                runs_min=RUNS_MIN,
                by_outcome=True,
            ),
        )

    def _repeated(self) -> dict[str, dict[str, int]]:
        """Return for each agent the tokens of repeated calls, and of unchanged retries in them."""
        sql = f"""SELECT AgentName, Key, sum(Value) AS Tokens, count() AS Runs
        FROM ({FACTS_OF_RUNS_SQL}) WHERE Key IN ('{REPEATED}', '{RETRIED}')
        GROUP BY AgentName, Key ORDER BY AgentName, Key"""
        found: dict[str, dict[str, int]] = {}
        for row in self._store.query(sql, facts_params(self._window, self._analyzer, "re")):
            of_agent = found.setdefault(row["AgentName"], {})
            of_agent[f"tokens_{row['Key']}"] = round(row["Tokens"])
            of_agent[f"runs_{row['Key']}"] = row["Runs"]
        return found

    def _spread(self, key: str, params: dict[str, str], *, part: str) -> dict[str, Any] | None:
        """Return how the tokens of an agent are spread over its tasks, or its users."""
        sql = f"""
        SELECT count() AS Number, sum(Tokens) AS Spent,
               arrayReverseSort(groupArray((Tokens, Part))) AS Ordered,
               arraySum(one -> one.1, arraySlice(Ordered, 1, toUInt32(ceil(count() / 10))))
                   AS OfTopTenth,
               arraySlice(Ordered, 1, {TASKS_SHOWN_MAX}) AS Most
        FROM (
            SELECT {_PARTS[part]} AS Part, sum(Value) AS Tokens FROM ({_FAILURE_ROWS})
            WHERE Key = {{key:String}} AND Part != '' GROUP BY Part
        )"""
        [row] = self._store.query(sql, {**params, "key": key})
        if not row["Spent"]:
            return None
        most = [{"task": plain(name), "tokens": round(spent)} for spent, name in row["Most"]]
        return {
            f"{part}s": row["Number"],
            "share_of_top_tenth": round(row["OfTopTenth"] / row["Spent"], 4),
            **({"most": most} if part == "task" else {}),  # users are not named
        }


def _alone(rows: str, params: dict[str, str]) -> Question:
    return Question(
        rows=rows,
        everything=None,
        looks="N",
        events="K",
        group="''",
        params=params,
        runs_min=RUNS_MIN,
    )


def _json(row: dict[str, Any]) -> dict[str, Any] | None:
    found = spent_ratio(row)
    return None if found is None else found.json()
