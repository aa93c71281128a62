"""The real parts that tests in several folders use: a store process, and the recorded runs."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from spanlore.schemas import migrate
from spanlore.schemas.store import Store
from tests.empty_store import empty
from tests.store_server.store_process import StoreProcess

# How long an example takes says more of the machine's other work than of ours.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over the tests themselves: they live to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def recorded_runs() -> Path:
    """Return the folder of recorded agent runs; a test that needs it is skipped where it is not."""
    folder = os.environ.get("SPANLORE_TEST_DATA")
    path = Path(folder) if folder else Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no recorded runs at {path}")
    return path


@pytest.fixture(scope="session")
def store_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one store process for the session and return its URL without a database."""
    with StoreProcess(tmp_path_factory.mktemp("store_server")) as process:
        yield f"clickhouse://{process.admin.user}:{process.admin.password}@127.0.0.1:{process.port}"
        assert process.stop() == 0


@pytest.fixture(scope="session")
def migrated_url(store_server_url: str) -> str:
    """Return the URL of the session's database, migrated."""
    url = f"{store_server_url}/tests"
    migrate.migrate(url)
    return url


@pytest.fixture
def store(migrated_url: str) -> Iterator[Store]:
    """Open the session's database, emptied for one test."""
    with Store.connect(migrated_url) as opened:
        empty(opened)
        yield opened


@pytest.fixture
def store_url(store: Store, migrated_url: str) -> str:
    """Return the URL of the session's database, emptied for one test."""
    del store
    return migrated_url
