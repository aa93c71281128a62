"""The three ways to switch it on, as the README shows them, end at the store."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spanlore.schemas.runs import RunFilter, list_runs
from spanlore.schemas.store import Store
from spanlore.schemas.types import Run
from tests.collector.collector_process import CollectorProcess
from tests.instrumentation.fake_openai import FakeOpenAI, environment, fake_openai
from tests.instrumentation.traced import Ended, run_command

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## Switch it on")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture
def there(tmp_path: Path, store_url: str) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path / "collector", store_url) as process:
        yield process
        assert process.stop() == 0


@pytest.fixture
def model() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def _ways() -> list[tuple[str, str]]:
    ways = [(language, block) for language, block in BLOCKS if language in ("bash", "python")]
    assert [language for language, _ in ways] == ["bash", "python", "python"]
    return ways


def _run_block(language: str, block: str, there: CollectorProcess, model: FakeOpenAI) -> Ended:
    """Run a block where the examples are; `spanlore` and `python` are this environment's."""
    env = {
        **environment(model),
        "OTEL_EXPORTER_OTLP_ENDPOINT": there.url,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    command = shlex.split(block) if language == "bash" else [sys.executable, "-c", block]
    folder = there.data_dir.parent
    (folder / "examples").symlink_to(ROOT / "examples")
    return run_command(*command, env=env, folder=folder)


def _only_run(there: CollectorProcess, store: Store) -> Run:
    there.flush()
    (run,) = list_runs(store, RunFilter(limit=10), now=datetime.now(UTC))
    return run


def test_from_outside_a_program_is_traced_without_a_line_of_code(
    there: CollectorProcess, model: FakeOpenAI, store: Store
) -> None:
    ended = _run_block(*_ways()[0], there, model)
    assert (ended.code, ended.out, ended.err) == (0, "It is booked.\n", "")
    run = _only_run(there, store)
    assert (run.agent, run.user, run.tenant, run.outcome) == ("assistant", "ann", "acme", "pass")
    assert (run.state, run.tool_calls, run.tool_errors) == ("sealed", 1, 0)
    assert (run.input_tokens, run.output_tokens) == (22, 8)


def test_with_an_import_a_program_is_traced(
    there: CollectorProcess, model: FakeOpenAI, store: Store
) -> None:
    ended = _run_block(*_ways()[1], there, model)
    assert (ended.code, ended.out, ended.err) == (0, "It is booked.\n", "")
    run = _only_run(there, store)
    assert (run.steps, run.input_tokens) == (1, 11)


def test_with_a_call_a_program_is_traced_with_all_that_it_says(
    there: CollectorProcess, model: FakeOpenAI, store: Store
) -> None:
    ended = _run_block(*_ways()[2], there, model)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    run = _only_run(there, store)
    assert (run.agent, run.user, run.tenant, run.outcome) == ("assistant", "ann", "acme", "pass")
    (row,) = store.query("SELECT UserId, Field, Original, Replacement FROM overrides")
    assert tuple(row.values()) == ("ann", "/start", "09:00", "10:00")
