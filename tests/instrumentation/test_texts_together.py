"""Texts that are looked at together are found to hold what each is found to hold alone."""

import random
from itertools import islice
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanlore.instrumentation import attribute_bytes
from spanlore.instrumentation.attribute_bytes import KEPT_BYTES_MAX, attribute_pieces
from spanlore.instrumentation.redaction import secrets_in, texts_with_secrets, without_secrets
from spanlore.instrumentation.span_bytes import span_request
from tests.collector.planted_secrets import planted

SECRETS = [secret.text for secret in islice(planted(20261129), 200)]
# What a look that went over the end of a text would take for something, with what stands there.
ENDS = [
    "password=",
    "api_key: ",
    "Authorization: Bearer ",
    "-----BEGIN PRIVATE KEY-----",
    "https://",
]
BEGINNINGS = ["abcd1234efgh5678", "7" * 40, "user:pa55word@host", "-", "a@b"]


def text(rng: random.Random) -> str:
    """Some words, and where chance will an id, a secret, or a piece of one."""
    parts = ["".join(rng.choices("abcdefghij     =:\"'@", k=rng.choice([0, 5, 40, 2_000])))]
    if rng.random() < 0.3:
        parts.append(f'"id": "call_{rng.randbytes(12).hex()}"')
    if rng.random() < 0.2:
        secret = rng.choice(SECRETS)
        parts.append(secret[: rng.randrange(len(secret) + 1)] if rng.random() < 0.5 else secret)
    rng.shuffle(parts)
    if rng.random() < 0.2:
        parts.append(rng.choice(ENDS))
    if rng.random() < 0.2:
        parts.insert(0, rng.choice(BEGINNINGS))
    return rng.choice(["", " ", '", "']).join(parts)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_found_in_many_is_what_is_found_in_each(seed: int) -> None:
    rng = random.Random(seed)
    for count in (0, 1, 2, 40):
        texts = [text(rng).encode() for _ in range(count)]
        alone = [at for at, each in enumerate(texts) if secrets_in(each)]
        assert texts_with_secrets(texts) == alone


def test_every_kind_is_found_among_others() -> None:
    rng = random.Random(1)
    for secret in SECRETS:
        texts = [text(rng).encode() for _ in range(5)]
        texts.insert(rng.randrange(6), secret.encode())
        assert texts_with_secrets(texts) == [at for at, it in enumerate(texts) if secrets_in(it)]


@pytest.mark.parametrize("seed", range(10))
def test_spans_are_written_with_each_text_as_it_is_alone(seed: int) -> None:
    rng = random.Random(seed)
    spans = ended([values(rng) for _ in range(100)])
    for _ in range(2):  # the second time with what was kept
        request = ExportTraceServiceRequest.FromString(span_request(spans))
        written = request.resource_spans[0].scope_spans[0].spans
        for span, told in zip(spans, written, strict=True):
            expected = {
                key: without_secrets(value.encode()).decode() if isinstance(value, str) else value
                for key, value in (span.attributes or {}).items()
            }
            assert {each.key: of(each.value) for each in told.attributes} == expected


def test_what_is_kept_of_values_is_bounded() -> None:
    for number in range(20_000):
        attribute_pieces({"user.id": f"user {number}", f"k{number}": number}, b"\x4a", None)
        assert attribute_bytes.kept.bytes <= KEPT_BYTES_MAX
    values = [known.texts for known in attribute_bytes.kept.keys_of(b"\x4a").values()]
    assert sum(map(len, values)) < KEPT_BYTES_MAX / 256


def values(rng: random.Random) -> dict[str, Any]:
    short = {f"short.{at}": rng.choice(SECRETS)[:64] for at in range(3) if rng.random() < 0.05}
    ids = {"gen_ai.response.id": f"resp_{rng.randbytes(16).hex()}", "user.id": rng.choice("ab")}
    return {**ids, **short, "gen_ai.input.messages": text(rng), "number": rng.randrange(300)}


def ended(attributes: list[dict[str, Any]]) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "s"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("scope")
    for each in attributes:
        tracer.start_span("chat m", attributes=each).end()
    return list(exporter.get_finished_spans())


def of(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
