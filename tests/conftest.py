"""The real parts that tests in several folders use: a store process, and the recorded runs."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanlore.schemas import credentials, migrate
from spanlore.schemas.store import Store

STOP_S = 30
_database_numbers = itertools.count(1)


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
    data_dir = tmp_path_factory.mktemp("store_server")
    login = credentials.load_or_create(data_dir).admin
    arguments = ["--data-dir", str(data_dir), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "spanlore.store_server", *arguments], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as said:
        port = json.loads(said.readline())["port"]
    yield f"clickhouse://{login.user}:{login.password}@127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0


@pytest.fixture
def store_url(store_server_url: str) -> str:
    """Return the URL of a database of its own for one test, migrated."""
    url = f"{store_server_url}/test_{os.getpid()}_{next(_database_numbers)}"
    migrate.migrate(url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Open the store of one test."""
    with Store.connect(store_url) as opened:
        yield opened
