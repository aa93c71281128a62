"""How statements are read, without an engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.store_server.errors import QueryError, from_engine
from spanlore.store_server.insert import Source, read_insert
from spanlore.store_server.statement import (
    Caller,
    Surroundings,
    divide,
    format_clause,
    set_statement,
    statement,
    without_format,
)

AROUND = Surroundings(
    caller=Caller("admin", "admin"), readonly=False, database="", default_format=""
)


@pytest.mark.parametrize(
    ("head", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", b"1,2\n"),
        (b"INSERT INTO t FORMAT CSV 1,2", b"1,2"),
        (b"INSERT INTO t FORMAT CSV;\n1,2", b"1,2"),
        (b"INSERT INTO t FORMAT CSV \r\n\n1", b"\n1"),
        (b"INSERT INTO t FORMAT CSV\n;1", b";1"),
        (b"INSERT INTO t FORMAT Native\n\x00\xff'\"`/*", b"\x00\xff'\"`/*"),
        (b"INSERT INTO t (`a)b`, c) FORMAT CSV\n1", b"1"),
        (b'INSERT INTO `d`."FORMAT" FORMAT CSV\n1', b"1"),
        (b"INSERT INTO format FORMAT CSV\n1", b"1"),
        (b"INSERT INTO t -- FORMAT TSV\n FORMAT CSV\n1", b"1"),
        (b"INSERT INTO t SETTINGS a = 'FORMAT TSV', format = 1 FORMAT CSV\n1", b"1"),
        (b"INSERT INTO t SETTINGS a = -1, b = [1, 2], c = {'x': 1} FORMAT CSV\n1", b"1"),
        (b"INSERT INTO {t:Identifier} (* EXCEPT (a)) FORMAT CSV\n1", b"1"),
        (b"INSERT INTO TABLE FUNCTION file('FORMAT') (a) FORMAT CSV\n1", b"1"),
        ("INSERT INTO tablež FORMAT CSV\nž".encode(), "ž".encode()),
    ],
)
def test_data_begins_where_clickhouse_says_it_begins(head: bytes, data: bytes) -> None:
    plan = divide(head, complete=True)
    assert plan.loads
    assert plan.data == data
    assert plan.insert is not None
    assert plan.insert.format_name in {"CSV", "Native"}


def test_a_load_keeps_columns_and_settings_in_their_places() -> None:
    head = "INSERT INTO ž (a, b) SETTINGS x = 'ž' FORMAT CSV\n1,2".encode()
    asked = statement(divide(head, complete=True), AROUND, file="f.body")
    assert asked.sql == (
        "INSERT INTO ž (a, b) FROM INFILE 'f.body' COMPRESSION 'none' SETTINGS x = 'ž' FORMAT CSV"
    )


@pytest.mark.parametrize(
    ("sql", "source"),
    [
        ("INSERT INTO t VALUES (1)", Source.VALUES),
        ("INSERT INTO t (values) values (1)", Source.VALUES),
        ("INSERT INTO t SELECT 1 FORMAT CSV", Source.SELECT),
        ("INSERT INTO t WITH 1 AS x SELECT x", Source.SELECT),
        ("INSERT INTO t (SELECT 1)", Source.OPEN),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", Source.INFILE),
        ("INSERT INTO t", Source.OPEN),
    ],
)
def test_where_rows_come_from(sql: str, source: Source) -> None:
    insert = read_insert(sql)
    assert insert is not None
    assert insert.source is source


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT 1", None),
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format JSON;", "JSON"),
        ("SELECT 1 FORMAT JSON SETTINGS a = 1", "JSON"),
        ("SELECT 1 SETTINGS a = 1 FORMAT JSON", "JSON"),
        ("SELECT 'FORMAT JSON'", None),
        ("SELECT 1 -- FORMAT JSON", None),
        ("SELECT 1 /* FORMAT JSON */", None),
        ("SELECT format('{}', 1) AS x", None),
        ("SELECT format FROM t", None),
        ("SELECT * FROM format(JSON, '{}')", None),
        ("SELECT * FROM (SELECT 1 FORMAT JSON)", None),
    ],
)
def test_the_format_of_an_answer_is_the_trailing_one(sql: str, name: str | None) -> None:
    clause = format_clause(sql)
    assert (clause.name if clause else None) == name


def test_a_format_is_cut_out_without_what_follows_it() -> None:
    assert without_format("SELECT 1 FORMAT JSON SETTINGS a = 1;") == "SELECT 1  SETTINGS a = 1"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_in_another_way_than_a_query_error(data: bytes) -> None:
    for head in (data, b"INSERT INTO " + data, b"INSERT INTO t FORMAT " + data):
        try:
            statement(divide(head, complete=True), AROUND, file="f")
        except QueryError as error:
            assert error.status in {400, 413, 500}  # noqa: PT017


@given(st.binary(max_size=300))
def test_whatever_the_data_is_it_goes_to_the_spool_unchanged(data: bytes) -> None:
    assert divide(b"INSERT INTO t FORMAT RowBinary\n" + data, complete=True).data == data


def test_setting_names_are_names_and_values_are_quoted() -> None:
    assert set_statement({"a_1": "it's \\"}) == "SET a_1 = 'it\\'s \\\\'"
    for name in ("a b", "1a", "", "a;", "a=1,b", "á"):
        with pytest.raises(QueryError, match="Unknown setting"):
            set_statement({name: "1"})


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 60, "UNKNOWN_TABLE"),
        (
            "Streaming failed: Code: 241. DB::Exception: m. (MEMORY_LIMIT_EXCEEDED) (version 1)",
            241,
            "MEMORY_LIMIT_EXCEEDED",
        ),
        ("something else", 1002, "UNKNOWN_EXCEPTION"),
        ("", 1002, "UNKNOWN_EXCEPTION"),
    ],
)
def test_the_engines_errors_are_read(text: str, code: int, name: str) -> None:
    error = from_engine(text)
    assert (error.code, error.name) == (code, name)
    assert error.text("1").endswith(f"({name}) (version 1)")
