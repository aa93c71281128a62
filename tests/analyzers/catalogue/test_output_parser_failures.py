"""Outputs that a harness cannot read: recognised in one run, counted, found where planted."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from spanlore.analyzers.catalogue import output_parser_failures as analyzer
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.model_output_faults import asks_again, is_unread
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import Window
from spanlore.instrumentation.history.attributes import attributes
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.traced import asked, called, refused, run
from tests.loaded_runs import load_lines, load_requests
from tests.schemas import segments

SEEDS = pytest.mark.parametrize("seed", range(3))
BOOK = {
    "name": "book",
    "parameters": {
        "type": "object",
        "properties": {"day": {"type": "string"}, "seat": {"type": "string"}},
        "required": ["day"],
    },
}


@pytest.mark.parametrize(
    "text",
    [
        "Your response was not valid JSON. Please respond again.",
        "Could not parse LLM output: `I think`",
        "Failed to parse your last response as JSON",
        "Invalid Format: Missing 'Action:' after 'Thought:'",
        "Invalid or incomplete response",
        "1 validation error. Fix the errors and try again.",
        "The output is not in the expected format.",
        "You did not call a tool. Call one.",
    ],
)
def test_harnesses_ask_again_in_these_words(text: str) -> None:
    assert asks_again(Message(role="user", text=text))
    assert not asks_again(Message(role="assistant", text=text))


@pytest.mark.parametrize(
    "text",
    ["Please try again tomorrow.", "My card was not valid.", "Is this in JSON format?", ""],
)
def test_what_users_ask_is_no_asking_again(text: str) -> None:
    assert not asks_again(Message(role="user", text=text))


@pytest.mark.parametrize(
    ("error_type", "said", "is_parsers"),
    [
        ("langchain_core.exceptions.OutputParserException", "", True),
        ("json.decoder.JSONDecodeError", "Expecting value", True),
        ("ValueError", "2 validation errors for Answer", True),
        ("ValidationException", "Input is too long", False),
        ("openai.RateLimitError", "slow down", False),
    ],
)
def test_errors_of_parsers_are_told_from_others(
    error_type: str, said: str, *, is_parsers: bool
) -> None:
    assert is_unread(asked(error=(error_type, said))) == is_parsers


def test_a_run_says_which_requests_could_not_be_read() -> None:
    model_calls = [
        asked(("1", "book", '{"day": '), ("2", "book", {"seat": "1A"}), ("3", "fly", {})),
        asked(("4", "book", {"day": "2026-01-01"})),
    ]
    calls = [refused("book", call_id="2"), called("book", call_id="4")]
    found = traced.facts(analyzer, run(model_calls=model_calls, calls=calls, tools=[BOOK]))
    assert found == {
        "no_json|m-1": (1, 1, 1.0),
        "unknown_tool|m-1": (1, 1, 1.0),
        "missing|m-1": (1, 1, 1.0),
        "parser_error|m-1": (1, 0, 0.0),
        "run|no_json": (1, 1, 1.0),
        "run|unknown_tool": (1, 1, 1.0),
        "run|missing": (1, 1, 1.0),
    }


def test_what_ran_was_read_whatever_it_looks_like() -> None:
    """A custom tool takes plain text, and a built-in one stands in no definition."""
    model_calls = [asked(("1", "shell", "ls -l"), ("2", "web_search", {"q": "x"}))]
    calls = [called("shell", call_id="1"), called("web_search", call_id="2")]
    found = traced.facts(analyzer, run(model_calls=model_calls, calls=calls, tools=[BOOK]))
    assert {key for key, (_, k, _) in found.items() if k} == set()


def test_without_definitions_no_tool_is_unknown_and_nothing_required() -> None:
    found = traced.facts(analyzer, run(model_calls=[asked(("1", "fly", {}))]))
    assert set(found) == {"no_json|m-1", "parser_error|m-1"}


def test_an_error_of_another_span_counts_for_the_runs_model() -> None:
    model_calls = [asked(model="m-1"), asked(model="small")]
    errors = ("OutputParserException could not parse", "ValidationError of a form")
    found = traced.facts(analyzer, run(model_calls=model_calls, span_errors=errors))
    assert found["parser_error|m-1"] == (1, 1, 1.0)
    assert found["parser_error|small"] == (1, 0, 0.0)


def unread_runs(seed: int, *, rate: float, harm: float, runs: int = 400) -> list[RunTrace]:
    random = Random(seed)
    made = []
    for number in range(runs):
        bad = random.random() < rate
        fails = random.random() < 0.3 + harm * bad
        requests = [asked(("1", "book", "{'day'" if bad else {"day": "x"}))]
        calls = [refused("book", call_id="1") if bad else called("book", call_id="1")]
        outcome = "fail" if fails else "pass"
        made.append(run(number, model_calls=requests, calls=calls, outcome=outcome))
    return made


def told(store: Store, runs: Sequence[RunTrace]) -> set[str]:
    return {
        f"{one.detail['kind']} {one.detail['pattern']}"
        for one in traced.confirmed(store, analyzer, runs)
    }


@SEEDS
def test_planted_broken_arguments_are_found_with_their_harm(store: Store, seed: int) -> None:
    assert told(store, unread_runs(seed, rate=0.3, harm=0.6)) == {"rate no_json", "outcome no_json"}


@SEEDS
def test_broken_arguments_without_harm_are_found_without_it(store: Store, seed: int) -> None:
    assert told(store, unread_runs(seed, rate=0.3, harm=0.0)) == {"rate no_json"}


@SEEDS
def test_where_hardly_any_is_broken_nothing_is_found(store: Store, seed: int) -> None:
    assert told(store, unread_runs(seed, rate=0.005, harm=0.0)) == set()


def test_missing_arguments_are_found_in_runs_read_from_a_store(
    store: Store, tmp_path: Path
) -> None:
    runs = [
        run(number, calls=[called("book", {"day": "x"} if number % 3 else {"seat": str(number)})])
        for number in range(120)
    ]
    tools = [{"type": "function", "function": BOOK}]
    load_lines(store, tmp_path, [{**line, "tools": tools} for line in traced.lines(runs)])
    extract_pending(store, Window())
    [found] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert found.title == "m-1 asks for tools without arguments that their schemas require"
    assert (found.n, found.k, found.detail["requests"]) == (120, 40, 40)


def test_a_parser_that_fails_in_a_span_of_its_own_is_read_from_a_store(
    store: Store, tmp_path: Path
) -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, (op, error) in enumerate(
        [("invoke_agent", ""), ("chat", ""), ("", "OutputParserException")]
    ):
        span = spans.add(
            trace_id=b"t" * 16,
            span_id=bytes([number + 1] * 8),
            parent_span_id=bytes([1] * 8) if number else b"",
            name=op or "PydanticOutputParser",
            start_time_unix_nano=segments.RECEIVED_NS + number,
            end_time_unix_nano=segments.RECEIVED_NS + number + 1,
            attributes=attributes(
                {"gen_ai.operation.name": op or None, "gen_ai.request.model": "m-1"}
            ),
        )
        if error:
            span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=error))
    load_requests(store, tmp_path, traces=[request.SerializeToString()])
    [read] = run_traces(store, [(b"t" * 16).hex()])
    assert read.span_errors == ("OutputParserException",)
    assert traced.facts(analyzer, read)["parser_error|m-1"] == (1, 1, 1.0)
