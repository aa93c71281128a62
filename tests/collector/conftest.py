from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.collector_process import CollectorProcess

NOWHERE = "clickhouse://nobody:nothing@127.0.0.1:9/none"


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """One collector without a store, for tests that only knock at its doors."""
    with CollectorProcess(tmp_path_factory.mktemp("door") / "data", NOWHERE) as process:
        yield process
        assert process.stop() == 0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A collector's own data directory."""
    return tmp_path / "data"
