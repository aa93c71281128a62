"""A store with known runs, asked as Grafana's plugin asks it: over HTTP, as a reader."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from spanlore.grafana.provisioning import datasources
from spanlore.schemas import migrate, tables
from spanlore.schemas.store import Store
from tests.deploy.grafana.grafana_macros import View, expand
from tests.deploy.grafana.seeded_runs import END, START, seed
from tests.store_server.store_process import StoreProcess

# The login that Grafana is given, by its name in the store's credentials.
READER_LOGIN = "reader"
# What clickhouse-go sends with every statement: the plugin's time-out and five seconds.
SENT_TIMEOUT_S = int(datasources()["datasources"][0]["jsonData"]["queryTimeout"]) + 5
INTERVAL_S = 3_600


@dataclass(frozen=True)
class Answer:
    """The columns (name -> ClickHouse type) and rows of an answer."""

    types: Mapping[str, str]
    rows: list[dict[str, Any]]

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]

    @property
    def row(self) -> dict[str, Any]:
        [row] = self.rows
        return row


@dataclass(frozen=True)
class Grafana:
    """The store as the dashboard sees it; ``admin`` may also write to it."""

    process: StoreProcess
    admin: Store

    def ask(self, sql: str, **chosen: str) -> Answer:
        """Run a query of the dashboard with these values chosen, and All elsewhere."""
        every: dict[str, list[str]] = {"tenant": [], "agent": [], "user": []}
        view = View(START, END, INTERVAL_S, every | {name: [one] for name, one in chosen.items()})
        said = self.process.ask(
            expand(sql, view),
            login=getattr(self.process, READER_LOGIN),
            database=tables.DATABASE,
            default_format="JSON",
            max_execution_time=str(SENT_TIMEOUT_S),
        )
        answer = json.loads(said)
        types = {column["name"]: column["type"] for column in answer["meta"]}
        return Answer(types, answer["data"])


@pytest.fixture(scope="session")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafana]:
    folder = tmp_path_factory.mktemp("grafana")
    with StoreProcess(folder / "data") as process:
        login = process.admin
        address = f"127.0.0.1:{process.port}/{tables.DATABASE}"
        url = f"clickhouse://{login.user}:{login.password}@{address}"
        migrate.migrate(url)
        with Store.connect(url) as store:
            seed(store, folder / "segments")
            yield Grafana(process, store)
