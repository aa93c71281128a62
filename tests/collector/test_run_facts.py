"""What spans add up to, where the store is not needed to see it."""

import json
from typing import Any

import pytest

from spanlore.collector.run_facts import run_facts
from spanlore.collector.run_spans import NAMES

START_NS = 1_750_000_000_000_000_000
_TEXTS = {
    *["ParentSpanId", "Op", "StatusCode", "ErrorType", "ServiceName", "AgentName"],
    *["AgentVersion", "UserId", "SessionId", "TaskType", "TaskId", "Provider", "Model"],
    *["Sampling", "Revision", "ToolName", "Teller"],
}
_TOKENS = {"InputTokens", "OutputTokens", "CacheReadTokens"}


def span(number: int, **said: Any) -> tuple[Any, ...]:
    plain = {name: "" if name in _TEXTS else None if name in _TOKENS else 0 for name in NAMES}
    made = {
        **plain,
        "Rank": 3,
        "SpanId": str(number),
        "TenantId": "default",
        "at_ns": START_NS + number,
    }
    return tuple((made | said)[name] for name in NAMES)


def root(**said: Any) -> tuple[Any, ...]:
    return span(0, Rank=0, Op="invoke_agent", **said)


def chat(number: int, given: int | None, answered: int | None, **said: Any) -> tuple[Any, ...]:
    tokens = {"InputTokens": given, "OutputTokens": answered, "ParentSpanId": "0"}
    return span(number, **{"Op": "chat", "Model": "gpt-4o", **tokens, **said})


@pytest.mark.parametrize(
    ("said", "sampling"),
    [
        (
            {"llm.invocation_parameters": '{"model": "m", "max_tokens": 9, "stop": null}'},
            {"max_tokens": "9"},
        ),
        ({"llm.invocation_parameters": '{"max_tokens": "Infinity", "top_p": 1}'}, {"top_p": "1"}),
        ({"gen_ai.request.top_p": "1", "llm.invocation_parameters": "{"}, {"top_p": "1"}),
        (
            {"gen_ai.request.top_k": "llm.invocation_parameters"},
            {"top_k": "llm.invocation_parameters"},
        ),
    ],
)
def test_parameters_in_anothers_json_are_those_of_the_conventions(
    said: dict[str, str], sampling: dict[str, str]
) -> None:
    unsaid = chat(1, 1, 1, Sampling=json.dumps({"llm.invocation_parameters": '{"model": "m"}'}))
    facts = run_facts("t", [root(), unsaid, chat(2, 1, 1, Sampling=json.dumps(said))], {})
    assert json.loads(facts["Sampling"]) == {f"gen_ai.request.{k}": v for k, v in sampling.items()}


def test_cached_tokens_are_a_part_of_the_input_and_never_more_than_it() -> None:
    dear = run_facts("t", [root(), chat(1, 1_000, 10)], {})["CostUsd"]
    cheap = run_facts("t", [root(), chat(1, 1_000, 10, CacheReadTokens=400)], {})["CostUsd"]
    least = run_facts("t", [root(), chat(1, 1_000, 10, CacheReadTokens=9_000)], {})["CostUsd"]
    all_read = run_facts("t", [root(), chat(1, 1_000, 10, CacheReadTokens=1_000)], {})["CostUsd"]
    assert dear > cheap > least == all_read > 0


@pytest.mark.parametrize("unknown", [{"OutputTokens": None}, {"Model": "nobody-knows-this"}])
def test_what_one_call_cost_that_is_not_known_leaves_the_cost_of_the_run_unknown(
    unknown: dict[str, Any],
) -> None:
    facts = run_facts("t", [root(), chat(1, 1_000, 10), chat(2, 1_000, 10, **unknown)], {})
    assert facts["CostUsd"] is None


def test_a_call_that_used_nothing_costs_nothing_whatever_its_model() -> None:
    one = [root(), chat(1, 1_000, 10)]
    free = chat(2, 0, 0, Model="nobody-knows-this")
    cost = run_facts("t", one, {})["CostUsd"]
    assert cost is not None
    assert run_facts("t", [*one, free], {})["CostUsd"] == cost


def test_more_tokens_than_the_store_counts_to_wrap_around_as_they_do_there() -> None:
    facts = run_facts("t", [root(), chat(1, 2**64 - 1, 1), chat(2, 3, 1)], {})
    assert facts["InputTokens"] == 2


def test_of_a_span_that_came_twice_the_complete_one_counts_then_the_later() -> None:
    early = chat(1, 1, 1, received_ns=1)
    later = chat(1, 2, 2, received_ns=2)
    cut_off = chat(1, 3, 3, received_ns=3, Incomplete=1)
    facts = run_facts("t", [root(), early, later, cut_off], {})
    assert (facts["Spans"], facts["InputTokens"]) == (2, 2)
    assert facts["last_received_ns"] == 2


def test_the_model_is_that_of_the_first_inference_and_other_words_are_the_first_of_any() -> None:
    named = root(Model="asked for", Sampling="{}", AgentName="a")
    facts = run_facts("t", [named, chat(1, 1, 1, Sampling='{"t":1}', AgentName="b")], {})
    assert (facts["Model"], facts["Sampling"], facts["AgentName"]) == ("gpt-4o", '{"t":1}', "a")


def test_a_parent_that_is_not_there_is_missed_and_a_tenants_span_is_no_parent_to_anothers() -> None:
    mine = [root(TenantId="mine"), chat(1, 1, 1, TenantId="mine", ParentSpanId="9")]
    theirs = span(9, TenantId="theirs")
    assert run_facts("t", [*mine, theirs], {})["orphans"] == 1
    assert run_facts("t", [*mine, span(9)], {})["orphans"] == 0


def tool(number: int, parent: int, teller: str, **said: Any) -> tuple[Any, ...]:
    named = {"Op": "execute_tool", "ToolName": "x", "ParentSpanId": str(parent), "Teller": teller}
    return span(number, **{**named, **said})


def plumbing(number: int, parent: int) -> tuple[Any, ...]:
    return span(number, ParentSpanId=str(parent))


def told_of(*spans: tuple[Any, ...]) -> tuple[int, int, dict[str, str]]:
    facts = run_facts("t", [root(), *spans], {})
    return facts["ToolCalls"], facts["ToolErrors"], facts["DuplicateOf"]


def test_a_tool_that_a_server_runs_below_the_agents_span_of_it_is_one_call() -> None:
    agents, client, server = tool(1, 0, "agent"), plumbing(2, 1), tool(3, 2, "mcp")
    assert told_of(agents, client, server) == (1, 0, {"3": "1"})
    assert told_of(agents, client, server, tool(4, 3, "program")) == (1, 0, {"3": "1", "4": "1"})


def test_a_call_failed_where_the_last_that_is_told_of_it_did() -> None:
    agents, failed = tool(1, 0, "agent"), tool(2, 1, "mcp", ErrorType="tool_error")
    assert told_of(agents, failed)[:2] == (1, 1)
    assert told_of(agents, failed, tool(3, 1, "mcp"))[:2] == (1, 0)
    assert told_of(tool(1, 0, "agent", StatusCode="Error"), tool(2, 1, "mcp"))[:2] == (1, 1)


@pytest.mark.parametrize(
    "between",
    [
        pytest.param([tool(2, 1, "mcp", ToolName="y")], id="another tool"),
        pytest.param([tool(2, 1, "agent")], id="itself"),
        pytest.param([tool(2, 1, "mcp", ToolName="")], id="a tool without a name"),
        pytest.param([chat(2, 1, 1, ParentSpanId="1"), tool(3, 1, "mcp")], id="through a model"),
        pytest.param(
            [span(2, Op="invoke_agent", ParentSpanId="1"), tool(3, 2, "mcp")], id="an agent"
        ),
    ],
)
def test_what_a_tool_calls_is_a_call_of_its_own(between: list[tuple[Any, ...]]) -> None:
    assert told_of(tool(1, 0, "agent"), *between) == (2, 0, {})


def test_a_tool_that_was_called_by_what_it_calls_is_a_call_of_its_own() -> None:
    once = [tool(1, 0, "agent"), tool(2, 1, "mcp")]
    assert told_of(*once, tool(3, 2, "agent"), tool(4, 3, "mcp"))[2] == {"2": "1", "4": "3"}


def test_tokens_of_one_call_of_a_model_that_two_tell_count_once() -> None:
    outer, below = chat(1, 10, 2), plumbing(2, 1)
    spans = [root(), outer, below, chat(3, 10, 2, ParentSpanId="2")]
    facts = run_facts("t", spans, {})
    assert (facts["Steps"], facts["InputTokens"], facts["OutputTokens"]) == (1, 10, 2)
    assert facts["CostUsd"] == run_facts("t", [root(), outer], {})["CostUsd"]
    assert facts["DuplicateOf"] == {"3": "1"}


def test_what_one_of_two_does_not_say_of_a_call_is_what_the_other_says() -> None:
    outer = chat(1, None, None, Model="")
    facts = run_facts("t", [root(), outer, chat(2, 10, 2, ParentSpanId="1")], {})
    assert (facts["Steps"], facts["InputTokens"], facts["OutputTokens"]) == (1, 10, 2)
    assert facts["CostUsd"] == run_facts("t", [root(), chat(1, 10, 2)], {})["CostUsd"]


def test_calls_that_stand_in_a_ring_or_without_end_within_each_other_are_counted() -> None:
    ring = [chat(1, 10, 2, ParentSpanId="2"), chat(2, 10, 2, ParentSpanId="1")]
    assert run_facts("t", [root(), *ring], {})["Steps"] == 1
    own = [plumbing(1, 2), plumbing(2, 1), tool(3, 2, "a"), tool(4, 4, "a")]
    assert told_of(*own) == (2, 0, {})
    deep = [tool(number, number - 1, f"{number}") for number in range(1, 5_000)]
    assert told_of(*deep)[0] < 1_000
