from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.collector import run_spans, seal
from spanlore.collector.known import Traces
from spanlore.collector.run_spans import SPANS_SQL, read_spans
from spanlore.schemas import otlp, semconv, tables
from spanlore.schemas.store import Store, StoreRefused
from tests.schemas.segments import LOG_ID, RECEIVED_NS, segment

START_NS = 1_750_000_000_000_000_000
SECOND_NS = 1_000_000_000
SOON_NS = RECEIVED_NS + SECOND_NS
LATE_NS = RECEIVED_NS + 3_600 * SECOND_NS
TRACE = b"\x01" * 16

Load = Callable[..., None]


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    made = []
    for key, value in values.items():
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
        made.append(KeyValue(key=key, value=AnyValue(**{kind[type(value)]: value})))
    return made


def span(
    number: int, parent: int | None, op: str, /, *, trace: bytes = TRACE, **extra: Any
) -> Span:
    fields = {key: extra.pop(key) for key in list(extra) if key in Span.DESCRIPTOR.fields_by_name}
    named = {semconv.OPERATION_NAME: op, **extra.pop("also", {})}
    values: dict[str, Any] = {
        "trace_id": trace,
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": parent.to_bytes(8, "big") if parent else b"",
        "name": op,
        "start_time_unix_nano": START_NS + number * SECOND_NS,
        "end_time_unix_nano": START_NS + number * SECOND_NS + SECOND_NS // 2,
        "attributes": attributes(named),
    }
    return Span(**{**values, **fields})


def request(*spans: Span) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    made.resource_spans.add().scope_spans.add().spans.extend(spans)
    return made


def judged(label: str, source: str, at_ns: int, *, score: float | None = None) -> Any:
    made = ExportLogsServiceRequest()
    entry = made.resource_logs.add().scope_logs.add().log_records.add()
    entry.time_unix_nano = at_ns
    entry.trace_id, entry.span_id = TRACE, (1).to_bytes(8, "big")
    entry.event_name = semconv.EVENT_EVALUATION
    said: dict[str, Any] = {
        semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
        semconv.JUDGEMENT_SOURCE: source,
    }
    if label:
        said[semconv.EVALUATION_LABEL] = label
    if score is not None:
        said[semconv.EVALUATION_SCORE] = score
    entry.attributes.extend(attributes(said))
    return made


@pytest.fixture
def load(store: Store, tmp_path: Path) -> Load:
    """Return a function that stores requests as the collector does and seals what they touched."""
    seqs = iter(range(1, 10_000_000))

    def loaded(*requests: Any, now_ns: int = SOON_NS) -> None:
        numbers = [next(seqs) for _ in requests]
        path = segment(tmp_path, requests, first_seq=numbers[0])
        store.insert_segment(path, token=path.stem, into=(otlp.TRACES_IN, otlp.LOGS_IN))
        seal.seal_loaded(
            store, log_id=LOG_ID, first_seq=numbers[0], last_seq=numbers[-1], now_ns=now_ns
        )

    return loaded


def runs(store: Store) -> list[dict[str, Any]]:
    return store.query(f"SELECT * FROM {tables.RUNS} {tables.LATEST_RUN}")


def whole_run() -> list[Span]:
    usage = {
        semconv.REQUEST_MODEL: "gpt-4o",
        semconv.USAGE_INPUT_TOKENS: 1_000,
        semconv.USAGE_OUTPUT_TOKENS: 100,
    }
    who = {
        semconv.AGENT_NAME: "agent",
        semconv.USER_ID: "u",
        semconv.TENANT_ID: "t",
        semconv.TASK_TYPE: "booking",
        semconv.TASK_ID: "7",
    }
    instructions = '[{"type":"text","content":"Today is 2025-01-02."}]'
    return [
        span(1, None, "invoke_agent", also={**who, semconv.SYSTEM_INSTRUCTIONS: instructions}),
        span(2, 1, "chat", also=usage),
        span(3, 1, "execute_tool", also={semconv.TOOL_NAME: "look"}),
        span(4, 1, "execute_tool", also={semconv.ERROR_TYPE: "tool_error"}, status={"code": 2}),
        span(5, 1, "chat", also=usage),
    ]


def test_a_whole_trace_is_sealed_at_once_with_what_its_spans_say(store: Store, load: Load) -> None:
    load(request(*whole_run()))
    (run,) = runs(store)
    assert run["State"] == "sealed"
    assert (run["TenantId"], run["UserId"], run["AgentName"]) == ("t", "u", "agent")
    assert (run["TaskType"], run["TaskId"], run["Model"]) == ("booking", "7", "gpt-4o")
    assert (run["Spans"], run["Steps"], run["ToolCalls"], run["ToolErrors"]) == (5, 2, 2, 1)
    assert (run["InputTokens"], run["OutputTokens"]) == (2_000, 200)
    assert run["CostUsd"] == pytest.approx((2_000 * 2.5 + 200 * 10) / 1e6)
    assert run["DurationMs"] == 4_500
    assert run["Outcome"] == ""
    assert len(run["HarnessHash"]) == 16


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(5)), twice=st.booleans())
def test_spans_in_any_order_and_twice_seal_to_the_same_row(
    store: Store, load: Load, order: list[int], twice: bool
) -> None:
    store.command(f"TRUNCATE TABLE {tables.RUNS}")
    spans = whole_run()
    for index in order:
        load(request(spans[index]))
        if twice:
            load(request(spans[index]))
    (run,) = runs(store)
    assert (run["State"], run["Spans"], run["InputTokens"]) == ("sealed", 5, 2_000)


def test_sealing_again_what_says_nothing_new_writes_nothing(store: Store, load: Load) -> None:
    load(request(*whole_run()))
    load(request(*whole_run()), now_ns=LATE_NS)
    assert store.query(f"SELECT count() AS n FROM {tables.RUNS}") == [{"n": 1}]


def test_a_run_without_its_root_waits_and_is_then_stalled(store: Store, load: Load) -> None:
    load(request(*whole_run()[1:]))
    assert [run["State"] for run in runs(store)] == ["open"]
    seal.seal_waiting(store, now_ns=SOON_NS + 1)
    assert [run["State"] for run in runs(store)] == ["open"]
    seal.seal_waiting(store, now_ns=LATE_NS)
    assert [run["State"] for run in runs(store)] == ["stalled"]
    load(request(whole_run()[0]), now_ns=LATE_NS + 1)
    assert [run["State"] for run in runs(store)] == ["sealed"]


def test_an_agent_below_a_caller_that_sends_no_spans_is_sealed_after_a_quiet_time(
    store: Store, load: Load
) -> None:
    load(request(span(2, 1, "invoke_agent"), span(3, 2, "chat")))
    assert [run["State"] for run in runs(store)] == ["open"]
    seal.seal_waiting(store, now_ns=LATE_NS)
    assert [run["State"] for run in runs(store)] == ["sealed"]


def test_a_root_that_never_ended_is_stalled(store: Store, load: Load) -> None:
    load(request(span(1, None, "invoke_agent", end_time_unix_nano=0), span(2, 1, "chat")))
    seal.seal_waiting(store, now_ns=LATE_NS)
    assert [run["State"] for run in runs(store)] == ["stalled"]


def test_inference_seen_by_two_instrumentations_counts_once(store: Store, load: Load) -> None:
    usage = {semconv.USAGE_INPUT_TOKENS: 10, semconv.USAGE_OUTPUT_TOKENS: 1}
    spans = [span(1, None, "invoke_agent"), span(2, 1, "chat", also=usage)]
    load(request(*spans, span(3, 2, "chat", also=usage)))
    (run,) = runs(store)
    assert (run["Steps"], run["InputTokens"]) == (1, 10)


def test_a_call_that_client_and_server_tell_below_the_agents_tool_counts_once(
    store: Store, load: Load
) -> None:
    named = {semconv.TOOL_NAME: "look"}
    failed: dict[str, Any] = {semconv.ERROR_TYPE: "tool_error", **named}
    sent = request(span(1, None, "invoke_agent"), span(2, 1, "execute_tool", also=named))
    told = sent.resource_spans[0].scope_spans.add()
    told.scope.name = "mcp-python-sdk"
    told.spans.append(span(3, 2, "execute_tool", also=named, kind=Span.SPAN_KIND_CLIENT))
    told.spans.append(span(4, 3, "execute_tool", also=failed, kind=Span.SPAN_KIND_SERVER))
    load(sent)
    (run,) = runs(store)
    assert (run["ToolCalls"], run["ToolErrors"]) == (1, 1)
    outer = f"{2:016x}"
    assert run["DuplicateOf"] == {f"{3:016x}": outer, f"{4:016x}": outer}


def test_the_roots_own_usage_is_never_added_to_its_childrens(store: Store, load: Load) -> None:
    usage = {semconv.USAGE_INPUT_TOKENS: 10, semconv.USAGE_OUTPUT_TOKENS: 1}
    load(request(span(1, None, "invoke_agent", also=usage), span(2, 1, "chat", also=usage)))
    (run,) = runs(store)
    assert run["InputTokens"] == 10


def test_unknown_tokens_and_prices_are_unknown_not_zero(store: Store, load: Load) -> None:
    usage = {
        semconv.USAGE_INPUT_TOKENS: 10,
        semconv.USAGE_OUTPUT_TOKENS: 1,
        semconv.REQUEST_MODEL: "nobody-knows-this",
    }
    load(request(span(1, None, "invoke_agent"), span(2, 1, "chat", also=usage)))
    other = b"\x02" * 16
    load(request(span(1, None, "invoke_agent", trace=other), span(2, 1, "chat", trace=other)))
    found = {run["TraceId"][:2]: (run["InputTokens"], run["CostUsd"]) for run in runs(store)}
    assert found == {"01": (10, None), "02": (None, None)}


def test_a_judgement_that_comes_later_seals_the_run_again(store: Store, load: Load) -> None:
    load(request(*whole_run()))
    load(judged("fail", "environment", START_NS), now_ns=LATE_NS)
    (run,) = runs(store)
    assert (run["Outcome"], run["OutcomeSource"]) == ("fail", "environment")


def test_a_humans_word_goes_before_the_environments_and_the_later_before_the_earlier(
    store: Store, load: Load
) -> None:
    load(
        request(*whole_run()),
        judged("pass", "human", START_NS),
        judged("fail", "human", START_NS + 5),
        judged("pass", "environment", START_NS + 9),
    )
    (run,) = runs(store)
    assert (run["Outcome"], run["OutcomeSource"]) == ("fail", "human")


def test_a_score_without_a_label_is_an_outcome(store: Store, load: Load) -> None:
    load(request(*whole_run()), judged("", "code", START_NS, score=0.2))
    (run,) = runs(store)
    assert (run["Outcome"], run["OutcomeScore"]) == ("fail", 0.2)


def harness_of(store: Store, load: Load, trace: bytes, **root: str) -> str:
    names = {"instructions": semconv.SYSTEM_INSTRUCTIONS, "tools": semconv.TOOL_DEFINITIONS}
    also = {names[key]: value for key, value in root.items()}
    chat = {semconv.REQUEST_MODEL: "m"}
    load(
        request(
            span(1, None, "invoke_agent", trace=trace, also=also),
            span(2, 1, "chat", trace=trace, also=chat),
        )
    )
    (run,) = [run for run in runs(store) if run["TraceId"] == trace.hex()]
    return str(run["HarnessHash"])


def test_the_fingerprint_ignores_dates_and_tool_order_and_sees_a_changed_word(
    store: Store, load: Load
) -> None:
    a, b = '{"name":"a","description":"A"}', '{"name":"b"}'
    one = harness_of(
        store, load, b"\x01" * 16, instructions="It is 2025-01-02.", tools=f"[{a},{b}]"
    )
    two = harness_of(
        store, load, b"\x02" * 16, instructions="It is 2026-07-08.", tools=f"[{b}, {a}]"
    )
    other = harness_of(
        store, load, b"\x03" * 16, instructions="It was 2025-01-02.", tools=f"[{a},{b}]"
    )
    changed = a.replace("A", "B")
    tool = harness_of(
        store, load, b"\x04" * 16, instructions="It is 2025-01-02.", tools=f"[{changed},{b}]"
    )
    assert one == two
    assert len({one, other, tool}) == 3


def test_delivered_memory_is_no_part_of_the_fingerprint(store: Store, load: Load) -> None:
    memory = f"{semconv.MEMORY_BEGIN}\n- start at 10:00\n{semconv.MEMORY_END}"
    bare = harness_of(store, load, b"\x01" * 16, instructions="Be kind.", tools="[]")
    after = harness_of(store, load, b"\x02" * 16, instructions=f"Be kind.\n{memory}", tools="[]")
    before = harness_of(store, load, b"\x03" * 16, instructions=f"{memory}\nBe kind.", tools="[]")
    other = harness_of(store, load, b"\x04" * 16, instructions=f"Be cruel.\n{memory}", tools="[]")
    assert bare == after == before != other


def test_rows_of_a_foreign_exporter_are_sealed_too(store: Store) -> None:
    store.command(
        f"INSERT INTO {tables.TRACES} "
        "(Timestamp, TraceId, SpanId, SpanName, SpanAttributes, Duration)"
        " SELECT now64(9), 'aa', 'bb', 'invoke_agent x', "
        "map('gen_ai.operation.name', 'invoke_agent', 'gen_ai.agent.name', 'x'), 5"
    )
    seal.seal_foreign(store, since_ns=0, now_ns=LATE_NS)
    (run,) = runs(store)
    assert (run["AgentName"], run["State"], run["TenantId"]) == ("x", "sealed", "default")


@pytest.mark.parametrize(
    "definitions",
    ["[" * 100_000, '[{"name":"\\ud800"}]', "[" * 950 + "]" * 950],
    ids=["endless", "half a character", "deep"],
)
@pytest.mark.parametrize("name", [semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS])
def test_harness_text_of_any_form_has_a_fingerprint(
    store: Store, load: Load, name: str, definitions: str
) -> None:
    content = definitions.replace('"name"', '"content"')
    load(request(span(1, None, semconv.OP_INVOKE_AGENT, also={name: content})))
    [run] = runs(store)
    assert run["HarnessHash"]


@pytest.mark.parametrize(
    ("start_ns", "end_ns"),
    [
        (1, 2**63 - 1),
        (0, 2**64 - 1),
        (2**64 - 1, 0),
        (2**63 + 5, 2**64 - 1),
        (5_000_000_000_000_000_000, 5_000_000_001_000_000_000),
    ],
)
def test_a_run_of_any_time_is_sealed(store: Store, load: Load, start_ns: int, end_ns: int) -> None:
    times: Any = {"start_time_unix_nano": start_ns, "end_time_unix_nano": end_ns}
    load(request(span(1, None, semconv.OP_INVOKE_AGENT, **times)), now_ns=LATE_NS)
    [run] = runs(store)
    assert run["DurationMs"] == pytest.approx(max(0, end_ns - start_ns) / 1e6)
    assert run["EndedAt"] >= run["StartedAt"]


@pytest.fixture(params=[500, 1])
def named_max(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read traces by their ids, or all that records touched at once."""
    monkeypatch.setattr(seal, "_TRACES_NAMED_MAX", request.param)
    return int(request.param)


@pytest.mark.usefixtures("named_max")
def test_a_trace_that_cannot_be_sealed_keeps_no_other_back(
    store: Store, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = TRACE.hex()
    broken = f"throwIf(TraceId = '{bad}') + TimeUnknown AS TimeUnknown"
    sound = "TimeUnknown AS TimeUnknown"
    monkeypatch.setattr(run_spans, "SPANS_SQL", SPANS_SQL.replace(sound, broken))
    traces = [TRACE, *(number.to_bytes(16, "big") for number in range(1, 5))]
    load(request(*(span(1, None, semconv.OP_INVOKE_AGENT, trace=trace) for trace in traces)))
    assert {run["TraceId"] for run in runs(store)} == {trace.hex() for trace in traces[1:]}


def test_where_no_trace_at_all_can_be_read_sealing_fails(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_spans, "SPANS_SQL", "SELECT nothing FROM agent_runs WHERE %(ids)s != ''"
    )
    with pytest.raises(StoreRefused):
        load(request(span(1, None, semconv.OP_INVOKE_AGENT)))


def whole_runs(count: int) -> list[Span]:
    traces = [number.to_bytes(16, "big") for number in range(1, count + 1)]
    return [
        span(number, parent, op, trace=trace)
        for trace in traces
        for number, parent, op in [(1, None, "invoke_agent"), (2, 1, "chat"), (3, 1, "chat")]
    ]


@pytest.mark.usefixtures("named_max")
def test_more_spans_than_are_read_at_once_are_all_added_up(
    store: Store, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "_SPANS_A_QUERY_MAX", 7)
    load(request(*whole_runs(5)))
    assert [(run["State"], run["Spans"]) for run in runs(store)] == [("sealed", 3)] * 5


def test_the_runs_that_records_touched_are_read_at_once_and_what_goes_on_is_not_told(
    store: Store, tmp_path: Path, named_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[Traces, int]] = []

    def noting(store: Store, traces: Traces, *rest: Any, **limit: Any) -> Any:
        found = read_spans(store, traces, *rest, **limit)
        read.append((traces, len(found or ())))
        return found

    monkeypatch.setattr(seal, "read_spans", noting)
    going_on, no_run = span(2, 1, "chat"), span(1, None, "", trace=b"\x02" * 16)
    more = [span(3, 1, "chat"), no_run, *whole_runs(5)]
    for seq, spans in enumerate(([going_on], more), 1):
        path = segment(tmp_path, [request(*spans)], first_seq=seq)
        store.insert_segment(path, token=path.stem)
        seal.seal_ended(store, log_id=LOG_ID, first_seq=seq, last_seq=seq, now_ns=SOON_NS)
    told = sorted((run["State"], run["Spans"]) for run in runs(store))
    assert told == [("open", 1), *[("sealed", 3)] * 5]
    [_, (traces, found)] = read
    are_named = named_max == 500
    assert ("ids" in traces.params) == are_named
    assert found == (5 if are_named else 6)


def test_a_trace_with_more_spans_than_can_be_held_keeps_no_other_back_and_is_named(
    store: Store, load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(seal, "_SPANS_A_QUERY_MAX", 3)
    monkeypatch.setattr(seal, "_SPANS_A_TRACE_MAX", 3)
    load(request(*whole_run(), *whole_runs(3)[3:]))
    assert [run["Spans"] for run in runs(store)] == [3, 3]
    assert f"trace {TRACE.hex()} has more than 3 spans" in caplog.text


def test_a_foreign_collectors_judgement_decides_a_run(store: Store, load: Load) -> None:
    load(request(*whole_run()))
    said = {
        semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
        semconv.EVALUATION_LABEL: "pass",
    }
    store.insert(
        tables.LOGS,
        [
            {
                "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
                "TraceId": TRACE.hex(),
                "EventName": semconv.EVENT_EVALUATION,
                "LogAttributes": said,
            }
        ],
    )
    seal.seal_foreign(store, since_ns=0, now_ns=LATE_NS)
    assert runs(store)[0]["Outcome"] == "pass"
