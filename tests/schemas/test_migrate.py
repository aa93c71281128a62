from pathlib import Path

import pytest

from spanlore.schemas import migrate, otlp, tables, views
from spanlore.schemas.store import Store, StoreError
from tests.collector.otlp_requests import traces
from tests.schemas.segments import segment


def columns(store: Store, table: str) -> dict[str, tuple[str, str]]:
    rows = store.query(
        "SELECT name, type, default_kind FROM system.columns "
        "WHERE database = currentDatabase() AND table = {table:String}",
        {"table": table},
    )
    return {row["name"]: (row["type"], row["default_kind"]) for row in rows}


def test_the_first_migration_is_what_tables_define() -> None:
    assert dict(migrate.migrations())["0001_tables"] == migrate.initial_sql()


def test_a_migrated_store_has_the_columns_that_tables_define(store: Store) -> None:
    for table in tables.ALL:
        found = columns(store, table.name)
        assert list(found) == [column.name for column in table.columns], table.name
        for column in table.columns:
            kind, default_kind = found[column.name]
            assert kind == column.type, (table.name, column.name)
            expected = "ALIAS" if column.alias else "DEFAULT" if column.default else ""
            assert default_kind == expected, (table.name, column.name)


def test_migrating_again_changes_nothing(store_url: str) -> None:
    assert migrate.migrate(store_url) == []


def test_a_view_whose_sql_changed_is_made_again(store_server_url: str) -> None:
    url = f"{store_server_url}/changed_view"
    migrate.migrate(url)
    with Store.connect(url) as store:
        store.command("TRUNCATE TABLE schema_migrations")
        assert migrate.migrate(url) == ["0001_tables", "views"]
        store.command(
            "ALTER TABLE schema_migrations DELETE WHERE Name = 'views' SETTINGS mutations_sync = 2"
        )
        store.insert("schema_migrations", [{"Name": "views", "Hash": "of other SQL"}])
        assert migrate.migrate(url) == ["views"]
        assert migrate.migrate(url) == []
        made = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    names = {row["name"] for row in made}
    assert {*otlp.INPUTS, *(view.name for view in views.ALL)} <= names


@pytest.mark.parametrize("name", [tables.TRACES, f"{tables.TRACES}_from_otlp", otlp.TRACES_IN])
def test_what_somebody_dropped_is_made_anew_and_said(
    store_server_url: str, name: str, tmp_path: Path
) -> None:
    url = f"{store_server_url}/dropped_{name}"
    migrate.migrate(url)
    with Store.connect(url) as store:
        store.command(f"DROP TABLE {name} SYNC")
        applied = migrate.migrate(url)
        assert applied == [name, "views"]
        (said,) = migrate.losses(applied)
        assert f" {name} was missing and was made anew" in said
        assert store.query(f"EXISTS TABLE {name}") == [{"result": 1}]
        assert migrate.migrate(url) == []
        store.insert_segment(segment(tmp_path, [traces(1)]), token="one")
        assert store.query(f"SELECT count() AS n FROM {tables.TRACES}") == [{"n": 1}]


def test_nothing_is_lost_where_a_migration_is_applied() -> None:
    assert migrate.losses(["0001_tables", "views"]) == []


def test_a_url_of_another_kind_is_refused_with_the_right_form() -> None:
    with pytest.raises(ValueError, match="clickhouse://user:password@host:8123/database"):
        Store.connect("http://somewhere")


def test_a_replacement_of_views_that_was_cut_short_is_done_again_by_the_same_version(
    store_server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{store_server_url}/cut_short"
    migrate.migrate(url)
    ours, other = views.ALL, (*views.ALL, views.View("extra", tables.LOGS, "SELECT * FROM nowhere"))
    monkeypatch.setattr(views, "ALL", other)
    with pytest.raises(StoreError):  # the newer version's last view cannot be made
        migrate.migrate(url)
    monkeypatch.setattr(views, "ALL", ours)
    assert migrate.migrate(url) == ["views"]


def test_while_views_are_replaced_nothing_goes_in_past_one_that_is_missing(
    store_server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{store_server_url}/in_order"
    migrate.migrate(url)
    command, seen = Store.command, list[tuple[bool, bool]]()

    def watched(store: Store, sql: str, *more: object) -> None:
        command(store, sql, *more)  # type: ignore[arg-type]
        rows = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        names = {row["name"] for row in rows}
        behind = {view.name for view in views.ALL if not view.is_way_in}
        seen.append((not names.isdisjoint(otlp.INPUTS), behind <= names))

    with Store.connect(url) as store:
        store.insert("schema_migrations", [{"Name": "views", "Hash": "of other SQL"}])
    monkeypatch.setattr(Store, "command", watched)
    assert migrate.migrate(url) == ["views"]
    assert (False, False) in seen
    assert (True, False) not in seen


def test_tables_of_another_version_are_named_with_the_next_step(store_server_url: str) -> None:
    url = f"{store_server_url}/of_another_version"
    migrate.migrate(url)
    with Store.connect(url) as store:
        store.insert("schema_migrations", [{"Name": "0001_tables", "Hash": "of another text"}])
        store.command("DROP TABLE learning_log SYNC")
    with pytest.raises(StoreError, match=r"another version of spanlore.*--data-dir"):
        migrate.migrate(url)
