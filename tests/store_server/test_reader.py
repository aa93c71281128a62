"""The reader's door, as a stranger with its password would use it: statements put over HTTP."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import clickhouse_connect
import httpx
import pytest

from spanlore.schemas.credentials import Login
from spanlore.store_server import reader
from spanlore.store_server.running import EXIT_STUCK
from tests.store_server.reader_store import (
    ACME_SPANS,
    CANARY,
    CANARY_NANOS,
    UNREAD,
    ReaderStore,
    reader_store,
    statements,
)
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until

HOSTILE = statements("hostile")
OTHER_TENANTS = statements("other_tenants")
BOMBS = statements("bombs")["bombs"]
LEGITIMATE = list(chain.from_iterable(statements("legitimate").values()))
PARALLEL = 4


@pytest.fixture(scope="module")
def everyones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderStore]:
    yield from reader_store(tmp_path_factory.mktemp("everyones"), tenant="*")


@pytest.fixture(scope="module")
def acmes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderStore]:
    yield from reader_store(tmp_path_factory.mktemp("acmes"), tenant="acme")


def every(cases: list[str]) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(PARALLEL, len(cases)))


def test_there_are_three_hundred_hostile_statements() -> None:
    hostile = {*chain.from_iterable([*HOSTILE.values(), *OTHER_TENANTS.values()]), *BOMBS}
    assert len(hostile) >= 300


@pytest.mark.parametrize("category", HOSTILE)
def test_a_hostile_statement_is_refused_and_touches_nothing(
    everyones: ReaderStore, category: str
) -> None:
    cases = HOSTILE[category]
    with every(cases) as threads:
        answers = list(threads.map(everyones.answer, cases))
    answered = [sql for sql, answer in zip(cases, answers, strict=True) if answer.is_success]
    assert answered == []
    texts = "".join(answer.text for answer in answers)
    assert CANARY not in texts.replace(str(everyones.canary), "")
    assert not [secret for secret in everyones.secrets if secret in texts]
    everyones.assert_untouched()
    assert (
        everyones.process.ask("SELECT count() FROM spanlore.otel_traces") == f"{ACME_SPANS + 1}\n"
    )


@pytest.mark.parametrize("category", OTHER_TENANTS)
def test_a_reader_of_one_tenant_sees_nothing_of_another(acmes: ReaderStore, category: str) -> None:
    cases = OTHER_TENANTS[category]
    with every(cases) as threads:
        answers = list(threads.map(acmes.answer, cases))
    told = [
        sql
        for sql, answer in zip(cases, answers, strict=True)
        if CANARY in (said := answer.text.replace(sql, "")) or CANARY_NANOS in said
    ]
    assert told == []
    acmes.assert_untouched()


def test_the_witness_of_read_files_sees_a_read(everyones: ReaderStore) -> None:
    if os.statvfs(everyones.canary).f_flag & os.ST_NOATIME:
        pytest.skip("this file system keeps no times of access")
    everyones.canary.read_bytes()
    assert everyones.canary.stat().st_atime != UNREAD[0]
    os.utime(everyones.canary, UNREAD)


@pytest.mark.parametrize("tenant", ["everyones", "acmes"])
def test_what_dashboards_and_clients_ask_is_answered(
    tenant: str, request: pytest.FixtureRequest
) -> None:
    store: ReaderStore = request.getfixturevalue(tenant)
    with every(LEGITIMATE) as threads:
        answers = list(threads.map(store.answer, LEGITIMATE))
    refused = {
        sql: answer.text
        for sql, answer in zip(LEGITIMATE, answers, strict=True)
        if not answer.is_success or "DB::Exception" in answer.text
    }
    if tenant == "acmes":
        # What tells of the whole store, or has no tenant to go by, is not a tenant's to read.
        ours = ("system.tables", "system.columns", "information_schema", "harness_parts")
        untold = (*ours, "_trace_id_ts", "findings", "learning_log")
        refused = {
            sql: why for sql, why in refused.items() if not any(t in sql.lower() for t in untold)
        }
    assert refused == {}


@pytest.mark.parametrize("part", range(4))
def test_a_bomb_ends_within_its_caps(everyones: ReaderStore, part: int) -> None:
    cases = BOMBS[part::4]
    before = resident_bytes(everyones)
    with every(cases) as threads:
        answers = list(
            threads.map(lambda sql: everyones.answer(sql, max_execution_time="1"), cases)
        )
    for sql, answer in zip(cases, answers, strict=True):
        assert not answer.is_success or "DB::Exception" in answer.text[-500:], sql
        assert len(answer.content) <= reader.RESULT_BYTES_MAX + 1024
    grown = resident_bytes(everyones) - before
    assert grown < PARALLEL * (reader.MEMORY_BYTES_MAX + reader.RESULT_BYTES_MAX)
    assert everyones.answer("SELECT 1").text == "1\n"


def resident_bytes(store: ReaderStore) -> int:
    """Give the most memory that the process has held."""
    status = Path(f"/proc/{store.process.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("max_execution_time", "100000", reader.TIME_S_MAX),
        ("max_execution_time", "0", reader.TIME_S_MAX),
        ("max_execution_time", "-1", reader.TIME_S_MAX),
        ("max_execution_time", "7", 7),
        ("max_memory_usage", "0", reader.MEMORY_BYTES_MAX),
        ("max_memory_usage", "99999999999999", reader.MEMORY_BYTES_MAX),
        ("max_result_rows", "0", reader.RESULT_ROWS_MAX),
        ("max_result_bytes", "nan", reader.RESULT_BYTES_MAX),
        ("max_threads", "64", reader.THREADS_MAX),
        ("readonly", None, 1),
    ],
)
def test_a_setting_of_the_client_is_cut_to_the_cap(
    everyones: ReaderStore, name: str, asked: str | None, given: int
) -> None:
    params = {} if asked is None else {name: asked}
    answer = everyones.answer(f"SELECT value FROM system.settings WHERE name = '{name}'", **params)
    assert answer.text == f"{given}\n"


@pytest.mark.parametrize(
    "setting",
    [
        "readonly",
        "additional_table_filters",
        "allow_ddl",
        "allow_introspection_functions",
        "format_schema",
        "format_template_resultset",
        "max_bytes_before_external_sort",
        "output_format_schema",
        "max_rows_to_read_leaf",
        "x' , readonly = 0 , x",
        "max_execution_time = 1, readonly",
    ],
)
def test_a_setting_that_is_not_listed_is_refused(everyones: ReaderStore, setting: str) -> None:
    answer = everyones.answer("SELECT 1", **{setting: "0"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (403, "164")


def test_how_answers_are_packed_is_nothing_that_a_reader_sets(everyones: ReaderStore) -> None:
    packing = {"network_compression_method": "ZSTD", "network_zstd_compression_level": "3"}
    answer = everyones.answer("SELECT 1", compress="1", **packing)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("database", ["system", "other", "information_schema", "x` ; --"])
def test_a_reader_stays_in_its_database(everyones: ReaderStore, database: str) -> None:
    assert everyones.answer("SELECT * FROM processes", database=database).status_code == 403


def test_a_get_request_reads_too(everyones: ReaderStore) -> None:
    with everyones.process.http(everyones.process.reader) as http:
        answer = http.get("/", params={"query": "SELECT 1", "max_execution_time": "30"})
        refused = http.get("/", params={"query": "SELECT sleep(1)"})
    assert (answer.text, refused.status_code) == ("1\n", 403)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("UInt32", "5", "5"),
        ("Nullable(Int8)", "-5", "-5"),
        ("Float64", "0.5", "0.5"),
        ("Date", "2026-01-02", "2026-01-02"),
        ("DateTime64(3, 'UTC')", "2026-01-02 03:04:05.678", "2026-01-02 03:04:05.678"),
        ("Array(UInt8)", "[1,2]", "[1,2]"),
        ("Map(String, UInt8)", "{'a':1}", "{'a':1}"),
        ("Array(String)", "['file(1)']", "['file(1)']"),
    ],
)
def test_a_parameter_of_any_type_is_its_value(
    everyones: ReaderStore, kind: str, value: str, shown: str
) -> None:
    assert everyones.answer(f"SELECT {{x:{kind}}}", param_x=value).text == f"{shown}\n"


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT {x:UInt8}", "1), file('{canary}'"),
        ("SELECT {x:Array(String)}", "[file('{canary}')]"),
        ("SELECT {x:Array(String)}", "['a'], file('{canary}')"),
        ("SELECT {x:Date}", "(SELECT file('{canary}'))"),
        ("SELECT {x:Identifier}('{canary}')", "file"),
        ("SELECT {x:String}('{canary}')", "file"),
        ("SELECT arrayMap({x:Identifier}, ['{canary}'])", "file"),
        ("SELECT * FROM {x:Identifier}", "system.processes"),
        ("SELECT * FROM {x:Identifier}", "{canary}"),
        ("SELECT * FROM file({x:String})", "{canary}"),
        ("SELECT file({x:FixedString(200)})", "{canary}"),
        ("SELECT dictGet({x:String}, 'a', toUInt64(1))", "d"),
        ("SELECT joinGet({x:String}, 'note', 'a')", "private_notes"),
        ("SELECT _CAST(file('{canary}'), 'String')", ""),
        ("SELECT _CAST((SELECT note FROM private_notes LIMIT 1), 'String')", ""),
        ("SELECT * FROM _CAST('private_notes', 'String')", ""),
    ],
)
def test_a_parameter_reaches_nothing_that_a_literal_does_not(
    everyones: ReaderStore, sql: str, value: str
) -> None:
    answer = everyones.answer(sql, param_x=value.replace("{canary}", str(everyones.canary)))
    assert not answer.is_success
    assert CANARY not in answer.text.replace(str(everyones.canary), "")
    everyones.assert_untouched()


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT 1 +", "SELECT * FROM otel_traces WHERE", "", "-- x"]
)
def test_what_is_no_sql_is_a_syntax_error_and_no_lack_of_rights(
    everyones: ReaderStore, sql: str
) -> None:
    answer = everyones.answer(sql)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (400, "62")


def test_a_syntax_error_names_the_place_in_the_readers_own_text(everyones: ReaderStore) -> None:
    assert "failed at position 7 (1)" in everyones.answer("SELEC 1").text


@pytest.mark.parametrize(
    ("clause", "name", "value"),
    [
        ("SETTINGS max_threads = 2", "max_threads", "2"),
        ("settings max_threads=64, max_execution_time = 7", "max_execution_time", "7"),
        ("SETTINGS max_execution_time = 0", "max_execution_time", str(reader.TIME_S_MAX)),
        ("SETTINGS session_timezone = 'Asia/Tokyo' ;", "session_timezone", "Asia/Tokyo"),
        ("SETTINGS max_threads = 3 FORMAT TSV", "max_threads", "3"),
        ("FORMAT TSV SETTINGS max_threads = 3", "max_threads", "3"),
    ],
)
def test_settings_in_a_query_are_as_those_of_its_request(
    everyones: ReaderStore, *, clause: str, name: str, value: str
) -> None:
    sql = f"SELECT value FROM system.settings WHERE name = '{name}' {clause}"
    assert everyones.answer(sql, max_threads="1").text == f"{value}\n"


def test_a_session_of_a_reader_holds_nothing(everyones: ReaderStore) -> None:
    for sql in ("SET max_threads = 1", "USE system", "CREATE TEMPORARY TABLE t (a UInt8)"):
        assert everyones.answer(sql, session_id="mine").status_code == 403
    assert everyones.answer("SELECT currentDatabase()", session_id="mine").text == "spanlore\n"


def test_a_readers_body_is_a_statement_and_never_spooled(everyones: ReaderStore) -> None:
    rows = "1\n" * reader.RESULT_ROWS_MAX
    answer = everyones.answer(f"INSERT INTO otel_traces (TraceId) FORMAT TSV\n{rows}")
    assert answer.status_code in {403, 413}
    assert everyones.process.spool() == []


def test_readers_leave_room_for_others(everyones: ReaderStore) -> None:
    slow = "SELECT count() FROM numbers(1e15) WHERE sipHash64(number) = 1"
    with ThreadPoolExecutor(16) as threads:
        waiting = [
            threads.submit(everyones.answer, slow, max_execution_time="1") for _ in range(16)
        ]
        wait_until(lambda: everyones.process.running("sipHash64(number) = 1") > 0)
        assert everyones.process.ask("SELECT 1", login=everyones.process.ingest) == "1\n"
        codes = [one.result().headers["x-clickhouse-exception-code"] for one in waiting]
    # More than run at once: the others had their turn too.
    assert set(codes) == {"159"}


def test_clickhouse_connect_reads_as_a_reader(everyones: ReaderStore) -> None:
    login = everyones.process.reader
    client = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=everyones.process.port,
        username=login.user,
        password=login.password,
        database="spanlore",
    )
    found = client.query(
        "SELECT SpanName, Duration FROM otel_traces WHERE TraceId = {id:String}", {"id": "t-1"}
    )
    assert len(found.result_rows) == ACME_SPANS
    between = (
        "SELECT count() FROM otel_traces WHERE Duration IN {ds:Array(UInt64)} AND 1 = {n:Int8}"
    )
    assert client.query(between, {"ds": [0, 1], "n": 1}).result_rows == [(2,)]
    assert client.query_df("SELECT * FROM otel_traces").shape[0] == ACME_SPANS + 1
    client.close()


def test_the_process_cannot_reach_beyond_its_folders_even_for_its_admin(
    everyones: ReaderStore,
) -> None:
    secrets = everyones.process.data_dir / "credentials.json"
    for path in (everyones.canary, secrets, "../credentials.json", "/proc/self/environ"):
        with everyones.process.http() as http:
            answer = http.post("/", content=f"SELECT file('{path}')")
        assert not answer.is_success
        assert "Permission denied" in answer.text
    everyones.assert_untouched()


@pytest.fixture
def unconfined(tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A data directory, and a command before the store's that takes Landlock from it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    call = "landlock_create_ruleset"
    injecting = ("-e", f"trace={call}", "-e", f"inject={call}:error=ENOSYS")
    # -D: what is traced stays our own child, to wait for and to kill.
    strace = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", *injecting)
    return tmp_path / "data", strace


def test_where_the_process_cannot_be_confined_readers_are_turned_away(
    unconfined: tuple[Path, tuple[str, ...]],
) -> None:
    data_dir, prefix = unconfined
    with StoreProcess(data_dir, prefix=prefix) as process:
        with process.http(process.reader) as http:
            answer = http.post("/", content="SELECT 1")
        assert answer.status_code == 403
        assert "--unsandboxed-sql" in answer.text
        assert process.ask("SELECT 1", login=process.ingest) == "1\n"


def test_unsandboxed_sql_lets_readers_in_all_the_same(
    unconfined: tuple[Path, tuple[str, ...]],
) -> None:
    data_dir, prefix = unconfined
    with StoreProcess(data_dir, "--unsandboxed-sql", prefix=prefix) as process:
        process.ask("CREATE DATABASE spanlore")
        with process.http(process.reader) as http:
            assert http.post("/", content="SELECT 1").text == "1\n"
            assert http.post("/", content="SELECT file('/etc/hostname')").status_code == 403


def test_a_tenant_is_quoted_wherever_it_is_written(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "data") as first:
        assert first.stop() == 0
    secrets = tmp_path / "data" / "credentials.json"
    known = json.loads(secrets.read_text())
    known["reader"]["tenant"] = "x' OR 1 = 1 -- <&>"
    secrets.write_text(json.dumps(known))
    with StoreProcess(tmp_path / "data") as process:
        process.ask("CREATE DATABASE spanlore")
        process.ask(
            "CREATE TABLE spanlore.agent_runs (TenantId String) ENGINE = MergeTree ORDER BY ()"
        )
        process.ask("INSERT INTO spanlore.agent_runs VALUES ('rival'), ('x\\' OR 1 = 1 -- <&>')")
        count = process.ask("SELECT count() FROM agent_runs", login=process.reader)
        assert count == "1\n"
        assert process.ask("SELECT count() FROM spanlore.agent_runs") == "2\n"


def test_a_wrong_password_of_the_reader_is_refused(everyones: ReaderStore) -> None:
    with everyones.process.http(Login("reader", "wrong")) as http:
        assert http.post("/", content="SELECT 1").headers["x-clickhouse-exception-code"] == "516"


def test_no_function_of_the_engine_is_let_in_unread(everyones: ReaderStore) -> None:
    names = everyones.process.ask("SELECT lower(name) FROM system.functions WHERE NOT is_aggregate")
    tables = everyones.process.ask("SELECT lower(name) FROM system.table_functions")
    listed = reader.listed_functions()
    combined = {name for name in names.split() if reader.allows_function(name)} - listed
    assert combined == set()
    assert {name for name in tables.split() if reader.allows_function(name)} == {
        "format",
        "generate_series",
        "generateseries",
        "numbers",
        "numbers_mt",
        "values",
        "view",
    }


@pytest.mark.slow
def test_a_statement_that_nothing_stops_takes_the_process_with_it(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "data") as process, process.http(process.reader) as http:
        process.ask("CREATE DATABASE spanlore")
        process.ask("CREATE TABLE spanlore.kept (a UInt8) ENGINE = MergeTree ORDER BY a")
        process.ask("INSERT INTO spanlore.kept VALUES (1)")
        apart = "hasAny(range(20000000), arrayMap(x -> x + 20000000, range(20000000)))"
        with pytest.raises(httpx.TransportError):
            http.post("/", content=f"SELECT {apart}", timeout=180)
        assert process.ended() == EXIT_STUCK
    with StoreProcess(tmp_path / "data") as process:
        assert process.ask("SELECT count() FROM spanlore.kept") == "1\n"
