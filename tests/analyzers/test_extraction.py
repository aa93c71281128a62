"""Runs read once for all extractors, and their facts counted over whole populations."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spanlore.analyzers import extraction
from spanlore.analyzers.counting import fact_counts as counting
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.registry import Extractor
from spanlore.analyzers.runs.conversation import messages_of, text_of
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.loaded_runs import load_lines

TOOLS = ("search", "book", "cancel")


def tool_facts(run: RunTrace) -> Iterator[Fact]:
    for tool in sorted({call.tool for call in run.calls}):
        errors = [call.error is not None for call in run.calls if call.tool == tool]
        yield Fact(key=f"tool|{tool}", n=len(errors), k=sum(errors), detail=tool)


@pytest.fixture
def extractors(monkeypatch: pytest.MonkeyPatch) -> list[Extractor]:
    installed = [Extractor("tools", "1", tool_facts)]
    monkeypatch.setattr(extraction, "installed_extractors", lambda: installed)
    monkeypatch.setattr(counting, "installed_extractors", lambda: installed)
    return installed


def line(number: int, seed: random.Random) -> dict[str, Any]:
    """Return a run of a few tool calls; about a third of them fail, more under agent b."""
    agent = seed.choice("ab")
    calls = [
        (f"c{at}", seed.choice(TOOLS), seed.random() < (0.5 if agent == "b" else 0.2))
        for at in range(seed.randint(1, 4))
    ]
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"run {number}"}]
    for call_id, tool, fails in calls:
        asked = {"id": call_id, "function": {"name": tool, "arguments": f'{{"at": {number}}}'}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [asked]})
        answer = {"role": "tool", "tool_call_id": call_id, "name": tool, "is_error": fails}
        messages.append({**answer, "content": "Error: no" if fails else '{"id": 1}'})
    messages.append({"role": "assistant", "content": "done"})
    return {
        "run_id": f"run-{number}",
        "task": {"type": "travel", "id": str(seed.randint(1, 5))},
        "agent": {"name": agent, "version": "1"},
        "model": "gpt-5",
        "user_id": f"u{seed.randint(1, 9)}",
        "tenant_id": seed.choice(("acme", "hooli")),
        "messages": messages,
        "outcome": {"label": seed.choice(("pass", "fail")), "source": "environment"},
    }


def lines(count: int) -> list[dict[str, Any]]:
    seed = random.Random(7)
    return [line(number, seed) for number in range(count)]


def facts(store: Store) -> list[tuple[Any, ...]]:
    rows = store.query("SELECT Key, TraceId, N, K FROM run_facts FINAL ORDER BY Key, TraceId")
    return [tuple(row.values()) for row in rows]


def test_a_run_is_read_whole(store: Store, tmp_path: Path) -> None:
    wanted = lines(1)[0] | {"started_at": "2026-01-01T10:00:00Z"}
    wanted["tools"] = [{"type": "function", "function": {"name": "book", "parameters": {}}}]
    wanted["messages"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Book it"},
        {
            "role": "assistant",
            "content": "One moment",
            "tool_calls": [{"id": "c1", "function": {"name": "book", "arguments": "{oops"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Error: bad", "is_error": True},
        {"role": "assistant", "content": "It failed", "usage": {"prompt_tokens": 7}},
    ]
    load_lines(store, tmp_path, [wanted])
    [run] = run_traces(store, [row["TraceId"] for row in store.query("SELECT * FROM agent_runs")])
    assert (run.agent, run.model, run.task_type) == (
        f"{wanted['agent']['name']}/1",
        "gpt-5",
        "travel",
    )
    assert run.task == f"travel/{wanted['task']['id']}"
    assert run.outcome == wanted["outcome"]["label"]
    assert (run.instructions, list(run.defined_tools)) == ("Be brief.", ["book"])
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]
    [request] = run.messages[1].requests
    assert (request.name, request.arguments, request.arguments_text) == ("book", None, "{oops")
    assert run.messages[2].answers[0].text == "Error: bad"
    [call] = run.calls
    assert (call.tool, call.error is not None, call.call_id) == ("book", True, "c1")
    assert [call.input_tokens for call in run.model_calls] == [None, 7]
    assert run.model_calls[-1].output[0].text == "It failed"


def test_messages_of_other_shapes_are_read_and_nonsense_is_none() -> None:
    [message] = messages_of('[{"role": "assistant", "content": "hello"}]')
    assert (message.role, message.text) == ("assistant", "hello")
    answer = '{"type": "tool_call_response", "id": "1", "result": {"a": 1}}'
    [message] = messages_of(f'[{{"role": "user", "parts": [{answer}]}}]')
    assert (message.role, message.answers[0].text) == ("tool", '{"a": 1}')
    assert messages_of("not JSON") == messages_of('{"a": 1}') == messages_of("") == ()
    assert text_of('[{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]') == "a\nb"
    assert text_of("plain words") == "plain words"


@pytest.mark.usefixtures("extractors")
def test_only_new_runs_are_read_the_next_time(store: Store, tmp_path: Path) -> None:
    runs = lines(30)
    load_lines(store, tmp_path, runs[:20])
    first = extract_pending(store, Window())
    assert first.runs == 20
    load_lines(store, tmp_path, runs[20:])
    assert extract_pending(store, Window()).runs == 10
    assert extract_pending(store, Window()).runs == 0
    assert len(facts(store)) == first.facts + 30 + _facts_of(runs[20:])


def _facts_of(runs: list[dict[str, Any]]) -> int:
    return sum(
        len({m["tool_calls"][0]["function"]["name"] for m in run["messages"] if "tool_calls" in m})
        for run in runs
    )


@pytest.mark.usefixtures("extractors")
def test_a_stop_between_batches_loses_nothing_and_reads_nothing_twice(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "BATCH_RUNS_MAX", 4)
    load_lines(store, tmp_path, lines(20))
    seen: list[tuple[int, int]] = []

    def stop_early(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_pending(store, Window(), stop_early)
    assert extract_pending(store, Window(), lambda *far: seen.append(far)).runs == 12
    assert seen[-1][0] == seen[-1][1]
    whole = facts(store)
    store.command("TRUNCATE TABLE run_facts SYNC")
    extract_pending(store, Window())
    assert facts(store) == whole


def test_a_changed_extractor_reads_again_and_its_old_facts_do_not_count(
    store: Store, tmp_path: Path, extractors: list[Extractor]
) -> None:
    load_lines(store, tmp_path, lines(20))
    extract_pending(store, Window())
    before = {one.key: one.support for one in counting.rates(store, Window(), "tools")}
    extractors[0] = Extractor("tools", "2", tool_facts)
    assert extract_pending(store, Window()).runs == 20
    assert {one.key: one.support for one in counting.rates(store, Window(), "tools")} == before


@pytest.mark.usefixtures("extractors")
def test_a_run_sealed_again_counts_once(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(20))
    extract_pending(store, Window())
    before = {one.key: one.support for one in counting.rates(store, Window(), "tools")}
    store.command(
        "INSERT INTO agent_runs SELECT * REPLACE(Version + 1 AS Version) FROM agent_runs FINAL"
    )
    assert list(counting.rates(store, Window(), "tools")) == []  # nobody has read these yet
    assert extract_pending(store, Window()).runs == 20
    assert {one.key: one.support for one in counting.rates(store, Window(), "tools")} == before


def test_a_run_that_an_extractor_fails_on_stops_nothing(
    store: Store, tmp_path: Path, extractors: list[Extractor]
) -> None:
    def breaks(run: RunTrace) -> Iterator[Fact]:
        yield Fact(key="seen")
        if len(run.calls) > 3:
            message = "too many"
            raise ValueError(message)

    extractors.append(Extractor("breaks", "1", breaks))
    load_lines(store, tmp_path, lines(20))
    done = extract_pending(store, Window())
    assert "ValueError: too many (trace " in done.failed["breaks"]
    assert extract_pending(store, Window()).runs == 0
    rows = store.query("SELECT Extractor, count() AS n FROM run_facts WHERE Key = '' GROUP BY 1")
    assert {row["Extractor"]: row["n"] for row in rows} == {"tools": 20, "breaks": 20}


def test_several_processes_keep_what_one_does(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_lines(store, tmp_path, lines(40))
    alone = extract_pending(store, Window())
    kept = facts(store)
    store.command("TRUNCATE TABLE run_facts SYNC")
    monkeypatch.setattr(extraction, "BATCH_RUNS_MAX", 10)
    monkeypatch.setattr(extraction, "PARALLEL_SPANS_MIN", 0)
    assert extract_pending(store, Window()) == alone
    assert facts(store) == kept


@pytest.mark.usefixtures("extractors")
def test_rates_are_those_of_a_straight_count(store: Store, tmp_path: Path) -> None:
    runs = lines(60)
    load_lines(store, tmp_path, runs)
    extract_pending(store, Window())
    counted = {one.key: one for one in counting.rates(store, Window(), "tools", group="''")}
    calls: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for message in (message for run in runs for message in run["messages"]):
        if message["role"] == "tool":
            calls[message["name"]] += 1
            errors[message["name"]] += message["is_error"]
    assert set(counted) == {f"tool|{tool}" for tool in TOOLS}
    for tool in TOOLS:
        one = counted[f"tool|{tool}"]
        assert (one.support.n, one.support.k) == (calls[tool], errors[tool])
        assert (one.strata.n.sum(), one.strata.k.sum()) == (calls[tool], errors[tool])
        # Every stratum here has every tool somewhere, so the rest is all other calls of them.
        assert one.strata.other_n.sum() <= calls.total() - calls[tool]
        assert (one.strata.other_k <= one.strata.other_n).all()
        assert one.details[0] == tool
        assert set(one.adjusted_for) == {"task", "agent"}
    total = sum(one.strata.n.sum() for one in counted.values())
    assert total == calls.total()


@pytest.mark.usefixtures("extractors")
def test_presence_compares_failed_runs_within_the_same_cell(store: Store, tmp_path: Path) -> None:
    runs = lines(80)
    load_lines(store, tmp_path, runs)
    extract_pending(store, Window())
    counted = {one.key: one for one in counting.presence(store, Window(), "tools")}

    def has_error(run: dict[str, Any], tool: str) -> bool:
        answers = [message for message in run["messages"] if message["role"] == "tool"]
        return any(one["name"] == tool and one["is_error"] for one in answers)

    for tool in TOOLS:
        one = counted[f"tool|{tool}"]
        having = [run for run in runs if has_error(run, tool)]
        failed = [run for run in having if run["outcome"]["label"] == "fail"]
        tasks = {run["task"]["id"] for run in having}
        beside = [run for run in runs if run not in having and run["task"]["id"] in tasks]
        assert (one.support.n, one.support.k) == (len(having), len(failed))
        assert one.strata.other_n.sum() == len(beside)
        assert one.strata.other_k.sum() == sum(r["outcome"]["label"] == "fail" for r in beside)
        assert len(np.unique(one.strata.cluster)) > 1
        assert len(one.evidence) == min(len(failed), counting.EVIDENCE_MAX)
