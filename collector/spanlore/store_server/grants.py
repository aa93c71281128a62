"""What the engine itself lets each role read: its users file, written at every start.

chDB knows one user and no row policies of SQL, but it takes roles and that user's row policies from
a users file. A handle starts with all rights; ``SET ROLE reader`` leaves it the tables below. The
engine checks what a name means after it has resolved it, through aliases, joins, views and
``merge()``, and applies a row policy before any condition of the query sees a row, which an
``additional_table_filters`` does not: a failing conversion in PREWHERE would show other rows.
"""

from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement

from spanlore.schemas import tables
from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.table import Table
from spanlore.store_server.statement import quoted

READER_ROLE: Final = "reader"
_OWNER_ROLE: Final = "owner"
_FILE_NAME: Final = "access.xml"
_TENANT_COLUMN: Final = "TenantId"


def readable_tables(tenant: str) -> list[str]:
    """Give the tables of our database that a reader of ``tenant`` may read."""
    if tenant == EVERY_TENANT:
        return [table.name for table in tables.ALL]
    return [table.name for table in tables.ALL if _TENANT_COLUMN in _columns(table)]


def _columns(table: Table) -> set[str]:
    return {column.name for column in table.columns}


def write_access_file(directory: Path, *, tenant: str) -> Path:
    """Write the engine's configuration with its users file, which are one; give its path."""
    path = directory / _FILE_NAME
    root = Element("clickhouse")
    SubElement(root, "users_config").text = str(path)
    SubElement(SubElement(root, "profiles"), "default")
    SubElement(SubElement(root, "quotas"), "default")
    roles = SubElement(root, "roles")
    _role(roles, _OWNER_ROLE, ["GRANT ALL ON *.* WITH GRANT OPTION"])
    readable = readable_tables(tenant)
    granted = [f"GRANT SELECT ON {tables.DATABASE}.{name}" for name in readable]
    _role(roles, READER_ROLE, granted)
    user = SubElement(SubElement(root, "users"), "default")
    SubElement(user, "password")
    SubElement(SubElement(user, "networks"), "ip").text = "::/0"
    SubElement(user, "profile").text = "default"
    SubElement(user, "quota").text = "default"
    _grants(user, [f"GRANT {_OWNER_ROLE}", f"GRANT {READER_ROLE}"])
    if tenant != EVERY_TENANT:
        database = SubElement(SubElement(user, "databases"), tables.DATABASE)
        for name in readable:
            # For an owner it is a constant, and the engine reads as without a policy.
            rows = f"has(currentRoles(), '{_OWNER_ROLE}') OR {_TENANT_COLUMN} = {quoted(tenant)}"
            SubElement(SubElement(database, name), "filter").text = rows
    ElementTree(root).write(path, encoding="utf-8")
    return path


def _role(roles: Element, name: str, queries: list[str]) -> None:
    _grants(SubElement(roles, name), queries)


def _grants(holder: Element, queries: list[str]) -> None:
    grants = SubElement(holder, "grants")
    for query in queries:
        SubElement(grants, "query").text = query
