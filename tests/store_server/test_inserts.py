"""Bodies on their way into tables."""

import gzip
import struct
import zlib
from collections.abc import Iterator

import httpx
import lz4.block
import lz4.frame
import pytest
from clickhouse_cityhash.cityhash import CityHash128

from spanlore.schemas.zstandard import compressor
from spanlore.store_server import blocks
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until

ROWS = b"".join(b"%d\trow %d\n" % (number, number) for number in range(20_000))


def zstd(data: bytes) -> bytes:
    packer = compressor()
    return packer.compress(data) + packer.flush()


def insert(served: StoreProcess, body: bytes, **params: str) -> httpx.Response:
    with served.http() as http:
        return http.post("/", content=body, params=params)


def count(served: StoreProcess, table: str) -> int:
    return int(served.ask(f"SELECT count() FROM {table}"))


def test_data_behind_the_statement_in_one_body(served: StoreProcess, table: str) -> None:
    body = f"INSERT INTO {table} (a, b) SETTINGS max_threads = 1 FORMAT TSV\n".encode() + ROWS
    answer = insert(served, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-clickhouse-summary"].startswith('{"read_rows": "20000"')
    assert count(served, table) == 20_000
    assert served.spool() == []


@pytest.mark.parametrize(
    ("statement", "data"),
    [
        ("INSERT INTO {t} FORMAT JSONEachRow", b'{"a": 1, "b": "x"}'),
        ("insert into {t} format JSONEachRow ", b'{"a": 1, "b": "x"}'),
        ("/* c */ INSERT INTO TABLE default.`{t}` (`a`, b) FORMAT CSV", b"1,x"),
        ("INSERT INTO {t} VALUES", b"(1, concat('x', ''))"),
        ("INSERT INTO {t} (a, b) VALUES (1, 'x')", b""),
        ("INSERT INTO {t} (SELECT 1, 'x')", b""),
        ("INSERT INTO {t} SELECT 1, 'x'", b""),
        ("INSERT INTO {t} FORMAT RowBinary", struct.pack("<QB", 1, 1) + b"x"),
    ],
)
def test_data_in_the_body_of_a_statement_in_the_url(
    served: StoreProcess, table: str, statement: str, data: bytes
) -> None:
    answer = insert(served, data, query=statement.format(t=table))
    assert answer.status_code == 200, answer.text
    assert served.ask(f"SELECT * FROM {table}") == "1\tx\n"


def test_an_insert_without_rows_is_no_error(served: StoreProcess, table: str) -> None:
    for form in ("Native", "JSONEachRow", "RowBinary", "CSV", "Protobuf"):
        answer = insert(served, b"", query=f"INSERT INTO {table} FORMAT {form}")
        assert answer.status_code == 200, answer.text


def test_values_longer_than_a_statement_may_be_are_spooled(
    served: StoreProcess, table: str
) -> None:
    values = ", ".join(f"({number}, '{'x' * 50}')" for number in range(40_000))
    assert len(values) > 2 * 1024 * 1024
    assert insert(served, f"INSERT INTO {table} VALUES {values}".encode()).status_code == 200
    assert count(served, table) == 40_000


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstd),
        ("lz4", lz4.frame.compress),
        ("gzip", lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:])),
    ],
)
def test_encoded_bodies(served: StoreProcess, table: str, encoding: str, pack: object) -> None:
    assert callable(pack)
    with served.http() as http:
        answer = http.post(
            "/",
            params={"query": f"INSERT INTO {table} FORMAT TSV"},
            content=pack(ROWS),
            headers={"Content-Encoding": encoding},
        )
        assert answer.status_code == 200, answer.text
        damaged = http.post(
            "/", content=b"not packed at all", headers={"Content-Encoding": encoding}
        )
        cut = http.post("/", content=pack(ROWS)[:-3], headers={"Content-Encoding": encoding})
        unknown = http.post("/", content=b"x", headers={"Content-Encoding": "snappy"})
    assert count(served, table) == 20_000
    assert damaged.headers["x-clickhouse-exception-code"] == "271"
    assert cut.headers["x-clickhouse-exception-code"] == "271"
    assert unknown.headers["x-clickhouse-exception-code"] == "48"


def test_chunked_bodies(served: StoreProcess, table: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield f"INSERT INTO {table} FOR".encode()
        yield b"MAT TSV\n"
        for start in range(0, len(ROWS), 1000):
            yield ROWS[start : start + 1000]

    with served.http() as http:
        assert http.post("/", content=pieces()).status_code == 200
    assert count(served, table) == 20_000


def native_block(data: bytes, method: int) -> bytes:
    """Frame a block by the documentation's letter, not by our own writer."""
    packed = lz4.block.compress(data, store_size=False) if method == 0x82 else zstd(data)
    if method == 0x02:
        packed = data
    body = struct.pack("<BII", method, 9 + len(packed), len(data)) + packed
    hashed = CityHash128(body)
    return struct.pack("<QQ", hashed >> 64, hashed & (1 << 64) - 1) + body


@pytest.mark.parametrize("method", [0x82, 0x90, 0x02])
def test_native_compressed_blocks(served: StoreProcess, table: str, method: int) -> None:
    body = b"".join(
        native_block(ROWS[start : start + 65_536], method) for start in range(0, len(ROWS), 65_536)
    )
    query = f"INSERT INTO {table} (a, b) FORMAT TSV"
    # As another collector's exporter writes it.
    params = {"decompress": "1", "async_insert": "1", "wait_for_async_insert": "1"}
    answer = insert(served, body, query=query, **params)
    assert answer.status_code == 200, answer.text
    assert count(served, table) == 20_000
    flipped = bytearray(body)
    flipped[40] ^= 1
    code = "x-clickhouse-exception-code"
    assert insert(served, bytes(flipped), query=query, decompress="1").headers[code] == "40"
    assert insert(served, body[:-1], query=query, decompress="1").headers[code] == "271"
    assert insert(served, ROWS, query=query, decompress="1").headers[code] == "271"
    assert count(served, table) == 20_000


def test_our_block_reader_reads_what_the_engine_itself_compressed(
    served: StoreProcess, table: str
) -> None:
    settings = "min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0"
    served.ask(f"ALTER TABLE {table} MODIFY SETTING {settings}")
    insert(served, f"INSERT INTO {table} FORMAT TSV\n".encode() + ROWS)
    path = served.ask(
        f"SELECT path FROM system.parts WHERE table = '{table}' AND active LIMIT 1"
    ).strip()
    column = (served.data_dir / "store" / path / "a.bin").read_bytes()
    reader = blocks.BlockReader()
    numbers = b"".join(reader.feed(column))
    assert list(reader.finish()) == []
    assert numbers == struct.pack("<20000Q", *range(20_000))


def test_a_bad_row_is_an_error_and_stores_nothing(served: StoreProcess, table: str) -> None:
    answer = insert(served, b"1\tx\nnot a number\ty\n", query=f"INSERT INTO {table} FORMAT TSV")
    assert answer.status_code == 400
    assert count(served, table) == 0
    assert served.spool() == []


@pytest.mark.parametrize("through_view", [False, True])
def test_too_many_partitions_is_an_error_and_stores_nothing(
    served: StoreProcess, table: str, *, through_view: bool
) -> None:
    parts = f"{table}_parts"
    served.ask(f"CREATE TABLE {parts} (a UInt64) ENGINE = MergeTree PARTITION BY a ORDER BY a")
    target = parts
    if through_view:
        target = f"{table}_in"
        served.ask(f"CREATE TABLE {target} (a UInt64) ENGINE = Null")
        served.ask(f"CREATE MATERIALIZED VIEW {table}_v TO {parts} AS SELECT a FROM {target}")
    data = b"".join(b"%d\n" % number for number in range(150))
    query = f"INSERT INTO {target} FORMAT TSV"
    answer = insert(served, data, query=query, max_partitions_per_insert_block="100")
    assert answer.status_code == 500
    assert answer.headers["x-clickhouse-exception-code"] == "252"
    assert count(served, parts) == 0
    assert insert(served, data, query=query, max_partitions_per_insert_block="0").status_code == 200
    assert count(served, parts) == 150


def test_a_memory_limit_is_an_error_and_stores_nothing(served: StoreProcess, table: str) -> None:
    data = b"".join(b"%d\t%s\n" % (number, b"x" * 1000) for number in range(30_000))
    query = f"INSERT INTO {table} FORMAT TSV"
    answer = insert(served, data, query=query, max_memory_usage="20000000")
    assert answer.status_code == 500
    assert answer.headers["x-clickhouse-exception-code"] == "241"
    assert count(served, table) == 0


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    served: StoreProcess, table: str
) -> None:
    class LeftError(Exception):
        pass

    def pieces() -> Iterator[bytes]:
        yield f"INSERT INTO {table} FORMAT TSV\n".encode()
        for _ in range(40):
            yield ROWS
        raise LeftError

    with served.http() as http, pytest.raises(LeftError):
        http.post("/", content=pieces())
    wait_until(lambda: served.spool() == [])
    assert count(served, table) == 0
