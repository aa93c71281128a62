"""A recorded run as spans: names, times, attributes and which answer belongs to which call."""

import json
from typing import Any

import pytest
from inline_snapshot import snapshot
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanlore.instrumentation.history.judgement import judgement_of
from spanlore.schemas import semconv
from tests.instrumentation.history_cases import attributes, called, run_of, spans

RUN: dict[str, Any] = {
    "run_id": "r-1",
    "trial": 2,
    "task": {"type": "refund", "id": "t-7"},
    "agent": {"name": "desk", "version": "v3"},
    "model": "gpt-4o",
    "user_id": "anna",
    "tenant_id": "acme",
    "started_at": "2025-08-01T10:00:00",
    "ended_at": "2025-08-01T10:00:09Z",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "find",
                "description": "Find it.",
                "parameters": {"type": "object"},
            },
        }
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Où?", "timestamp": "2025-08-01T10:00:01"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [called("find", "c1", '{"id": 4,  "at": "Zürich"}')],
            "timestamp": "2025-08-01T12:00:03+02:00",
            "finish_reason": "tool_calls",
            "usage": {
                "prompt_tokens": 120,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 4},
                "cost": 0.25,
            },
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": "Error: none",
            "is_error": True,
            "timestamp": "2025-08-01T10:00:04",
        },
        {"role": "assistant", "content": "Gone.", "timestamp": "2025-08-01T10:00:06"},
    ],
    "outcome": {"label": "fail", "score": 0.0, "source": "environment"},
    "labels": ["a", "b"],
    "temperature": 0.5,
}


def _told(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "ns": (span.start_time_unix_nano, span.end_time_unix_nano),
        "status": (span.status.code, span.status.message),
        **{key: _json_shown(value) for key, value in attributes(span).items()},
    }


def _json_shown(value: Any) -> Any:
    return ("json", json.loads(value)) if str(value).startswith("[{") else value


def test_a_run_becomes_a_root_with_its_identity_harness_and_extras() -> None:
    assert _told(spans(RUN)[0]) == snapshot(
        {
            "name": "invoke_agent desk",
            "kind": "SPAN_KIND_INTERNAL",
            "ns": (1754042400000000000, 1754042409000000000),
            "status": (0, ""),
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "desk",
            "gen_ai.agent.version": "v3",
            "gen_ai.request.model": "gpt-4o",
            "spanlore.run.id": "r-1",
            "spanlore.trial": 2,
            "gen_ai.system_instructions": ("json", [{"type": "text", "content": "Be brief."}]),
            "gen_ai.tool.definitions": (
                "json",
                [
                    {
                        "type": "function",
                        "name": "find",
                        "description": "Find it.",
                        "parameters": {"type": "object"},
                    }
                ],
            ),
            "gen_ai.input.messages": (
                "json",
                [{"role": "user", "parts": [{"type": "text", "content": "Où?"}]}],
            ),
            "gen_ai.output.messages": (
                "json",
                [{"role": "assistant", "parts": [{"type": "text", "content": "Gone."}]}],
            ),
            "spanlore.import.labels": '["a","b"]',
            "spanlore.import.temperature": 0.5,
            "spanlore.tenant.id": "acme",
            "user.id": "anna",
            "spanlore.task.type": "refund",
            "spanlore.task.id": "t-7",
        }
    )


def test_a_model_call_holds_the_history_before_it_and_what_it_used() -> None:
    assert _told(spans(RUN)[1]) == snapshot(
        {
            "name": "chat gpt-4o",
            "kind": "SPAN_KIND_CLIENT",
            "ns": (1754042401000000000, 1754042403000000000),
            "status": (0, ""),
            "gen_ai.operation.name": "chat",
            "gen_ai.agent.name": "desk",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read.input_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 4,
            "spanlore.import.usage.cost": 0.25,
            "gen_ai.input.messages": (
                "json",
                [{"role": "user", "parts": [{"type": "text", "content": "Où?"}]}],
            ),
            "gen_ai.output.messages": (
                "json",
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {
                                "type": "tool_call",
                                "id": "c1",
                                "name": "find",
                                "arguments": {"id": 4, "at": "Zürich"},
                            }
                        ],
                    }
                ],
            ),
            "spanlore.tenant.id": "acme",
            "user.id": "anna",
            "spanlore.task.type": "refund",
            "spanlore.task.id": "t-7",
        }
    )


def test_a_failed_tool_call_holds_arguments_result_and_an_error() -> None:
    assert _told(spans(RUN)[2]) == snapshot(
        {
            "name": "execute_tool find",
            "kind": "SPAN_KIND_INTERNAL",
            "ns": (1754042403000000000, 1754042404000000000),
            "status": (2, "Error: none"),
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.agent.name": "desk",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": "c1",
            "error.type": "tool_error",
            "gen_ai.tool.call.arguments": '{"id": 4,  "at": "Zürich"}',
            "gen_ai.tool.call.result": "Error: none",
            "spanlore.tenant.id": "acme",
            "user.id": "anna",
            "spanlore.task.type": "refund",
            "spanlore.task.id": "t-7",
        }
    )


def test_the_judgement_is_an_event_on_the_root_at_the_end_of_the_run() -> None:
    run = run_of(RUN)
    judgement = judgement_of(run)
    assert judgement is not None
    root = spans(RUN)[0]
    assert (judgement.trace_id, judgement.span_id) == (root.trace_id, root.span_id)
    assert judgement.time_unix_nano == root.end_time_unix_nano
    assert (judgement.event_name, attributes(judgement)) == snapshot(
        (
            "gen_ai.evaluation.result",
            {
                "gen_ai.evaluation.name": "task_success",
                "gen_ai.evaluation.score.value": 0.0,
                "gen_ai.evaluation.score.label": "fail",
                "spanlore.evaluation.source": "environment",
                "spanlore.evaluation.id": "5fa59e567b3d6d6aca4bd611395bb01e",
                "spanlore.tenant.id": "acme",
                "user.id": "anna",
                "spanlore.task.type": "refund",
                "spanlore.task.id": "t-7",
            },
        )
    )


def test_every_span_is_a_child_of_the_root_and_has_its_own_id() -> None:
    root, *others = spans(RUN)
    assert root.parent_span_id == b""
    assert {span.parent_span_id for span in others} == {root.span_id}
    assert len({span.span_id for span in [root, *others]}) == 4
    assert {span.trace_id for span in others} == {root.trace_id}


def test_ids_depend_on_what_the_line_says_and_not_on_how_it_is_written() -> None:
    shuffled = dict(reversed(RUN.items()))
    assert spans(shuffled)[0].trace_id == spans(RUN)[0].trace_id
    assert spans(RUN | {"run_id": "r-2"})[0].trace_id != spans(RUN)[0].trace_id


def test_ids_do_not_depend_on_how_the_run_went() -> None:
    unknown = {name: each for name, each in RUN.items() if name != "outcome"}
    ids = [[span.span_id for span in spans(unknown | said)] for said in ({}, {"outcome": "pass"})]
    assert ids == [[span.span_id for span in spans(RUN)]] * 2
    assert spans(unknown | {"reward": 0.5})[0].trace_id == spans(RUN)[0].trace_id
    assert attributes(spans(unknown | {"reward": 0.5})[0])["spanlore.import.reward"] == 0.5


def test_the_same_line_gives_the_same_bytes() -> None:
    once, again = (
        [span.SerializeToString(deterministic=True) for span in spans(RUN)] for _ in range(2)
    )
    assert once == again


def test_an_answer_belongs_to_the_first_open_call_with_its_id() -> None:
    answers = [{"role": "tool", "tool_call_id": "same", "content": text} for text in "abc"]
    messages = [
        {"role": "assistant", "tool_calls": [called("one", "same"), called("two", "same")]},
        *answers[:2],
        {"role": "assistant", "tool_calls": [called("three", "same")]},
        answers[2],
    ]
    told = [attributes(span) for span in spans({"messages": messages})]
    assert [
        (each[semconv.TOOL_NAME], each[semconv.TOOL_CALL_RESULT])
        for each in told
        if semconv.TOOL_NAME in each
    ] == [("one", "a"), ("two", "b"), ("three", "c")]


def test_answers_may_come_in_another_order_than_the_calls() -> None:
    messages = [
        {"role": "assistant", "tool_calls": [called("one", "1"), called("two", "2")]},
        {"role": "tool", "tool_call_id": "2", "content": "second"},
        {"role": "tool", "tool_call_id": "1", "content": "first"},
    ]
    told = [attributes(span) for span in spans({"messages": messages})[2:]]
    assert [each[semconv.TOOL_CALL_RESULT] for each in told] == ["first", "second"]


def test_a_call_without_an_answer_is_kept_as_incomplete() -> None:
    messages = [{"role": "assistant", "tool_calls": [called("pay", "1")]}]
    tool = spans({"messages": messages})[2]
    assert attributes(tool)[semconv.INCOMPLETE] is True
    assert semconv.TOOL_CALL_RESULT not in attributes(tool)
    assert tool.status.code == Status.STATUS_CODE_UNSET


def test_an_answer_without_a_call_is_kept() -> None:
    messages = [{"role": "tool", "tool_call_id": "9", "name": "pay", "content": "done"}]
    (_, tool) = spans({"messages": messages})
    told = attributes(tool)
    assert tool.name == "execute_tool pay"
    assert (told[semconv.TOOL_CALL_ID], told[semconv.TOOL_CALL_RESULT]) == ("9", "done")
    assert semconv.INCOMPLETE not in told


def test_a_fail_is_a_judgement_and_not_an_error() -> None:
    assert spans(RUN)[0].status.code == Status.STATUS_CODE_UNSET


def test_a_run_without_times_starts_at_a_fixed_epoch_and_every_span_says_so() -> None:
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [called("pay", "1")]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ]
    made = spans({"messages": messages})
    epoch = 946_684_800_000_000_000
    assert [
        (span.start_time_unix_nano - epoch, span.end_time_unix_nano - epoch) for span in made
    ] == [(0, 3_000_000), (1_000_000, 2_000_000), (2_000_000, 3_000_000)]
    assert [attributes(span)[semconv.TIME_UNKNOWN] for span in made] == [True, True, True]


def test_time_never_runs_backwards() -> None:
    times = ["2025-01-01T00:00:05", "2025-01-01T00:00:01", None, "2025-01-01T00:00:07"]
    messages = [{"role": "assistant", "content": "x", "timestamp": time} for time in times]
    root, *calls = spans({"messages": messages, "started_at": "2025-01-01T00:00:06"})
    second = 10**9
    base = root.start_time_unix_nano
    assert base % (60 * second) == 5 * second
    ends = [call.end_time_unix_nano - base for call in calls]
    assert ends == [0, 0, 1_000_000, 2 * second]
    assert [semconv.TIME_UNKNOWN in attributes(call) for call in calls] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("time", "nanoseconds"),
    [
        ("2025-08-01T00:00:00", 1_754_006_400_000_000_000),
        ("2025-08-01T00:00:00.000001Z", 1_754_006_400_000_001_000),
        ("2025-08-01T02:00:00+02:00", 1_754_006_400_000_000_000),
        (1_754_006_400, 1_754_006_400_000_000_000),
        (1_754_006_400_123, 1_754_006_400_123_000_000),
        (1_754_006_400_000_123, 1_754_006_400_000_123_000),
        (1_754_006_400_000_000_123, 1_754_006_400_000_000_123),
    ],
)
def test_times_are_read_as_text_or_as_a_number_of_any_usual_unit(
    time: str | int, nanoseconds: int
) -> None:
    run = run_of({"messages": [{"role": "user", "content": "hi", "timestamp": time}]})
    assert run.times.message_ns == (nanoseconds,)


def test_a_time_that_cannot_be_read_is_kept_as_it_was() -> None:
    root = spans({"messages": [{"role": "user", "content": "hi"}], "started_at": "yesterday"})[0]
    assert attributes(root)["spanlore.import.started_at"] == "yesterday"
    assert attributes(root)[semconv.TIME_UNKNOWN] is True


@pytest.mark.parametrize(
    ("outcome", "label", "score", "source"),
    [
        ("pass", "pass", None, "environment"),
        (True, "pass", 1.0, "environment"),
        (0, "fail", 0.0, "environment"),
        ({"score": 0.4, "source": "LLM"}, None, 0.4, "llm"),
        ({"label": "Failed", "source": "user"}, "fail", None, "end_user"),
        ({"label": "partial", "score": "0.5", "source": "human"}, "partial", 0.5, "human"),
    ],
)
def test_outcomes_are_read_in_the_ways_people_write_them(
    outcome: Any, label: str | None, score: float | None, source: str
) -> None:
    judgement = judgement_of(run_of({"messages": [{"role": "user"}], "outcome": outcome}))
    told = attributes(judgement)
    assert told.get(semconv.EVALUATION_LABEL) == label
    assert told.get(semconv.EVALUATION_SCORE) == score
    assert told[semconv.JUDGEMENT_SOURCE] == source


def test_a_source_that_is_not_known_is_kept_in_the_explanation() -> None:
    outcome = {"label": "pass", "source": "the oracle", "reason": "it said so", "by": 7}
    told = attributes(judgement_of(run_of({"messages": [{"role": "user"}], "outcome": outcome})))
    assert told[semconv.EVALUATION_EXPLANATION] == "it said so; source: the oracle"
    assert told["spanlore.import.outcome.by"] == 7


def test_a_label_that_says_nothing_is_no_judgement_and_kept() -> None:
    line = {"messages": [{"role": "user"}], "outcome": {"label": "meh", "by": 7}}
    assert judgement_of(run_of(line)) is None
    told = attributes(spans(line)[0])
    assert told["spanlore.import.outcome.label"] == "meh"
    assert told["spanlore.import.outcome.by"] == 7


@pytest.mark.parametrize("label", ["yes", "NO", "Resolved"])
def test_a_label_that_the_store_knows_is_known_here(label: str) -> None:
    assert judgement_of(run_of({"messages": [{"role": "user"}], "outcome": label})) is not None


def test_a_run_without_an_outcome_has_no_judgement() -> None:
    assert judgement_of(run_of({"messages": [{"role": "user"}]})) is None


def test_what_only_anthropic_counts_beside_the_input_is_added_to_it() -> None:
    usage = {"input_tokens": 11, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 1}
    told = attributes(spans({"messages": [{"role": "assistant", "usage": usage}]})[1])
    assert told[semconv.USAGE_INPUT_TOKENS] == 15
    assert told[semconv.USAGE_CACHE_READ] == 3
    assert told[semconv.USAGE_CACHE_WRITE] == 1
    assert semconv.USAGE_OUTPUT_TOKENS not in told


def test_a_system_message_amid_the_conversation_stays_there() -> None:
    messages = [
        {"role": "developer", "content": "first"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "later"},
        {"role": "assistant", "content": "yes"},
    ]
    root, chat = spans({"messages": messages})
    assert attributes(root)[semconv.SYSTEM_INSTRUCTIONS] == '[{"type":"text","content":"first"}]'
    history = json.loads(attributes(chat)[semconv.INPUT_MESSAGES])
    assert [message["role"] for message in history] == ["user", "system"]
