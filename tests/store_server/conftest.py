from collections.abc import Iterator

import pytest

from spanlore.schemas import migrate
from tests.store_server.store_process import StoreProcess


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """One store process for all tests of this folder that do not hurt it."""
    with StoreProcess(tmp_path_factory.mktemp("served") / "data") as process:
        yield process
        assert process.stop() == 0


@pytest.fixture(scope="session")
def migrated(served: StoreProcess) -> StoreProcess:
    """The same process, with spanlore's own tables."""
    login = served.admin
    migrate.migrate(served.database_url(login))
    return served


@pytest.fixture
def table(served: StoreProcess, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty table (a UInt64, b String) of its own for one test."""
    name = f"t_{abs(hash(request.node.nodeid))}"
    served.ask(f"CREATE TABLE {name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    yield name
    served.ask(f"DROP TABLE {name}")
