"""The store that a session's tests share, emptied between them."""

from spanlore.schemas import tables
from spanlore.schemas.store import Store

_FILLED = "SELECT DISTINCT table FROM system.parts WHERE database = currentDatabase() AND active"


def empty(store: Store) -> None:
    """Take all rows out of the tables that hold any: there are many, and few tests fill many."""
    filled = {row["table"] for row in store.query(_FILLED)}
    for table in tables.ALL:
        if table.name in filled:
            store.command(f"TRUNCATE TABLE {table.name} SYNC")
