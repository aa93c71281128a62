"""Runs that were revoked: no question of the package's own SQL counts them any more."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import spanlore.analyzers
from spanlore.analyzers.catalogue.preference_override import preference_override
from spanlore.analyzers.evaluation.harness_arms import DEFINITIONS_SQL, FIRST_SEEN_SQL, RUNS_SQL
from spanlore.analyzers.evaluation.memory_arms import memory_arms
from spanlore.analyzers.evaluation.memory_gate import evaluate_memory
from spanlore.analyzers.evaluation.replay_gate import evaluate_harness
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.lessons.lesson_usage import usage
from spanlore.analyzers.preferences.slot_choices import slot_choices
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import REVOKED_TRACES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS
from tests.analyzers.effect_runs import NOW, SLOT, START, Meeting, memory, stored

FOLDER = Path(spanlore.analyzers.__file__).parent
# What reads a run that it is told of by id, or counts runs on its way to something that leaves
# revoked ones out; each with why.
NOT_ABOUT_COUNTS = {
    "run_traces.py": "reads the runs it is asked for",
    "user_turns.py": "reads the spans of runs it is asked for",
    "needs.py": "says what a service sends, whatever it may be used for",
    "dream.py": "asks whether anything is new",
    "extraction.py": "facts of revoked runs are left out where they are counted",
    "judge_runs.py": "a verdict on a run is no lesson",
    "change_point.py": "joins counting.RUNS_SQL",
}
# The last one says how far the store is, whatever was in it.
_LEAVES_OUT = (
    "NOT_REVOKED",
    "{REVOKED_TRACES}",
    "RUNS_SQL}",
    "%(ids)s",
    "{SPANS_OF_TRACES}",
    "max(SealedAt)",
)
_READS = re.compile(r"(?:FROM|JOIN) (?:\{(?:RUNS|TRACES)\}|agent_runs|otel_traces)")


def meetings(tenant: str = "acme") -> list[Meeting]:
    return [
        Meeting(
            number=number,
            user=f"u{number % 12}",
            arm="exposed" if number % 5 == 0 else "held_out" if number % 5 == 1 else "",
            changed=True,
            day=number // 4,
            tenant=tenant,
        )
        for number in range(120)
    ]


def revoke(store: Store, traces: Iterable[str]) -> None:
    said = {"By": "ada", "Reason": "poisoned", "At": NOW}
    store.insert(REVOKED_TRACES, [{"TraceId": one, **said} for one in traces])


@pytest.fixture
def told(store: Store) -> list[Meeting]:
    every = meetings()
    stored(store, every)
    extract_pending(store, Window())
    return every


def test_no_preference_rests_on_them(store: Store, told: list[Meeting]) -> None:
    assert list(preference_override(store, Window()))
    assert len(slot_choices(store, Window())) == len(told)
    revoke(store, (one.trace_id for one in told[1:]))
    assert [one.trace_id for one in slot_choices(store, Window())] == [told[0].trace_id]
    revoke(store, (told[0].trace_id,))
    assert list(preference_override(store, Window())) == []


def test_no_gate_and_no_arm_sees_them(store: Store, told: list[Meeting]) -> None:
    lesson = memory()
    before = memory_arms(store, lesson, NOW)
    assert before.exposed
    assert before.other
    assert evaluate_memory(store, lesson, Window())["n"] > 0
    assert len(list(calls_by_run(store, Window(), [SLOT["tool"]]))) == len(told)
    revoke(store, (one.trace_id for one in told))
    after = memory_arms(store, lesson, NOW)
    assert (list(after.exposed), list(after.other)) == ([], [])
    assert evaluate_memory(store, lesson, Window())["n"] == 0
    assert list(calls_by_run(store, Window(), [SLOT["tool"]])) == []
    harness = memory(layer="harness", content={"tool": SLOT["tool"]})
    assert evaluate_harness(store, harness, Window())["n"] == 0


def test_no_use_of_a_lesson_is_counted_of_them(store: Store, told: list[Meeting]) -> None:
    assert usage(store)["m1"].runs == len(told) / 5
    revoke(store, (one.trace_id for one in told))
    assert usage(store) == {}


def test_no_harness_is_seen_in_them(store: Store) -> None:
    at = {"StartedAt": START, "LastReceivedAt": START, "Version": 1}
    row = {"TenantId": "acme", "TraceId": "ab" * 16, "State": "sealed", "ToolDefinitionsHash": "h"}
    store.insert(RUNS, [{**row, **at}])
    asked = {"hashes": ["h"], "tenant": ""}
    assert len(store.query(FIRST_SEEN_SQL, asked)) == len(store.query(RUNS_SQL, asked)) == 1
    revoke(store, ["ab" * 16])
    assert store.query(FIRST_SEEN_SQL, asked) == store.query(RUNS_SQL, asked) == []
    assert store.query(DEFINITIONS_SQL) == []


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.name)
def test_every_sql_that_reads_runs_leaves_them_out(file: Path) -> None:
    if file.name in NOT_ABOUT_COUNTS:
        return
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            sql = ast.get_source_segment(source, node) or ""
            held_out = any(one in sql for one in _LEAVES_OUT)
            assert held_out or not _READS.search(sql), sql
