"""The recording that ships with the demo: what its generator writes, with the faults it says."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from spanlore.demo import RECORDING, TOOLS
from spanlore.demo.faults import (
    CONFOUNDED,
    MISNAMED_KEY,
    RARE,
    RARE_CALLS,
    TIMEOUT,
    VAGUE_DURATION,
    Fault,
)
from spanlore.demo.generator import RUNS, recording

BYTES_MAX = 2_000_000
RUNS_RECORDED: list[dict[str, Any]] = [
    json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines()
]


def calls(runs: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, dict[str, Any], str]]:
    """Yield (run, tool, arguments, error or "") of every tool call."""
    for run in runs:
        asked = {
            call["id"]: call["function"]
            for message in run["messages"]
            for call in message.get("tool_calls", ())
        }
        for message in run["messages"]:
            if message["role"] == "tool":
                function = asked[message["tool_call_id"]]
                error = message["content"] if message.get("is_error") else ""
                yield run, function["name"], json.loads(function["arguments"]), error


def failures(fault: Fault) -> list[dict[str, Any]]:
    """Return the run of each call that failed by a fault."""
    constant = fault.template.partition("<")[0]
    return [
        run
        for run, tool, _, error in calls(RUNS_RECORDED)
        if tool == fault.tool and error.lower().startswith(constant)
    ]


def test_the_generator_writes_the_recording_byte_for_byte() -> None:
    assert recording().encode() == RECORDING.read_bytes()


def test_another_seed_gives_another_recording() -> None:
    assert recording(seed=1) != recording(seed=2)


def test_the_recording_is_small_and_complete() -> None:
    assert len(RECORDING.read_bytes()) < BYTES_MAX
    assert len(RUNS_RECORDED) == RUNS
    assert len({run["run_id"] for run in RUNS_RECORDED}) == RUNS
    assert len({run["tenant_id"] for run in RUNS_RECORDED}) >= 4
    assert len({run["user_id"] for run in RUNS_RECORDED}) >= 20
    assert len({(run["task"]["type"], run["task"]["id"]) for run in RUNS_RECORDED}) >= 15
    assert {run["outcome"]["source"] for run in RUNS_RECORDED} == {"environment"}


def test_the_runs_carry_the_tool_definitions_that_the_diff_is_made_for() -> None:
    tools = json.loads(TOOLS.read_text(encoding="utf-8"))
    assert all(run["tools"] == tools for run in RUNS_RECORDED)


def test_times_never_run_backwards_within_a_run() -> None:
    for run in RUNS_RECORDED:
        told = [message["timestamp"] for message in run["messages"] if "timestamp" in message]
        assert told == sorted(told)
        assert run["started_at"] <= told[0]
        assert run["ended_at"] == told[-1]


def test_the_planted_faults_are_spread_over_tenants_users_and_tasks() -> None:
    for fault in (VAGUE_DURATION, MISNAMED_KEY):
        failed = failures(fault)
        assert len(failed) > 50
        assert len({run["tenant_id"] for run in failed}) >= 4
        assert len({run["user_id"] for run in failed}) >= 15
        assert len({run["task"]["id"] for run in failed}) >= 15


def test_about_three_in_ten_events_are_first_tried_with_a_duration_in_words() -> None:
    first: dict[str, Any] = {}
    for run, tool, arguments, _ in calls(RUNS_RECORDED):
        if tool == VAGUE_DURATION.tool:
            first.setdefault(run["run_id"], arguments[VAGUE_DURATION.argument])
    share = sum(isinstance(duration, str) for duration in first.values()) / len(first)
    assert abs(share - VAGUE_DURATION.share) < 0.05


def test_the_rare_fault_has_three_calls() -> None:
    assert len(failures(RARE)) == RARE_CALLS == 3


def test_timeouts_strike_every_tool() -> None:
    struck = Counter(tool for _, tool, _, error in calls(RUNS_RECORDED) if error == TIMEOUT)
    assert set(struck) == {tool["function"]["name"] for tool in json.loads(TOOLS.read_text())}


def test_the_trap_is_armed_a_count_that_ignores_the_task_would_step_into_it() -> None:
    counts = {True: [0, 0], False: [0, 0]}
    for _, tool, arguments, error in calls(RUNS_RECORDED):
        if tool == CONFOUNDED.tool:
            counts[arguments[CONFOUNDED.argument] == CONFOUNDED.value][bool(error)] += 1
    with_value, without = counts[True], counts[False]
    assert with_value[1] / sum(with_value) > without[1] / sum(without) + 0.1
    assert stats.fisher_exact(np.array([with_value, without])).pvalue < 0.001
