"""A trace that two tenants send spans of: the run and its counts stay those of one of them."""

from itertools import permutations
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.schemas import semconv, tables
from spanlore.schemas.store import Store
from tests.collector.test_seal import START_NS, Load, judged, load, request, runs, span

__all__ = ["load"]

USAGE = {
    semconv.REQUEST_MODEL: "gpt-4o",
    semconv.USAGE_INPUT_TOKENS: 1_000,
    semconv.USAGE_OUTPUT_TOKENS: 100,
}


def of(tenant: str, number: int, parent: int | None, op: str, **also: Any) -> Span:
    start_ns = also.pop("start_time_unix_nano", START_NS + number)
    named = {semconv.TENANT_ID: tenant} if tenant else {}
    return span(number, parent, op, also={**named, **also}, start_time_unix_nano=start_ns)


def victims() -> list[Span]:
    who = {semconv.USER_ID: "ann", semconv.AGENT_NAME: "assistant"}
    return [of("victim", 1, None, "invoke_agent", **who), of("victim", 2, 1, "chat", **USAGE)]


def thiefs() -> list[Span]:
    """Spans of another sender that would be the root, and one with the id of a victim's."""
    who = {semconv.USER_ID: "eve", semconv.AGENT_NAME: "thief"}
    return [
        of("thief", 8, None, "invoke_agent", start_time_unix_nano=START_NS - 1, **who),
        of("thief", 1, 2, "chat", **USAGE),
    ]


def told(store: Store) -> tuple[Any, ...]:
    [run] = runs(store)
    columns = ("TenantId", "UserId", "AgentName", "Spans", "Steps", "InputTokens", "RootSpanId")
    return tuple(run[name] for name in columns)


@pytest.mark.parametrize("first", [0, 1])
def test_a_run_that_stands_is_not_taken_by_another_tenants_span(
    store: Store, load: Load, first: int
) -> None:
    load(request(*victims()[first:]))
    load(request(*thiefs()))
    load(request(*victims()))
    assert told(store) == ("victim", "ann", "assistant", 2, 1, 1_000, (1).to_bytes(8, "big").hex())


def test_who_comes_first_to_a_trace_counts_none_of_anothers_spans(store: Store, load: Load) -> None:
    load(request(*thiefs()))
    load(request(*victims()))
    assert told(store)[:6] == ("thief", "eve", "thief", 2, 1, 1_000)


def test_another_tenants_judgement_decides_nothing(store: Store, load: Load) -> None:
    verdict = judged("fail", "human", 1)
    record = verdict.resource_logs[0].scope_logs[0].log_records[0]
    named = record.attributes.add()
    named.key, named.value.string_value = semconv.TENANT_ID, "thief"
    load(request(*victims()), verdict)
    [run] = runs(store)
    assert run["Outcome"] == ""
    named.value.string_value = "victim"
    load(verdict)
    [run] = runs(store)
    assert run["Outcome"] == "fail"


def test_spans_that_name_no_tenant_go_with_the_one_that_their_trace_names(
    store: Store, load: Load
) -> None:
    root, below = of("", 1, None, "GET /"), [*victims()[1:], of("", 3, 2, "chat")]
    said = set()
    for order in permutations([root, *below]):
        store.command(f"TRUNCATE TABLE {tables.RUNS}")
        # A root that is there alone is a whole run, and stays that of nobody by name.
        together = order[:2] if order[0] is root else order[:1]
        load(request(*together))
        for one in order[len(together) :]:
            load(request(one))
        said.add(told(store))
    assert [row[0] for row in said] == ["victim"]
    assert said.pop()[3] == 3


def test_a_whole_run_of_nobody_by_name_is_not_taken_either(store: Store, load: Load) -> None:
    load(request(of("", 1, None, "invoke_agent"), of("", 2, 1, "chat", **USAGE)))
    load(request(*thiefs()))
    assert told(store)[:4] == ("default", "", "", 2)
