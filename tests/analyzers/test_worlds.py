"""One made-up world for each analyzer, through the whole path: lines, import, facts, findings.

What is planted is found, and nothing is confirmed that is not true of the world. The error rates
over many seeds are those of ``benchmarks/bench_learning.py``.
"""

import pytest

from learning.planted import Tally, judge, looked_at
from learning.world import Make
from learning.worlds import (
    change,
    corrections,
    error_cluster,
    failure_location,
    grounding,
    judges,
    loops,
    outliers,
    parser_failures,
    policy,
    routing,
    stale_memory,
    tool_misuse,
    tool_order,
    traps,
    truncation,
    unused,
    workflow,
)
from spanlore.schemas.store import Store

SEED = 20261123
# Each takes some ten seconds: these few always, all of them with the slow tests.
QUICK: tuple[Make, ...] = (
    error_cluster.new_error,
    stale_memory.contradicted,
    tool_misuse.other_name,
    traps.hard_tasks_for_one_agent,
)
WORLDS: tuple[Make, ...] = (
    change.worse_harness,
    corrections.other_values,
    corrections.a_tenants_tone,
    failure_location.labelled_steps,
    grounding.made_up_order,
    judges.too_kind,
    loops.identical_calls,
    outliers.slow_tool,
    parser_failures.broken_arguments,
    policy.forbidden_action,
    routing.better_at_refunds,
    tool_order.check_left_out,
    traps.habits_of_a_worse_agent,
    truncation.cut_off,
    unused.spare_tools,
    workflow.check_then_mail,
)


@pytest.mark.parametrize(
    "make",
    [*QUICK, *(pytest.param(make, marks=pytest.mark.slow) for make in WORLDS)],
    ids=lambda make: make.__name__,
)
def test_what_is_planted_is_found_and_nothing_else(store: Store, make: Make) -> None:
    tally, world = Tally(), make(SEED)
    report = looked_at(store, world)
    judge(world, report.findings, tally)
    assert tally.said == [], f"seed {SEED}"
    assert report.failed == {}
