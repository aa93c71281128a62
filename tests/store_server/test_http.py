"""What curl, Grafana and other writers of plain HTTP see."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator

import httpx
import lz4.frame
import pytest

from spanlore.schemas import zstandard
from spanlore.schemas.empty_answer import BARE, EMPTY_ANSWER
from spanlore.store_server import blocks, native
from tests.store_server.store_process import StoreProcess


@pytest.fixture
def http(served: StoreProcess) -> Iterator[httpx.Client]:
    with served.http() as client:
        yield client


def test_ping_needs_no_password(served: StoreProcess) -> None:
    for path in ("/ping", "/"):
        answer = httpx.get(served.url + path, trust_env=False)
        assert (answer.status_code, answer.text) == (200, "Ok.\n")


def test_a_get_reads_and_its_answer_says_what_it_is(http: httpx.Client) -> None:
    answer = http.get("/", params={"query": "SELECT 1 AS x", "default_format": "JSON"})
    assert answer.json()["data"] == [{"x": 1}]
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-clickhouse-query-id"]
    assert answer.headers["x-clickhouse-timezone"]
    assert json.loads(answer.headers["x-clickhouse-summary"]).keys() >= {"read_rows", "elapsed_ns"}


def test_a_get_changes_nothing(http: httpx.Client) -> None:
    answer = http.get("/", params={"query": "CREATE TABLE never (a UInt8) ENGINE = Memory"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (403, "164")


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("SELECT {x:UInt8}", 400, "456"),
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELECT * FROM nowhere.t", 404, "81"),
        ("SELECT 1 FORMAT Nonsense", 404, "73"),
        ("SELECT throwIf(1)", 500, "395"),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString", 500, "48"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 500, "48"),
    ],
)
def test_errors_have_clickhouses_status_code_and_text(
    http: httpx.Client, sql: str, status: int, code: str
) -> None:
    answer = http.post("/", content=sql)
    assert answer.headers["x-clickhouse-exception-code"] == code
    assert answer.status_code == status
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version " in answer.text


def test_an_unknown_setting_or_database_is_the_engines_own_error(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT 1", params={"no_such_setting": "1"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (404, "115")
    answer = http.post("/", content="SELECT 1", params={"a = 1, b": "1"})
    assert answer.headers["x-clickhouse-exception-code"] == "115"
    answer = http.post("/", content="SELECT 1", headers={"X-ClickHouse-Database": "nowhere"})
    assert answer.headers["x-clickhouse-exception-code"] == "81"


def test_a_setting_is_data_and_never_sql(http: httpx.Client) -> None:
    value = "x', max_threads = '1"
    ask = "SELECT getSetting('log_comment')"
    answer = http.post("/", content=ask, params={"log_comment": value, "default_format": "TSVRaw"})
    assert answer.text == value + "\n"


def test_query_and_parameters_may_come_as_a_form(http: httpx.Client) -> None:
    fields = {"query": (None, "SELECT {x:String}"), "param_x": (None, "a b")}
    assert http.post("/", files=fields).text == "a b\n"


def test_the_query_parameter_and_the_body_are_one_statement(http: httpx.Client) -> None:
    assert http.post("/", params={"query": "SELECT 1 +"}, content="2").text == "3\n"


def test_paths_and_methods_that_are_not_there_are_refused(http: httpx.Client) -> None:
    assert http.get("/dashboard").status_code == 404
    assert http.delete("/", params={"query": "SELECT 1"}).status_code == 405


def test_a_trailing_format_is_obeyed_wherever_settings_stand(http: httpx.Client) -> None:
    sql = "SELECT number FROM numbers(150000) {} SETTINGS max_block_size = 1000"
    assert len(http.post("/", content=sql.format("FORMAT JSON")).json()["data"]) == 150_000
    text = http.post("/", content=sql.format("FORMAT CSVWithNames /* last */")).text
    assert text.count('"number"') == 1
    assert len(text.splitlines()) == 150_001


def test_streamed_and_whole_answers_are_the_same(http: httpx.Client) -> None:
    sql = "SELECT number, toString(number) FROM numbers(100000) FORMAT "
    for form in ("TabSeparated", "CSV", "JSONEachRow", "RowBinary"):
        streamed = http.post("/", content=sql + form)
        whole = http.post("/", content=sql + form, params={"extremes": "0"})
        assert "content-length" not in streamed.headers
        assert streamed.content == whole.content


def test_totals_are_not_lost(http: httpx.Client) -> None:
    sql = "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert http.post("/", content=sql).text == "0\t5\n1\t5\n\n0\t10\n"


def test_a_late_error_is_framed_with_the_tag_of_the_header(http: httpx.Client) -> None:
    sql = "SELECT throwIf(number = 90000) FROM numbers(100000) SETTINGS max_block_size = 1000"
    answer = http.post("/", content=sql)
    assert answer.status_code == 200
    tag = answer.headers["x-clickhouse-exception-tag"]
    assert len(tag) == 16
    _, _, end = answer.text.partition(f"\r\n__exception__\r\n{tag}\r\n")
    message, _, footer = end.rpartition("\n" + footer_of(end))
    assert message.startswith("Code: 395.")
    size, _, rest = footer_of(end).partition(" ")
    assert rest == f"{tag}\r\n__exception__\r\n"
    assert int(size) == len(message.encode()) + 1
    assert footer == ""


def footer_of(end: str) -> str:
    lines = end.split("\n")
    return "\n".join(lines[-3:])


def test_waiting_for_the_end_turns_a_late_error_into_a_status(http: httpx.Client) -> None:
    sql = "SELECT throwIf(number = 90000) FROM numbers(100000) SETTINGS max_block_size = 1000"
    assert http.post("/", content=sql, params={"wait_end_of_query": "1"}).status_code == 500


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
def test_answers_are_packed_only_when_both_sides_agree(served: StoreProcess, encoding: str) -> None:
    sql = "SELECT repeat('x', 1000) FROM numbers(200)"
    with served.http() as http:
        plain = http.post("/", content=sql, headers={"Accept-Encoding": encoding})
        assert "content-encoding" not in plain.headers
        request = http.build_request(
            "POST",
            "/",
            content=sql,
            params={"enable_http_compression": "1"},
            headers={"Accept-Encoding": encoding},
        )
        answer = http.send(request, stream=True)
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == encoding
    unpack = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "lz4": lz4.frame.decompress,
        "zstd": lambda data: zstandard.decompressor().decompress(data),
    }
    assert unpack[encoding](raw) == plain.content


def test_native_answers_carry_block_info_for_those_who_speak_a_revision(http: httpx.Client) -> None:
    params = {"default_format": "Native", "client_protocol_version": "54405"}
    plain = http.post("/", content="SELECT 1 AS a", params={"default_format": "Native"}).content
    answer = http.post("/", content="SELECT 1 AS a", params=params).content
    assert answer == native.BLOCK_INFO + plain
    empty = http.post("/", content="SELECT 1 AS a WHERE 0", params=params).content
    assert empty == native.BLOCK_INFO + b"\x01\x00\x01a\x05UInt8"


def test_an_answer_without_rows_names_its_columns_but_to_those_who_want_rows_alone(
    http: httpx.Client,
) -> None:
    asked = {"query": "SELECT 1 AS n WHERE 0", "default_format": "Native"}
    assert http.post("/", params=asked).content == native.header([("n", "UInt8")], revision=0)
    assert http.post("/", params=asked, headers={EMPTY_ANSWER: BARE}).content == b""


def test_clickhouse_go_is_greeted_with_a_revision_that_needs_no_custom_bytes(
    http: httpx.Client,
) -> None:
    params = {"default_format": "Native", "client_protocol_version": "54460", "compress": "1"}
    packed = http.post("/", content=native.VERSION_QUERY, params=params).content
    answer = b"".join(blocks.BlockReader().feed(packed))
    assert answer.startswith(native.BLOCK_INFO + b"\x04\x01\x0ddisplayName()\x06String\x00\x08span")
    assert b"\x0arevision()\x06UInt32\x00" + (54453).to_bytes(4, "little") in answer


def test_compress_1_packs_answers_and_errors_into_native_blocks(http: httpx.Client) -> None:
    sql = "SELECT number FROM numbers(300000) FORMAT RowBinary"
    packed = http.post("/", content=sql, params={"compress": "1"}).content
    assert b"".join(blocks.BlockReader().feed(packed)) == http.post("/", content=sql).content
    failed = http.post("/", content="SELEC 1", params={"compress": "1"})
    assert failed.status_code == 400
    assert b"".join(blocks.BlockReader().feed(failed.content)).startswith(b"Code: 62.")


def test_every_way_to_log_in_works(served: StoreProcess) -> None:
    user, password = served.admin.user, served.admin.password
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    ways: list[dict[str, dict[str, str]]] = [
        {"headers": {"Authorization": f"Basic {basic}"}},
        {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
        {"params": {"user": user, "password": password}},
    ]
    for way in ways:
        answer = httpx.post(served.url, content="SELECT 1", trust_env=False, **way)  # type: ignore[arg-type]
        assert answer.text == "1\n"
