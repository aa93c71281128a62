"""Bring a store to this version's schema: numbered SQL files, then the views.

Each file in ``sql/`` runs once and is remembered in ``schema_migrations``. A view has no data, so
it is dropped and made again whenever its SQL differs from what was remembered. A table or view that
somebody dropped is made again too: without it everything else would only fail.
"""

import hashlib
from collections.abc import Iterable, Iterator
from importlib import resources

from spanlore.schemas import tables, views
from spanlore.schemas.store import Store, StoreError

_LEDGER = "schema_migrations"
_VIEWS = "views"
_LEDGER_DDL = f"""CREATE TABLE IF NOT EXISTS {_LEDGER} (
    Name String,
    Hash String,
    At DateTime64(9) DEFAULT now64(9)
)
ENGINE = ReplacingMergeTree(At)
ORDER BY Name"""


def migrate(url: str) -> list[str]:
    """Apply what is not yet applied; return the names of what was.

    Tables and views that were there once and are missing are made anew and are among them; what
    that means, ``losses`` says.
    Creates the database of the URL when it is not there. Safe to run at every start and by two
    processes one after the other. Raises StoreUnreachable or StoreRefused, and StoreError for
    tables that another version made.
    """
    _create_database(url)
    with Store.connect(url) as store:
        store.command(_LEDGER_DDL)
        ledger = store.query(f"SELECT Name, Hash FROM {_LEDGER} FINAL")
        done = {row["Name"]: row["Hash"] for row in ledger}
        applied = [*_apply_files(store, done)]
        missing = [] if applied else _missing(store, done)
        if missing:
            done[_VIEWS] = ""  # they know the tables that they were made with
        for table in tables.ALL:
            if table.name in missing:
                store.command(table.ddl())
        return [*applied, *missing, *_apply_derived(store, done)]


def losses(applied: Iterable[str]) -> list[str]:
    """Say of each table and view among what was applied that it was missing, and what to do."""
    kinds = {name: "view" for name, _ in _derived()} | {one.name: "table" for one in tables.ALL}
    said = {
        "table": "the rows that it had are gone, unless a backup has them",
        "view": "what was sent while it was missing is not where it leads: send that again",
    }
    return [
        f"the {kinds[name]} {name} was missing and was made anew: {said[kinds[name]]}"
        for name in applied
        if name in kinds
    ]


def migrations() -> Iterator[tuple[str, str]]:
    """Yield (name, SQL) of the numbered migrations, in order."""
    folder = resources.files("spanlore.schemas") / "sql"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            yield file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")


def statements(sql: str) -> list[str]:
    """Split a migration into statements; one ends at a semicolon at the end of a line."""
    return [part.strip() for part in (sql + "\n").split(";\n") if part.strip()]


def initial_sql() -> str:
    """Return the text of the first migration: every table as ``tables.py`` defines it."""
    return "".join(f"{table.ddl()};\n\n" for table in tables.ALL)


def _create_database(url: str) -> None:
    with Store.connect(url, database="default") as server:
        server.command(f"CREATE DATABASE IF NOT EXISTS `{server.address.database}`")


def _apply_files(store: Store, done: dict[str, str]) -> Iterator[str]:
    for name, sql in migrations():
        if name in done:
            _need_the_same(store, name, is_same=done[name] == _hash(sql))
            continue
        for statement in statements(sql):
            store.command(statement)
        _remember(store, name, _hash(sql))
        yield name


def _need_the_same(store: Store, name: str, *, is_same: bool) -> None:
    """Refuse tables that another text made: which columns they lack nobody knows."""
    if not is_same:
        raise StoreError(
            f"the tables of {store.address.database} were made by another version of spanlore "
            f"({name} was another): use that version, or start anew with another --data-dir "
            "(another database, on a server)"
        )


def _apply_derived(store: Store, done: dict[str, str]) -> Iterator[str]:
    """Make the input tables and the views anew when any of them differs from what was made.

    The way in goes first and comes back when all behind it stands: a collector that loads
    meanwhile is told to try again, and no row passes a view that is missing.
    """
    derived = _derived()
    digest = _digest(derived)
    if done.get(_VIEWS) == digest:
        return
    # Until all is made nothing is, also for the version that made the last ones.
    _remember(store, _VIEWS, "")
    behind = {view.name for view in views.ALL if not view.is_way_in}
    for name, _ in sorted(derived, key=lambda made: made[0] in behind):
        store.command(f"DROP TABLE IF EXISTS {name} SYNC")
    for _, ddl in derived:
        store.command(ddl)
    _remember(store, _VIEWS, digest)
    yield _VIEWS


def _derived() -> list[tuple[str, str]]:
    """Return (name, DDL) of the input tables and the views, in the order in which they are made."""
    way_in, behind = (
        [(view.name, view.ddl()) for view in views.ALL if view.is_way_in is wanted]
        for wanted in (True, False)
    )
    return [*behind, *views.INPUTS, *way_in]


def _digest(derived: Iterable[tuple[str, str]]) -> str:
    return _hash("".join(ddl for _, ddl in derived))


def _missing(store: Store, done: dict[str, str]) -> list[str]:
    """Name the tables that are not there, and the views, where they are to be as they were made."""
    derived = _derived()
    expected = [table.name for table in tables.ALL]
    expected += [name for name, _ in derived] if done.get(_VIEWS) == _digest(derived) else []
    found = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    there = {row["name"] for row in found}
    return [name for name in expected if name not in there]


def _remember(store: Store, name: str, digest: str) -> None:
    store.insert(_LEDGER, [{"Name": name, "Hash": digest}])


def _hash(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
