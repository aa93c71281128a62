"""The door to the store: what it makes of the driver's errors, and what it asks of the engine."""

from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError

from spanlore.schemas.store import Store, StoreAddress, StoreRefused, StoreUnreachable, redacted

ADDRESS = StoreAddress.parse("clickhouse://u:p@host:8123/d")


class FailingClient:
    """A driver whose every query fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def query(self, *_: Any, **__: Any) -> None:
        raise self._error


def store_that_says(error: Exception) -> Store:
    return Store(FailingClient(error), ADDRESS)  # type: ignore[arg-type]


def engine_said(code: int, text: str) -> DatabaseError:
    said = f"Code: {code}. DB::Exception: {text}"
    return DatabaseError(f"Received ClickHouse exception, code: {code}, server response: {said}")


@pytest.mark.parametrize(
    "error",
    [
        engine_said(75, "Cannot write to file: errno: 28, strerror: No space left on device"),
        engine_said(76, "Cannot open file: errno: 24, strerror: Too many open files"),
        engine_said(173, "Allocator: Cannot malloc"),
        engine_said(439, "Cannot schedule a task: no free thread"),
        engine_said(1001, "std::filesystem_error: create_directories: No space left on device"),
        OperationalError("Error executing HTTP request"),
        # A load balancer's answers, which hold no code of ClickHouse.
        DatabaseError("HTTP driver received HTTP status 502, server response: <h1>Bad gateway"),
        DatabaseError("HTTP driver received HTTP status 404, server response: no such backend"),
    ],
)
def test_a_passing_state_of_the_store_is_worth_another_try(error: Exception) -> None:
    with pytest.raises(StoreUnreachable):
        store_that_says(error).query("SELECT 1")


@pytest.mark.parametrize(
    "error",
    [
        engine_said(62, "Syntax error"),
        engine_said(444, "Protobuf messages are corrupted"),
        engine_said(1001, "std::out_of_range: basic_string"),
        DataError("cannot write this value"),
    ],
)
def test_what_will_never_be_taken_is_refused(error: Exception) -> None:
    with pytest.raises(StoreRefused):
        store_that_says(error).query("SELECT 1")


@pytest.mark.parametrize("password", ["secret", "se@cret", "se:cret", "secret@"])
def test_no_part_of_a_password_is_in_a_message(password: str) -> None:
    shown = redacted(f"clickhouse://user:{password}@host:8123/d")
    assert shown == "clickhouse://user:***@host:8123/d"


def test_a_proxy_of_the_environment_is_not_asked_for_a_store_on_this_machine(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Store.connect(store_url) as store:
        assert store.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_question_without_rows_for_an_answer_is_put_to_the_engine_once(store: Store) -> None:
    def queries() -> int:
        [asked] = store.query("SELECT value AS n FROM system.events WHERE event = 'Query'")
        return int(asked["n"])

    before = queries()
    assert store.query("SELECT 1 AS n") == [{"n": 1}]
    between = queries()
    assert store.query("SELECT 1 AS n WHERE 0") == []
    assert queries() - between == between - before
