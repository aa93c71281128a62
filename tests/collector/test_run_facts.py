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
    *["Sampling", "Revision"],
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
