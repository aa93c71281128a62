"""A segment is read where it lies, in the collector's log, and no other file can be named."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver._backendclient import SyncBackendClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.schemas import migrate, otlp, tables
from spanlore.schemas.store import Store, StoreRefused, segment_settings
from tests.schemas.segments import segment
from tests.store_server.store_process import StoreProcess

DATABASE = "log_files"
SPANS = 3


def request(trace_id: int) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    spans = made.resource_spans.add().scope_spans.add().spans
    for span_id in range(1, SPANS + 1):
        spans.add(
            trace_id=trace_id.to_bytes(16, "big"),
            span_id=span_id.to_bytes(8, "big"),
            start_time_unix_nano=1_790_000_000_000_000_000,
        )
    return made


@pytest.fixture(scope="module")
def url(served: StoreProcess) -> Iterator[str]:
    admin = served.admin
    migrate.migrate(served.database_url(admin, DATABASE))
    ingest = served.ingest
    yield served.database_url(ingest, DATABASE)
    served.ask(f"DROP DATABASE {DATABASE} SYNC")


@pytest.fixture
def log_dir(served: StoreProcess, url: str) -> Iterator[Path]:
    del url  # its database is there before and after
    folder = served.data_dir / "wal"
    yield folder
    for file in folder.iterdir():
        file.unlink()
    served.ask(f"TRUNCATE TABLE {DATABASE}.{tables.TRACES} SYNC")


def stored(store: Store) -> int:
    return int(store.query(f"SELECT count() AS n FROM {tables.TRACES}")[0]["n"])


def without_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw_insert(*_: object, **__: object) -> None:
        pytest.fail("the segment was sent")

    monkeypatch.setattr(SyncBackendClient, "raw_insert", raw_insert)


def test_a_segment_of_the_stores_own_data_directory_is_not_sent(
    url: str, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = segment(log_dir, [request(1)])
    with Store.connect(url) as store:
        without_sending(monkeypatch)
        for _ in range(2):
            store.insert_segment(path, token="mine", into=(otlp.TRACES_IN,))
        assert stored(store) == SPANS


def test_a_segment_is_stored_once_whether_it_is_read_or_sent(
    url: str, log_dir: Path, tmp_path: Path
) -> None:
    with Store.connect(url) as store:
        for folder in (log_dir, tmp_path, log_dir):
            path = segment(folder, [request(1)])
            store.insert_segment(path, token="both", into=(otlp.TRACES_IN,))
        assert stored(store) == SPANS


def test_a_segment_elsewhere_is_sent_though_one_of_its_name_lies_in_the_log(
    url: str, log_dir: Path, tmp_path: Path
) -> None:
    segment(log_dir, [request(1)])
    path = segment(tmp_path, [request(2)])
    with Store.connect(url) as store:
        store.insert_segment(path, token="other", into=(otlp.TRACES_IN,))
        traces = store.query(f"SELECT DISTINCT TraceId FROM {tables.TRACES}")
    assert [row["TraceId"] for row in traces] == [f"{2:032x}"]


def test_a_bad_segment_is_refused_and_good_ones_are_read_on(
    url: str, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = log_dir / "bad.part"
    bad.write_bytes(b"\x05nothing")
    with Store.connect(url) as store:
        with pytest.raises(StoreRefused):
            store.insert_segment(bad, token="bad", into=(otlp.TRACES_IN,))
        without_sending(monkeypatch)
        path = segment(log_dir, [request(1)])
        store.insert_segment(path, token="good", into=(otlp.TRACES_IN,))
        assert stored(store) == SPANS


def load(served: StoreProcess, named: str, *, reader: bool = False) -> tuple[int, str]:
    params = {"database": "default", **({} if reader else segment_settings(otlp.TRACES_IN))}
    sql = f"INSERT INTO {DATABASE}.{otlp.TRACES_IN} FROM INFILE {named} FORMAT Protobuf"
    with served.http(served.reader if reader else served.ingest) as http:
        answer = http.post("/", content=sql, params=params)
    return answer.status_code, answer.headers.get("x-clickhouse-exception-code", "")


@pytest.mark.parametrize(
    "named",
    [
        "'/etc/passwd'",
        "'{data_dir}/credentials.json'",
        "'{data_dir}/wal/lock'",
        "'{data_dir}/wal/../credentials.json'",
        "'{data_dir}/wal/../wal/good.wal'",
        "'{data_dir}/wal//good.wal'",
        "'{data_dir}/wal/*.wal'",
        "'{data_dir}/wal/{{good,bad}}.wal'",
        "'{data_dir}/wal/good.wal\\0'",
        "'{data_dir}/wal/GOOD.wal'",
        "'{data_dir}/spool/good.wal'",
        "'wal/good.wal'",
        "'../wal/good.wal'",
        "'good.wal'",
        "''",
        "",
        "'{data_dir}/wal/good.wal' COMPRESSION 'gzip'",
        "'{data_dir}/wal/good.wal' '/etc/passwd'",
        "`{data_dir}/wal/good.wal`",
        "{{name:String}}",
    ],
)
def test_no_other_file_can_be_named(
    served: StoreProcess, url: str, log_dir: Path, named: str
) -> None:
    segment(log_dir, [request(1)]).rename(log_dir / "good.wal")
    named = named.format(data_dir=served.data_dir.resolve())
    assert load(served, named) == (500, "48")
    with Store.connect(url) as store:
        assert stored(store) == 0


def test_a_link_in_the_log_leads_nowhere(served: StoreProcess, log_dir: Path) -> None:
    (log_dir / "link.wal").symlink_to(served.data_dir / "credentials.json")
    assert load(served, f"'{log_dir.resolve()}/link.wal'") == (500, "107")


def test_a_reader_loads_nothing(served: StoreProcess, url: str, log_dir: Path) -> None:
    path = segment(log_dir, [request(1)]).resolve()
    assert load(served, f"'{path}'", reader=True) == (403, "497")
    with Store.connect(url) as store:
        assert stored(store) == 0


def test_the_engine_can_write_nothing_into_the_log(served: StoreProcess, log_dir: Path) -> None:
    with served.http() as http:
        path = log_dir.resolve() / "made.wal"
        sql = f"INSERT INTO FUNCTION file('{path}', 'CSV', 'a UInt8') SELECT 1"
        assert http.post("/", content=sql).status_code != 200
    assert not list(log_dir.iterdir())


def test_a_data_directory_may_have_letters_of_any_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StoreProcess(tmp_path / "ž ü") as process:
        login = process.admin
        url = process.database_url(login)
        migrate.migrate(url)
        without_sending(monkeypatch)
        with Store.connect(url) as store:
            path = segment(process.data_dir / "wal", [request(1)])
            store.insert_segment(path, token="mine", into=(otlp.TRACES_IN,))
            assert stored(store) == SPANS
