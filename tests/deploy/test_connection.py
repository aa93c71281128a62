from pathlib import Path

import pytest

from spanlore.cli import connection, datadir
from spanlore.cli.errors import CannotReach, NotRunning
from spanlore.schemas.credentials import Login, load_or_create

DOCUMENT = {
    "pid": 1,
    "store": {"pid": 2, "url": "clickhouse://127.0.0.1:9999/spanlore", "port": 9999},
    "collector": {"pid": 3, "grpc_port": 5001, "http_port": 5002},
    "review": {"pid": 4, "port": 5003},
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "SPANLORE_STORE_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "SPANLORE_REVIEW_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path / "default"))


def test_a_run_file_whose_owner_lives_says_where_everything_is(tmp_path: Path) -> None:
    with datadir.held(tmp_path):
        datadir.write_run_file(tmp_path, DOCUMENT)
        found = connection.find_running(tmp_path)
    secrets = load_or_create(tmp_path)
    assert found.store_url == connection.with_login(DOCUMENT["store"]["url"], secrets.admin)  # type: ignore[index]
    assert found.grpc_endpoint == "http://127.0.0.1:5001"
    assert found.http_url == "http://127.0.0.1:5002"
    assert found.collector_token == secrets.collector_token
    assert found.review_url == "http://127.0.0.1:5003"
    assert found.review_token == secrets.review_token


def test_a_run_file_of_before_the_review_door_is_read_all_the_same(tmp_path: Path) -> None:
    with datadir.held(tmp_path):
        datadir.write_run_file(tmp_path, {key: DOCUMENT[key] for key in ("store", "collector")})
        assert connection.find_running(tmp_path).review_url == "http://127.0.0.1:4319"


def test_a_run_file_whose_owner_is_dead_says_nothing(tmp_path: Path) -> None:
    datadir.write_run_file(tmp_path, DOCUMENT)
    with pytest.raises(NotRunning, match=f"spanlore up --data-dir {tmp_path}"):
        connection.find_running(tmp_path)


def test_a_directory_the_user_named_is_not_exchanged_for_another_spanlore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@elsewhere:8123/spanlore")
    with pytest.raises(NotRunning):
        connection.find_running(tmp_path / "mine")


def test_without_a_run_file_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318/")
    found = connection.find_running(None)
    assert found.store_url == "clickhouse://u:p@db:8123/spanlore"
    assert found.http_url == "http://otel:4318"
    assert found.grpc_endpoint == "http://otel:4317"
    assert found.collector_token is None


def test_without_a_run_file_the_review_door_is_on_its_default_port_with_the_named_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    found = connection.find_running(None)
    assert (found.review_url, found.review_token) == ("http://127.0.0.1:4319", None)
    known = load_or_create(tmp_path / "default").review_token
    assert connection.find_running(None).review_token == known
    monkeypatch.setenv("SPANLORE_REVIEW_TOKEN", "named")
    assert connection.find_running(None).review_token == "named"


def test_the_protocol_of_the_environment_says_which_door_an_endpoint_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:9000")
    assert connection.find_running(None).grpc_endpoint == "http://otel:9000"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert connection.find_running(None).http_url == "http://otel:9000"


def test_nothing_at_all_is_an_error_with_the_next_step() -> None:
    with pytest.raises(NotRunning, match="start it: spanlore up --detach") as caught:
        connection.find_running(None)
    assert caught.value.exit_code == 3


def test_a_login_is_written_into_a_url_so_that_it_can_be_read_back() -> None:
    url = connection.with_login("clickhouse://h:1/d", Login("ad:min", "p@s/s"))
    assert url == "clickhouse://ad%3Amin:p%40s%2Fs@h:1/d"


@pytest.mark.parametrize(
    ("endpoint", "known"),
    [
        ("http://127.0.0.1:4318", True),
        ("http://localhost:4317", True),
        ("localhost:4317", True),
        ("http://[::1]:4318", True),
        ("http://otel:4318", False),
        ("https://127.0.0.1.example.com:4317", False),
        ("http://127.0.0.1@example.com:4318", False),
    ],
)
def test_our_token_goes_to_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, known: bool
) -> None:
    token = load_or_create(tmp_path / "default").collector_token
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    assert connection.find_running(None).collector_token == (token if known else None)


def test_an_ipv6_endpoint_keeps_its_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4318")
    assert connection.find_running(None).grpc_endpoint == "http://[::1]:4317"


@pytest.mark.parametrize("endpoint", ["http://host:port", "http://"])
def test_an_endpoint_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("SPANLORE_STORE_URL", "clickhouse://u:p@db:8123/spanlore")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    with pytest.raises(CannotReach, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        connection.find_running(None)
