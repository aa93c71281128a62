"""Who and what shows a thing - agents, models, tenants - for the detail of a finding."""

from collections.abc import Mapping
from typing import Any

from spanlore.analyzers.runs.quoted_text import plain
from spanlore.schemas.store import Store

SEEN_IN_MAX = 5


# Columns that ``scope_of`` reads, of rows with ``K`` and the columns of ``agent_runs``.
SCOPE_SQL = """uniqExactIf(TenantId, K > 0) AS Tenants, minIf(TenantId, K > 0) AS Tenant,
    uniqExact(TenantId) AS TenantsLookedAt, uniqExactIf(UserId, K > 0 AND UserId != '') AS Users"""


def scope_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many tenants and users a thing was seen for, and the tenant if it is but one."""
    alone = row["Tenants"] == 1
    return {
        "tenant": row["Tenant"] if alone else None,
        "only_tenant_affected": alone and row["TenantsLookedAt"] > 1,
        "tenants": row["Tenants"],
        "users": row["Users"],
    }


def seen_in(store: Store, rows: str, params: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return for each key where it was seen, the most runs first.

    ``rows`` is SQL with one row a key and run, with the columns of ``agent_runs``, ``Key`` and
    ``K``. Raises StoreError.
    """
    sql = f"""
    SELECT Key, AgentName, AgentVersion, Model, HarnessHash, countIf(K > 0) AS Seen,
           count() AS Runs
    FROM ({rows})
    GROUP BY Key, AgentName, AgentVersion, Model, HarnessHash HAVING Seen > 0
    ORDER BY Key, Seen DESC, AgentName, AgentVersion, Model, HarnessHash
    LIMIT {SEEN_IN_MAX} BY Key
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in store.query(sql, params):
        found.setdefault(row["Key"], []).append(
            {
                "agent": plain(f"{row['AgentName']}/{row['AgentVersion']}"),
                "model": plain(row["Model"]),
                "harness": row["HarnessHash"],
                "runs_with_it": row["Seen"],
                "runs": row["Runs"],
            }
        )
    return found
