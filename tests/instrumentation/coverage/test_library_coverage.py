"""Each library run for real against scripted models, its spans compared with what is kept."""

import os
import sys
from pathlib import Path

import pytest

from tests.instrumentation.coverage.captured import as_json, page
from tests.instrumentation.coverage.cases import CASES, Case
from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.coverage.span_trees import scenarios
from tests.instrumentation.traced import collector, run_command
from tests.packages import python_with

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "instrumentation" / "COVERAGE.md"
IN_LOCK = [case for case in CASES if not case.packages]
IN_OWN_ENVIRONMENT = [case for case in CASES if case.packages]
WRITES = os.environ.get("SPANLORE_WRITE_SNAPSHOTS") == "1"


def name(case: Case) -> str:
    return case.name


def spans_of(case: Case, python: str, folder: Path) -> str:
    with scripted_models() as models, collector() as there:
        env = {**models.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url, **case.env}
        # What was just installed is compiled first, and some libraries import for a minute.
        ended = run_command(python, str(case.path), env=env, folder=folder, timeout_s=600)
        assert ended.code == 0, ended.err
        return as_json(scenarios(there.spans()))


def kept(path: Path, found: str) -> str:
    """Return what is kept, after it was written anew where that was asked for."""
    if WRITES:
        path.write_text(found)
    return path.read_text()


@pytest.mark.parametrize("case", IN_LOCK, ids=name)
def test_the_spans_of_a_library_are_those_that_are_kept(case: Case, tmp_path: Path) -> None:
    found = spans_of(case, sys.executable, tmp_path)
    assert found == kept(case.snapshot, found)


@pytest.mark.slow
@pytest.mark.parametrize("case", IN_OWN_ENVIRONMENT, ids=name)
def test_the_spans_of_another_version_are_those_that_are_kept(case: Case, tmp_path: Path) -> None:
    found = spans_of(case, python_with(case.packages, tmp_path), tmp_path)
    assert found == kept(case.snapshot, found)


def test_the_page_of_what_is_captured_is_made_from_the_snapshots() -> None:
    assert page() == kept(PAGE, page())
