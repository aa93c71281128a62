"""Nothing secret reaches the disk: real collectors are sent secrets, and what they kept is read."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from spanlore.collector import record
from spanlore.collector.check import Limits, check
from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.redaction.requests import redact_request
from spanlore.collector.signals import LOGS, TRACES
from spanlore.schemas import tables
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import framed, logs, new_ids, spans_of, traces
from tests.collector.planted_secrets import FOUND_KINDS, Planted, in_base64, planted, ways
from tests.collector.revealed import revealed
from tests.deploy.command_line import run_cli

SEED = 5_0500
SECRETS = 500
CANARY = "canary-4WQ150-no-secret"
REDACTOR = Redactor(b"k" * 32)
LIMITS = Limits(message_bytes_max=64 << 20, records_max=50_000, submessages_max=1_000_000)

Place = Callable[[Message, str], None]


def in_span(place: Callable[[Any, str], object]) -> Callable[[str], Message]:
    def make(text: str) -> Message:
        request = traces(1, text=CANARY)
        place(spans_of(request)[0], text)
        return request

    return make


def in_group(place: Callable[[Any, str], object]) -> Callable[[str], Message]:
    def make(text: str) -> Message:
        request = traces(1, text=CANARY)
        place(request.resource_spans[0], text)
        return request

    return make


def in_log(place: Callable[[Any, str], object]) -> Callable[[str], Message]:
    def make(text: str) -> Message:
        request = logs(1, body=CANARY)
        request.resource_logs[0].scope_logs[0].log_records[0].attributes.add(
            key="canary"
        ).value.string_value = CANARY
        place(request.resource_logs[0].scope_logs[0].log_records[0], text)
        return request

    return make


def attribute(holder: Any, value: AnyValue, key: str = "text") -> None:
    holder.attributes.add(key=key, value=value)


def text_value(text: str) -> AnyValue:
    return AnyValue(string_value=text)


def nested(text: str) -> AnyValue:
    value = AnyValue()
    inner = value.kvlist_value.values.add(key="list").value.array_value.values.add()
    inner.kvlist_value.values.add(key=text, value=AnyValue(bytes_value=text.encode()))
    inner.kvlist_value.values.add(key="a", value=text_value(text))
    return value


def in_array(text: str) -> AnyValue:
    value = AnyValue()
    value.array_value.values.add().string_value = text
    return value


PLACES: dict[str, Callable[[str], Message]] = {
    "span name": in_span(lambda span, text: setattr(span, "name", text)),
    "trace state": in_span(lambda span, text: setattr(span, "trace_state", text)),
    "status": in_span(lambda span, text: setattr(span.status, "message", text)),
    "attribute": in_span(lambda span, text: attribute(span, text_value(text))),
    "messages": in_span(
        lambda span, text: attribute(span, text_value(text), key="gen_ai.input.messages")
    ),
    "attribute key": in_span(lambda span, text: attribute(span, text_value("x"), key=text)),
    "array": in_span(lambda span, text: attribute(span, in_array(text))),
    "nested": in_span(lambda span, text: attribute(span, nested(text))),
    "bytes": in_span(lambda span, text: attribute(span, AnyValue(bytes_value=text.encode()))),
    "event name": in_span(lambda span, text: span.events.add(name=text)),
    "event": in_span(lambda span, text: attribute(span.events.add(name="e"), text_value(text))),
    "link": in_span(
        lambda span, text: attribute(
            span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8, trace_state=text), nested(text)
        )
    ),
    "parent id": in_span(lambda span, text: setattr(span, "parent_span_id", text.encode())),
    "resource": in_group(lambda group, text: attribute(group.resource, text_value(text))),
    "scope": in_group(lambda group, text: setattr(group.scope_spans[0].scope, "version", text)),
    "schema": in_group(lambda group, text: setattr(group, "schema_url", text)),
    "log body": in_log(lambda log, text: setattr(log.body, "string_value", text)),
    "log body, nested": in_log(lambda log, text: log.body.CopyFrom(nested(text))),
    "log attribute": in_log(lambda log, text: attribute(log, text_value(text))),
    "log severity": in_log(lambda log, text: setattr(log, "severity_text", text)),
    "log event name": in_log(lambda log, text: setattr(log, "event_name", text)),
}


def secrets_in_requests(rng: random.Random) -> Iterator[tuple[Planted, str, Message]]:
    """Give secrets, every kind in every place in some way of writing, and the requests."""
    places = cycle(PLACES.items())
    for secret in islice(planted(SEED), SECRETS):
        written = list(ways(secret.text).items())
        if secret.is_found_in_base64:
            written += in_base64(secret.text).items()
        way, text = rng.choice(written)
        place, make = next(places)
        yield secret, f"{secret.kind}, {way}, {place}", make(text)


def is_logs(request: Message) -> bool:
    return isinstance(request, ExportLogsServiceRequest)


def send(collector: CollectorProcess, request: Message, rng: random.Random) -> None:
    signal = LOGS if is_logs(request) else TRACES
    if rng.random() < 0.5:
        collector.export(request, signal=signal)
    else:
        answer = collector.post(request, path=signal.path, is_gzip=rng.random() < 0.5)
        assert answer.status_code == 200


def everything_in(directory: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def kept(data: bytes, secrets: list[tuple[Planted, str]]) -> list[str]:
    """Give the secrets that can be found in these bytes, by where they were planted."""
    found = revealed(data)
    assert CANARY.encode() in found
    return [where for secret, where in secrets if secret.secret.encode() in found]


def test_of_five_hundred_secrets_none_is_in_the_log_the_store_or_what_was_said(
    data_dir: Path, store: Store, store_url: str
) -> None:
    rng = random.Random(SEED)
    secrets = []
    with CollectorProcess(data_dir, NOWHERE) as collector:
        for secret, where, request in secrets_in_requests(rng):
            send(collector, request, rng)
            secrets.append((secret, where))
        counted = collector.status()["redacted"]
        collector.kill()
        said = "".join(collector.said).encode()
    assert counted.keys() == FOUND_KINDS
    assert len(secrets) == SECRETS
    assert kept(everything_in(data_dir) + said, secrets) == []
    with CollectorProcess(data_dir, store_url) as collector:
        collector.flush()
        status = collector.status()
        collector.stop()
    assert status["spans"]["stored"] + status["logs"]["stored"] == SECRETS
    rows = [
        row
        for table in (tables.TRACES, tables.LOGS)
        for row in store.query(f"SELECT formatRow('JSONEachRow', *) AS row FROM {table}")
    ]
    assert len(rows) == SECRETS
    stored = "".join(row["row"] for row in rows).encode()
    assert b"[redacted:" in stored
    assert kept(stored, secrets) == []
    assert kept(everything_in(data_dir) + CANARY.encode(), secrets) == []


def test_without_redaction_the_same_search_finds_them(data_dir: Path) -> None:
    rng = random.Random(SEED)
    secrets = []
    with CollectorProcess(data_dir, NOWHERE, "--no-redact") as collector:
        for secret, where, request in islice(secrets_in_requests(rng), 100):
            send(collector, request, rng)
            secrets.append((secret, where))
        collector.kill()
    assert len(kept(everything_in(data_dir), secrets)) >= 98
    assert not (data_dir / "redaction.key").exists()


def test_own_patterns_are_redacted_when_asked_for_and_not_before(
    data_dir: Path, tmp_path: Path
) -> None:
    patterns = tmp_path / "own.toml"
    patterns.write_text("email = '[\\w.+-]+@[\\w-]+\\.[\\w.-]+'\n")
    request = traces(1, text="ada@example.org")
    for options, is_there in (((), True), (("--redact-patterns", str(patterns)), False)):
        directory = data_dir / str(is_there)
        with CollectorProcess(directory, NOWHERE, *options) as collector:
            collector.export(request)
            counted = collector.status()["redacted"]
            collector.kill()
        assert (b"ada@example.org" in everything_in(directory)) is is_there
        assert counted == ({} if is_there else {"email": 1})


def test_a_request_that_is_refused_leaves_no_secret_behind(data_dir: Path) -> None:
    secret = next(planted(SEED)).secret.encode()
    broken = traces(1).SerializeToString()[:-3] + secret
    with CollectorProcess(data_dir, NOWHERE) as collector:
        with pytest.raises(grpc.RpcError) as refused:
            collector.export(broken)
        answer = collector.post(broken)
        collector.export(traces(1, text=CANARY))
        collector.kill()
        said = "".join(collector.said).encode()
    assert answer.status_code == 400
    assert secret not in answer.content
    assert secret.decode() not in str(refused.value)
    assert secret not in everything_in(data_dir) + said


@pytest.mark.parametrize("key", ["db.password", "x-api-key", "http.request.header.authorization"])
@pytest.mark.parametrize("make", [text_value, in_array])
def test_an_attribute_whose_name_promises_a_secret_loses_its_value(
    key: str, make: Callable[[str], AnyValue]
) -> None:
    request = traces(1)
    attribute(spans_of(request)[0], make("open-sesame-42"), key=key)
    checked = check(request.SerializeToString(), TRACES, limits=LIMITS, redactor=REDACTOR)
    assert b"open-sesame-42" not in checked.body
    assert key.encode() in checked.body
    assert sum(checked.redacted.values()) == 1


KEY, VALUE = framed(1, b"db.password"), framed(2, framed(1, b"open-sesame-42"))


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(VALUE + KEY, id="value-first"),
        pytest.param(KEY + b"\x92\x80\x80\x00" + VALUE[1:], id="long-tag"),
        pytest.param(KEY + framed(99, b"?") + VALUE, id="apart"),
        pytest.param(VALUE + b"\x0a\x8b\x80\x00" + KEY[2:], id="long-length"),
        pytest.param(VALUE + b"\x8a\x80\x00" + KEY[1:], id="long-tag-of-the-key"),
    ],
)
@pytest.mark.parametrize("after", [b"", framed(9, framed(1, b"k")), framed(10, b"")])
def test_a_value_is_no_safer_where_protobuf_is_written_as_no_encoder_does(
    pair: bytes, after: bytes
) -> None:
    [span] = spans_of(traces(1))
    written = span.SerializeToString() + framed(9, pair) + after
    body = framed(1, framed(2, framed(2, written)))
    assert b"open-sesame-42" in TRACES.strict.FromString(body).SerializeToString()
    checked = check(body, TRACES, limits=LIMITS, redactor=REDACTOR)
    assert b"open-sesame-42" not in checked.body
    assert dict(checked.redacted) == {"password": 1}


def test_a_secret_in_a_field_that_otlp_does_not_have_is_not_kept() -> None:
    secret = next(planted(SEED)).secret.encode()
    body = traces(1).SerializeToString() + framed(1023, secret)
    checked = check(body, TRACES, limits=LIMITS, redactor=REDACTOR)
    assert checked.kept == 1
    assert secret not in checked.body


def test_a_secret_that_a_later_value_of_its_field_replaces_is_not_kept() -> None:
    secret = next(planted(SEED)).secret.encode()
    value = framed(1, secret) + framed(1, b"hi")
    resource = framed(1, framed(1, b"k") + framed(2, value))
    body = framed(1, framed(1, resource))
    checked = check(body, TRACES, limits=LIMITS, redactor=REDACTOR)
    request = ExportTraceServiceRequest.FromString(checked.body)
    assert request.resource_spans[0].resource.attributes[0].value.string_value == "hi"
    assert secret not in checked.body


def test_text_that_is_not_utf8_hides_no_secret() -> None:
    secret = next(planted(SEED)).secret
    body = traces(1, text=f"XX {secret}").SerializeToString().replace(b"XX", b"\xff\xfe")
    checked = check(body, TRACES, limits=LIMITS, redactor=REDACTOR)
    assert (checked.kept, checked.mended_strings, dict(checked.redacted)) == (1, 1, {"openai": 1})
    assert secret.encode() not in checked.body


def test_a_hit_across_the_border_of_two_fields_changes_neither() -> None:
    request = traces(1)
    span = spans_of(request)[0]
    span.name = "the password"
    span.attributes.add(key="password=").value.string_value = "=hunter2"
    span.attributes.add(key="sk-ant-").value.string_value = "a" * 40
    body = request.SerializeToString()
    assert REDACTOR.suspects(body)
    checked = check(body, TRACES, limits=LIMITS, redactor=REDACTOR)
    assert ExportTraceServiceRequest.FromString(checked.body) == request
    assert checked.redacted == {}


def kvlist(items: list[tuple[str, AnyValue]]) -> AnyValue:
    value = AnyValue()
    value.kvlist_value.SetInParent()
    for key, item in items:
        value.kvlist_value.values.add(key=key, value=item)
    return value


TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["password", "password=", "sk-ant-", "Bearer ", "\\", '"', "%25"]),
    st.integers(0, 80).map(lambda number: next(islice(planted(SEED), number, None)).text),
)
VALUES = st.recursive(
    st.one_of(
        TEXTS.map(text_value),
        st.binary(max_size=30).map(lambda data: AnyValue(bytes_value=data)),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
    ),
    lambda inner: st.lists(st.tuples(TEXTS, inner), max_size=3).map(kvlist),
    max_leaves=5,
)


def texts_of(message: Any) -> Iterator[tuple[str, Any]]:
    """Give every field of a message and what is below it, in order, texts as bytes."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            if field.message_type is not None:
                yield field.name, None
                yield from texts_of(item)
            else:
                yield field.name, item


@given(st.lists(st.tuples(TEXTS, VALUES), max_size=4), TEXTS, TEXTS)
def test_a_rewritten_request_differs_only_where_something_was_redacted(
    attributes: list[tuple[str, AnyValue]], name: str, status: str
) -> None:
    request = traces(2)
    span = spans_of(request)[0]
    span.name, span.status.message = name, status
    for key, value in attributes:
        attribute(span, value, key=key)
    before = TRACES.loose.FromString(request.SerializeToString())
    after = TRACES.loose.FromString(request.SerializeToString())
    found = redact_request(after, REDACTOR)
    after = TRACES.loose.FromString(after.SerializeToString())
    pairs = list(zip(texts_of(before), texts_of(after), strict=True))
    assert [one[0] for one, _ in pairs] == [other[0] for _, other in pairs]
    changed = [(one[1], other[1]) for one, other in pairs if one[1] != other[1]]
    assert bool(changed) is bool(found)
    for old, new in changed:
        assert b"[redacted:" in new
        assert new.count(b"[redacted:") > old.count(b"[redacted:")
    ExportTraceServiceRequest.FromString(
        check(request.SerializeToString(), TRACES, limits=LIMITS, redactor=REDACTOR).body
    )


def logged(data_dir: Path) -> Counter[bytes]:
    segments = sorted((data_dir / "wal").glob("*.wal"))
    return Counter(found.body for path in segments for found in record.read(path.read_bytes()))


def test_recorded_conversations_are_stored_as_they_are(recorded_runs: Path, tmp_path: Path) -> None:
    files = sorted(recorded_runs.glob("tau2_*.jsonl"))
    bodies = []
    for options in ((), ("--no-redact",)):
        directory = tmp_path / ("redacted" if not options else "plain")
        with CollectorProcess(directory, NOWHERE, *options) as collector:
            ended = run_cli("import", *files, "--endpoint", f"http://{collector.grpc_address}")
            assert ended.code == 0, ended.err
            assert collector.status()["redacted"] == {}
            collector.kill()
        bodies.append(logged(directory))
    assert sum(map(len, bodies[0])) > sum(file.stat().st_size for file in files) / 2
    assert bodies[0] == bodies[1]


def test_json_of_the_status_names_the_kinds(door: CollectorProcess) -> None:
    before = door.status()["redacted"].get("stripe", 0)
    door.export(traces(new_ids(2), text="sk_live_" + "7" * 24))
    assert json.loads(json.dumps(door.status()))["redacted"]["stripe"] == before + 2
