"""clickhouse-go v2 over HTTP: each test of go_client/client_test.go is one here."""

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.packages import go_modules
from tests.store_server.client_suites import Result, Results, environment
from tests.store_server.store_process import StoreProcess

FOLDER = Path(__file__).with_name("go_client")
NAMES = re.findall(r"^func (Test\w+)", (FOLDER / "client_test.go").read_text(), re.MULTILINE)
RUN_S_MAX = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(RUN_S_MAX + 300)]


@pytest.fixture(scope="module")
def results(migrated: StoreProcess) -> Results:
    """Build the suite, which takes a minute the first time, and run it once."""
    go = go_modules(FOLDER)
    done = subprocess.run(
        [go, "test", "-json", "-count=1", "."],
        check=False, capture_output=True, text=True, timeout=RUN_S_MAX, cwd=FOLDER,
        env=environment(migrated),
    )  # fmt: skip
    said: dict[str, str] = defaultdict(str)
    ended: dict[str, str] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        name = event.get("Test", "").partition("/")[0]
        said[name] += event.get("Output", "")
        if event.get("Test") == name and event["Action"] in {"pass", "fail", "skip"}:
            ended[name] = event["Action"]
    assert ended, done.stdout + done.stderr
    return {name: Result(action == "pass", said[name]) for name, action in ended.items()}


@pytest.mark.parametrize("name", NAMES)
def test_clickhouse_go(results: Results, name: str) -> None:
    assert results[name].passed, results[name].said
