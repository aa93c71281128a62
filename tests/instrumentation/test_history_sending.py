"""Recorded runs over the wire: real gRPC, with a receiver that takes, asks to wait or refuses."""

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.instrumentation.history import (
    Endpoint,
    Format,
    Refused,
    Report,
    Sender,
    Unreachable,
    endpoint_from_environment,
    import_files,
    parse_endpoint,
)
from spanlore.instrumentation.history.batches import BATCH_BYTES_MAX, Batch, batches
from spanlore.schemas import semconv
from tests.instrumentation.history_cases import attributes, called, recordings, run_of
from tests.instrumentation.otlp_receiver import (
    Receiver,
    asks_to_retry,
    receiver,
    refuses,
)


def _line(number: int, size: int = 1) -> dict[str, Any]:
    messages = [{"role": "user", "content": "x" * size}, {"role": "assistant", "content": "y"}]
    return {"run_id": number, "agent": "desk", "messages": messages, "outcome": "pass"}


def _written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def _imported(paths: list[Path], state: Receiver, *, retry_s_max: float = 60.0) -> Report:
    report = Report()
    sender = Sender(Endpoint(address=state.address), retry_s_max=retry_s_max)
    sender.start()
    try:
        files = [(path, Format.TRAJECTORY) for path in paths]
        import_files(files, sender, report=report, on_bytes=lambda _used: None)
    finally:
        sender.stop()
    return report


def test_the_recordings_arrive_whole() -> None:
    with receiver() as state:
        report = _imported(recordings(), state)
        spans, judgements = state.spans(), state.judgements()
    told = [attributes(span) for span in spans]
    assert (report.runs, report.spans, report.judgements) == (420, 9960, 420)
    assert (report.bad, report.duplicates) == (0, 0)
    assert (len(spans), len(judgements)) == (9960, 420)
    assert len({(span.trace_id, span.span_id) for span in spans}) == 9960
    operations = [each[semconv.OPERATION_NAME] for each in told]
    assert [operations.count(op) for op in ("invoke_agent", "chat", "execute_tool")] == [
        420,
        6094,
        3446,
    ]
    bookings = [each for each in told if each.get(semconv.TOOL_NAME) == "book_reservation"]
    assert (len(bookings), sum(semconv.ERROR_TYPE in each for each in bookings)) == (102, 56)
    assert max(map(len, state.traces)) <= 4 << 20
    labels = [attributes(each)[semconv.EVALUATION_LABEL] for each in judgements]
    assert labels.count("pass") == 84 + 23 + 19 + 10 + 13 + 18 + 30


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", *map(_line, range(20)))
    renamed = _written(tmp_path / "b.jsonl", *map(_line, range(20)))
    digests = []
    for each in (path, renamed):
        with receiver() as state:
            _imported([each], state)
            digests.append(hashlib.sha256(b"".join([*state.traces, *state.logs])).hexdigest())
    assert digests[0] == digests[1]


def test_the_bytes_are_what_protobuf_would_write(tmp_path: Path) -> None:
    with receiver() as state:
        _imported([_written(tmp_path / "a.jsonl", *map(_line, range(3)))], state)
    (request,) = state.traces
    parsed = ExportTraceServiceRequest.FromString(request)
    assert parsed.SerializeToString(deterministic=True) == request
    (resource,) = parsed.resource_spans
    assert attributes(resource.resource) == {semconv.SERVICE_NAME: "desk"}
    assert resource.scope_spans[0].scope.name == "spanlore.history"


def test_bad_lines_are_reported_and_the_rest_is_sent(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.jsonl", _line(1), "no run", _line(2), _line(1))
    with receiver() as state:
        report = _imported([path], state)
    assert (report.runs, report.bad, report.duplicates) == (2, 1, 1)
    assert str(report.bad_lines[0]).startswith(f"{path}:2: a string where")


def test_a_run_that_is_judged_later_is_the_same_run_with_the_later_judgement(
    tmp_path: Path,
) -> None:
    unknown = {name: each for name, each in _line(1).items() if name != "outcome"}
    failed = {**unknown, "outcome": "fail"}
    lines = [unknown, _line(1), _line(1), failed]
    with receiver() as state:
        report = _imported([_written(tmp_path / "a.jsonl", *lines)], state)
        spans, judgements = state.spans(), state.judgements()
    assert (report.runs, report.judgements, report.duplicates) == (1, 2, 1)
    assert len({span.trace_id for span in spans}) == 1
    labels = [attributes(each)[semconv.EVALUATION_LABEL] for each in judgements]
    assert labels == ["pass", "fail"]
    assert [(one.line, one.remark) for one in report.remarks] == [
        (number, "the same run as an earlier line, with another outcome: the later one stands")
        for number in (2, 4)
    ]


def test_a_run_id_that_names_other_content_is_said_with_its_line(tmp_path: Path) -> None:
    grown = {**_line(1), "messages": [*_line(1)["messages"], {"role": "user", "content": "more"}]}
    lines = [_line(1), {**_line(1), "trial": 2}, _line(2), grown]
    path = _written(tmp_path / "a.jsonl", *lines)
    with receiver() as state:
        report = _imported([path], state)
    assert report.runs == 4
    [remark] = report.remarks
    assert str(remark).startswith(f'{path}:4: the run_id "1" stands in {path}:1 with other content')


def test_runs_stay_whole_in_a_batch_if_they_fit() -> None:
    size = BATCH_BYTES_MAX // 5
    made = list(batches(run_of(_line(number, size)) for number in range(5)))
    assert [(batch.runs, batch.spans, batch.judgements) for batch in made] == [(2, 4, 2)] * 2 + [
        (1, 2, 1)
    ]


def test_a_run_larger_than_a_batch_is_split_between_its_spans() -> None:
    messages = [{"role": "assistant", "content": "x" * 400_000}] * 10
    small, large = run_of(_line(1)), run_of({"messages": messages, "outcome": "fail"})
    made = list(batches([small, large]))
    assert [(batch.runs, batch.judgements) for batch in made[:1]] == [(1, 1)]
    assert sum(batch.spans for batch in made) == 2 + 11
    assert (made[-1].runs, made[-1].judgements) == (1, 1)
    assert all(len(batch.traces) <= 4 << 20 for batch in made)


def test_no_batch_holds_more_than_five_thousand_spans() -> None:
    calls = [called("f", str(number)) for number in range(7000)]
    made = list(batches([run_of({"messages": [{"role": "assistant", "tool_calls": calls}]})]))
    assert [batch.spans for batch in made] == [5000, 2002]


def test_a_span_larger_than_a_batch_is_sent_alone() -> None:
    run = run_of({"messages": [{"role": "user", "content": "x" * (10 << 20)}]})
    with receiver() as state:
        sender = Sender(Endpoint(address=state.address))
        sender.start()
        for batch in batches([run]):
            sender.send(batch)
        sender.stop()
        assert len(state.spans()) == 1


def test_what_is_refused_for_a_moment_is_sent_again(tmp_path: Path) -> None:
    with receiver() as state:
        state.failures += [asks_to_retry(after_ms=1), asks_to_retry(after_ms=1)]
        report = _imported([_written(tmp_path / "a.jsonl", _line(1))], state)
        assert len(state.metadata) == 4
        assert len(state.spans()) == report.spans == 2


def test_a_receiver_that_stays_busy_is_given_up_with_what_it_said(tmp_path: Path) -> None:
    with receiver() as state:
        state.failures += [asks_to_retry(after_ms=100)] * 100
        with pytest.raises(Unreachable, match=r"took no more for 0\.2 s: UNAVAILABLE too busy"):
            _imported([_written(tmp_path / "a.jsonl", _line(1))], state, retry_s_max=0.2)


def test_a_refusal_for_good_is_not_tried_again(tmp_path: Path) -> None:
    with receiver() as state:
        state.failures.append(refuses(grpc.StatusCode.INVALID_ARGUMENT, "no such thing"))
        with pytest.raises(Refused, match="INVALID_ARGUMENT no such thing"):
            _imported([_written(tmp_path / "a.jsonl", _line(1))], state)
        assert len(state.metadata) == 1


def test_a_refused_credential_counts_as_unreachable(tmp_path: Path) -> None:
    with receiver() as state:
        state.failures.append(refuses(grpc.StatusCode.UNAUTHENTICATED, "who are you"))
        with pytest.raises(Unreachable, match="UNAUTHENTICATED"):
            _imported([_written(tmp_path / "a.jsonl", _line(1))], state)


def test_partial_success_is_reported(tmp_path: Path) -> None:
    with receiver() as state:
        state.trace_answer.partial_success.rejected_spans = 1
        state.trace_answer.partial_success.error_message = "a bad id"
        report = _imported([_written(tmp_path / "a.jsonl", _line(1))], state)
    assert (report.rejected_spans, report.reasons) == (1, ["a bad id"])


def test_nothing_listening_is_said_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(
            Unreachable, match=f"nothing answers at {address}; start it: spanlore up"
        ):
            Sender(Endpoint(address=address)).start()


def test_a_sender_stops_twice_and_without_start() -> None:
    sender = Sender(Endpoint(address="127.0.0.1:1"))
    sender.stop()
    sender.stop()
    with pytest.raises(Unreachable, match="not started"):
        sender.send(Batch(traces=b"one", logs=b"", runs=0, spans=0, judgements=0))


@pytest.mark.parametrize(
    ("text", "address", "secure"),
    [
        ("http://localhost:4317", "localhost:4317", False),
        ("https://otel.example.com", "otel.example.com:4317", True),
        ("127.0.0.1:9", "127.0.0.1:9", False),
        ("http://[::1]:4317/", "[::1]:4317", False),
    ],
)
def test_endpoints_are_urls_or_host_and_port(text: str, address: str, *, secure: bool) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.address, endpoint.secure) == (address, secure)


@pytest.mark.parametrize("text", ["", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write http://host:4317"):
        parse_endpoint(text)


def test_headers_from_the_environment_go_with_every_call(tmp_path: Path) -> None:
    with receiver() as state:
        endpoint = endpoint_from_environment(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{state.address}",
                "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20secret,x-a=1",
            }
        )
        assert endpoint is not None
        assert "secret" not in repr(endpoint)
        sender = Sender(endpoint)
        sender.start()
        path = _written(tmp_path / "a.jsonl", _line(1))
        report = Report()
        import_files(
            [(path, Format.TRAJECTORY)], sender, report=report, on_bytes=lambda _used: None
        )
        sender.stop()
        assert [each["authorization"] for each in state.metadata] == ["Bearer secret"] * 2
