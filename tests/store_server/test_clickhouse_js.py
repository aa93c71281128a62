"""@clickhouse/client of npm: each test of clickhouse_client.test.cjs is one here."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.packages import npm_packages
from tests.store_server.client_suites import Result, Results, environment
from tests.store_server.store_process import StoreProcess

SUITE = Path(__file__).with_name("clickhouse_client.test.cjs")
PACKAGE = "@clickhouse/client@1.23.1"
RUN_S_MAX = 600
HOW = "${how}"
# The names in the file; one with HOW in it is in a loop, and stands for two.
NAMES = [
    name.replace(HOW, how)
    for name in re.findall(r"^ *test\(['`](.+?)['`],", SUITE.read_text(), re.MULTILINE)
    for how in (("plain", "packed") if HOW in name else ("",))
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(RUN_S_MAX + 300)]


@pytest.fixture(scope="module")
def results(migrated: StoreProcess, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Install the client and run its suite once."""
    modules = npm_packages(tmp_path_factory.mktemp("js"), PACKAGE)
    done = subprocess.run(
        ["node", "--test", "--test-reporter=junit", str(SUITE)],
        check=False, capture_output=True, text=True, timeout=RUN_S_MAX,
        env={**environment(migrated), "NODE_PATH": str(modules)},
    )  # fmt: skip
    assert done.stdout.startswith("<?xml"), done.stdout + done.stderr
    return {
        case.attrib["name"]: Result(not len(case), "".join(case.itertext()))
        for case in ET.fromstring(done.stdout).iter("testcase")  # noqa: S314 - node wrote it
    }


@pytest.mark.parametrize("name", NAMES)
def test_clickhouse_client_of_npm(results: Results, name: str) -> None:
    assert results[name].passed, results[name].said
