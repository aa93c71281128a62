import pytest

from spanlore.schemas import migrate, otlp, tables, views
from spanlore.schemas.store import Store


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
    assert {otlp.OTLP_IN, *(view.name for view in views.ALL)} <= names


def test_a_url_of_another_kind_is_refused_with_the_right_form() -> None:
    with pytest.raises(ValueError, match="clickhouse://user:password@host:8123/database"):
        Store.connect("http://somewhere")
