"""Whether one tenant alone is affected by what a finding tells, while others use the same agents.

Counted over all runs, where the finding's key is one that runs give facts of: those runs in which
it was seen. That all of them are one tenant's says something only where chance would not have made
it so: where the tenant's share of all runs, to the power of how many there are, is small. Of a
finding that no fact has the key of, nothing is said: its evidence is but some of what it was seen
in, and no fair draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, facts_params
from spanlore.analyzers.registry import installed_extractors
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import NOT_REVOKED
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Finding

RUNS_MIN = 5
BY_CHANCE_MAX = 0.01

SHARES_SQL = f"""
SELECT TenantId, count() AS Runs
FROM (SELECT TenantId FROM {RUNS} WHERE {NOT_REVOKED} {LATEST_RUN}) GROUP BY TenantId
"""
SEEN_SQL = f"""
SELECT Key, TenantId, uniqExact(TraceId) AS Runs FROM ({FACTS_OF_RUNS_SQL})
WHERE Key IN {{keys:Array(String)}} AND K > 0 GROUP BY Key, TenantId
"""

Runs = Mapping[str, int]  # by tenant


def with_tenants(store: Store, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with ``detail["affected"]`` where it can be counted.

    Unchanged where there is one tenant only. Raises StoreError.
    """
    runs = {row["TenantId"]: int(row["Runs"]) for row in store.query(SHARES_SQL)}
    if len(runs) < 2:  # noqa: PLR2004 - one tenant is not affected alone
        return list(findings)
    seen = _seen(store, findings)
    return [
        replace(one, detail={**one.detail, "affected": affected(seen[_named(one)], runs)})
        if _named(one) in seen
        else one
        for one in findings
    ]


def affected(seen: Runs, runs: Runs) -> dict[str, object]:
    """Return how many tenants a thing was seen at, and which one it ``only`` was seen at, or None.

    ``seen`` are the runs in which it was, ``runs`` all there are.
    """
    tenant = next(iter(seen))
    share = runs.get(tenant, 0) / max(sum(runs.values()), 1)
    alone = len(seen) == 1 and seen[tenant] >= RUNS_MIN and share ** seen[tenant] <= BY_CHANCE_MAX
    return {"tenants": len(seen), "of": len(runs), "only": tenant if alone else None}


def _seen(store: Store, findings: Sequence[Finding]) -> dict[tuple[str, str], dict[str, int]]:
    """Return (analyzer, key) -> the runs in which it was seen, of the confirmed findings."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for extractor in {one.name for one in installed_extractors()}:
        mine = [one for one in findings if one.confirmed and one.analyzer == extractor]
        keys = sorted(str(one.detail["key"]) for one in mine if "key" in one.detail)
        if keys:
            params = {**facts_params(Window(), extractor, ""), "keys": keys}
            for row in store.query(SEEN_SQL, params):
                by_tenant = found.setdefault((extractor, row["Key"]), {})
                by_tenant[row["TenantId"]] = int(row["Runs"])
    return found


def _named(finding: Finding) -> tuple[str, str]:
    return finding.analyzer, str(finding.detail.get("key"))
