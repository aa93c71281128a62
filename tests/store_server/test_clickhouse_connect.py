import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from spanlore.schemas import zstandard
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until

T = TypeVar("T")


@pytest.fixture(scope="module")
def client(served: StoreProcess) -> Iterator[Client]:
    opened = served.client()
    yield opened
    opened.close()


def test_it_sees_the_engine_version_and_columns_with_types(client: Client) -> None:
    assert client.server_version == client.command("SELECT version()")
    result = client.query("SELECT toUInt8(1) AS a, 'x' AS b, [1, 2] AS c, map('k', 1) AS d")
    assert result.column_names == ("a", "b", "c", "d")
    assert result.result_rows == [(1, "x", [1, 2], {"k": 1})]


@pytest.mark.parametrize("value", ["plain", "tab\tnewline\nquote'back\\slash", "", "žluťoučký"])
def test_query_parameters_arrive_as_they_were_given(client: Client, value: str) -> None:
    result = client.query("SELECT {v:String}, {n:Int64}", parameters={"v": value, "n": -5})
    assert result.result_rows == [(value, -5)]


def test_rows_inserted_are_rows_selected(client: Client, table: str) -> None:
    client.insert(table, [[1, "x"], [2, "tab\there"]], column_names=["a", "b"])
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == [
        (1, "x"),
        (2, "tab\there"),
    ]


def test_an_empty_result_still_names_its_columns(client: Client, table: str) -> None:
    result = client.query(f"SELECT a, b, toLowCardinality(b) AS c FROM {table}")
    assert result.column_names == ("a", "b", "c")
    assert [kind.name for kind in result.column_types] == [
        "UInt64",
        "String",
        "LowCardinality(String)",
    ]
    assert result.result_rows == []


def test_statements_that_do_not_stream_answer_as_well(client: Client, table: str) -> None:
    assert (table,) in client.query("SHOW TABLES").result_rows
    assert [row[0] for row in client.query(f"DESCRIBE TABLE {table}").result_rows] == ["a", "b"]
    assert client.query("SHOW TABLES LIKE 'nothing'").result_rows == []
    assert client.command(f"EXISTS TABLE {table}") == 1


def test_two_hundred_thousand_rows_stream_in_order(client: Client) -> None:
    total = 0
    with client.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
        for block in blocks:
            assert block[0][0] == total
            total += len(block)
    assert total == 200_000


@pytest.mark.parametrize("compression", [False, "gzip", "zstd", "lz4"])
def test_every_compression_carries_rows_both_ways(
    served: StoreProcess, table: str, compression: str | bool
) -> None:
    client = served.client(compress=compression)
    rows = [[number, f"row {number}" * 10] for number in range(5000)]
    client.insert(table, rows, column_names=["a", "b"])
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == list(map(tuple, rows))
    client.close()


def test_an_error_keeps_its_code(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT * FROM no_such_table")
    assert caught.value.code == 60
    with pytest.raises(DatabaseError) as caught:
        client.query("SELEC 1")
    assert caught.value.code == 62


def test_an_error_in_the_middle_of_a_stream_is_raised_and_not_cut_off(client: Client) -> None:
    sql = "SELECT throwIf(number = 900000, 'the wall') FROM numbers(1000000)"
    rows = 0

    def read() -> None:
        nonlocal rows
        with client.query_row_block_stream(sql, settings={"max_block_size": 10_000}) as blocks:
            for block in blocks:
                rows += len(block)

    with pytest.raises(StreamFailureError, match="the wall"):
        read()
    assert 0 < rows < 900_001


def test_settings_of_one_query_do_not_stay(client: Client) -> None:
    ask = "SELECT getSetting('max_block_size')"
    before = client.query(ask).result_rows
    assert client.query(ask, settings={"max_block_size": 77}).result_rows == [(77,)]
    assert client.query(ask).result_rows == before


def test_a_session_keeps_set_and_temporary_tables(served: StoreProcess) -> None:
    client = served.client(session_id="keeps")
    client.command("CREATE TEMPORARY TABLE kept (x UInt8)")
    client.insert("kept", [[5]], column_names=["x"])
    client.command("SET max_block_size = 78")
    assert client.query("SELECT x, getSetting('max_block_size') FROM kept").result_rows == [(5, 78)]
    asked = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 79})
    assert asked.result_rows == [(79,)]
    assert client.query("SELECT getSetting('max_block_size')").result_rows == [(78,)]
    client.close()
    other = served.client(session_id="other")
    with pytest.raises(DatabaseError):
        other.query("SELECT * FROM kept")
    other.close()


def test_arrow_and_data_frames_come_whole(client: Client) -> None:
    sql = "SELECT number, toString(number) AS s FROM numbers(150000)"
    assert client.query_arrow(sql).num_rows == 150_000
    assert len(client.query_df(sql)) == 150_000


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "lz4"])
def test_ready_made_formats_go_both_ways(
    client: Client, table: str, compression: str | None
) -> None:
    pack = _PACKERS[compression]
    written = client.raw_insert(
        table, insert_block=pack(b"1\tx\n2\ty\n"), fmt="TSV", compression=compression
    )
    assert written.written_rows == 2
    sql = f"SELECT * FROM {table} ORDER BY a"
    assert client.raw_query(sql, fmt="CSV") == b'1,"x"\n2,"y"\n'
    with client.raw_stream(sql, fmt="JSONEachRow") as stream:
        lines = stream.read().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_query_id_comes_back(client: Client) -> None:
    result = client.query("SELECT 1", settings={"query_id": "asked-by-python"})
    assert result.query_id == "asked-by-python"


def test_a_wrong_password_is_named_by_its_code(served: StoreProcess) -> None:
    with pytest.raises(DatabaseError) as caught:
        clickhouse_connect.get_client(
            host="127.0.0.1", port=served.port, username=served.admin.user, password="wrong"
        )
    assert caught.value.code == 516


_PACKERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: packed(zstandard.compressor(), data),
    "lz4": lz4.frame.compress,
}


def packed(stream: Any, data: bytes) -> bytes:
    return bytes(stream.compress(data) + stream.flush())


def run_async(
    served: StoreProcess, work: Callable[[AsyncClient], Awaitable[T]], **options: Any
) -> T:
    """Do work with an async client that is closed behind it."""

    async def run() -> T:
        client = await clickhouse_connect.get_async_client(
            host="127.0.0.1",
            port=served.port,
            username=served.admin.user,
            password=served.admin.password,
            **options,
        )
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


def test_the_async_client_runs_many_queries_at_once(served: StoreProcess, table: str) -> None:
    async def work(client: AsyncClient) -> list[int]:
        await client.insert(table, [[1, "x"]], column_names=["a", "b"])
        asked = [
            client.query(f"SELECT a + {{n:UInt64}} FROM {table}", parameters={"n": number})
            for number in range(20)
        ]
        results = await asyncio.gather(*asked)
        with pytest.raises(DatabaseError) as caught:
            await client.query("SELECT nothing")
        assert caught.value.code == 47
        return [result.result_rows[0][0] for result in results]

    assert run_async(served, work) == list(range(1, 21))


@pytest.mark.parametrize("compression", [False, "gzip", "zstd", "lz4"])
def test_the_async_client_streams_rows_of_every_compression(
    served: StoreProcess, compression: str | bool
) -> None:
    async def work(client: AsyncClient) -> int:
        total = 0
        async with await client.query_row_block_stream(
            "SELECT number FROM numbers(200000)"
        ) as blocks:
            async for block in blocks:
                assert block[0][0] == total
                total += len(block)
        return total

    assert run_async(served, work, compress=compression) == 200_000


def test_the_async_client_raises_an_error_in_the_middle_of_a_stream(served: StoreProcess) -> None:
    async def work(client: AsyncClient) -> None:
        async with await client.query_row_block_stream(
            "SELECT throwIf(number = 900000, 'the wall') FROM numbers(1000000)",
            settings={"max_block_size": 10_000},
        ) as blocks:
            async for _ in blocks:
                pass

    with pytest.raises(StreamFailureError, match="the wall"):
        run_async(served, work)


def test_an_async_query_that_is_cancelled_ends_in_the_store(served: StoreProcess) -> None:
    async def work(client: AsyncClient) -> None:
        asked = asyncio.ensure_future(
            client.query("SELECT sum(number) AS cancelled_by_python FROM numbers(10000000000000)")
        )
        await asyncio.to_thread(wait_until, lambda: served.running("cancelled_by_python") == 1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    run_async(served, work)
    wait_until(lambda: served.running("cancelled_by_python") == 0)
