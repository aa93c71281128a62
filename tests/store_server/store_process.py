"""A real store process for tests: ask over plain HTTP, stop or kill."""

import sys
from pathlib import Path

import clickhouse_connect
import httpx
from clickhouse_connect.driver.client import Client

from spanlore.schemas.credentials import Login, load_or_create
from tests.server_process import ServerProcess


def arguments(data_dir: Path, *more: str, port: int = 0) -> list[str]:
    command = [sys.executable, "-m", "spanlore.store_server", "--data-dir", str(data_dir)]
    return [*command, "--port", str(port), *more]


class StoreProcess(ServerProcess):
    def __init__(self, data_dir: Path, *more: str, prefix: tuple[str, ...] = ()) -> None:
        self.data_dir = data_dir
        credentials = load_or_create(data_dir)
        self.admin = credentials.admin
        self.ingest = credentials.ingest
        self.reader = credentials.reader
        super().__init__([*prefix, *arguments(data_dir, *more)])
        self.port: int = self.ready["port"]
        self.local_port: int = self.ready["local_port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def database_url(self, login: Login, database: str = "spanlore") -> str:
        return f"clickhouse://{login.user}:{login.password}@127.0.0.1:{self.port}/{database}"

    def http(self, login: Login | None = None) -> httpx.Client:
        user = login or self.admin
        return httpx.Client(
            base_url=self.url, auth=(user.user, user.password), timeout=60, trust_env=False
        )

    def ask(self, sql: str, *, login: Login | None = None, **params: str) -> str:
        """POST a statement and give its answer; an error is an AssertionError with its text."""
        with self.http(login) as client:
            answer = client.post("/", content=sql, params=params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def client(self, **options: object) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1",
            port=self.port,
            username=self.admin.user,
            password=self.admin.password,
            **options,  # type: ignore[arg-type]
        )

    def spool(self) -> list[Path]:
        return list((self.data_dir / "spool").glob("*.body"))

    def running(self, text: str) -> int:
        """Count the running statements that contain ``text``."""
        found = self.ask(
            "SELECT count() FROM system.processes WHERE position(query, {text:String}) > 0"
            " AND query NOT LIKE '%system.processes%'",
            param_text=text,
        )
        return int(found)
