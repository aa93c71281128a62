"""Tokens at the collector's doors: who may send, and whose spans they then are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanlore.collector.refusal import Code
from spanlore.collector.signals import LOGS, METRICS, SIGNALS, Signal
from spanlore.schemas import metric_tables, semconv
from spanlore.schemas.store import Store
from spanlore.schemas.tokens import (
    ADMIN,
    FILE_NAME,
    INGEST,
    READ,
    SCOPES,
    create_token,
    revoke_token,
)
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import as_json, logs, metrics, traces

REQUESTS = {"spans": traces(1), "logs": logs(1), "data_points": metrics([1])}
ADDRESSED = "tenant-of-the-attribute"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector on loopback that takes nothing without a token."""
    data_dir = tmp_path_factory.mktemp("strict") / "data"
    with CollectorProcess(data_dir, NOWHERE, "--require-token") as process:
        yield process
        assert process.stop() == 0


def token(door: CollectorProcess, *scopes: str, tenant: str = "*", **more: Any) -> str:
    return create_token(door.data_dir, tenant=tenant, scopes=scopes, **more)[1]


def code_over_grpc(door: CollectorProcess, text: str, signal: Signal) -> grpc.StatusCode:
    metadata = (("authorization", f"Bearer {text}"),) if text else ()
    try:
        door.export(REQUESTS[signal.name], signal=signal, metadata=metadata)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def status_over_http(door: CollectorProcess, text: str, signal: Signal) -> int:
    sent: Any = {"authorization": f"Bearer {text}"} if text else {}
    return door.post(REQUESTS[signal.name], path=signal.path, **sent).status_code


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_only_a_good_token_with_the_scope_sends(strict: CollectorProcess, signal: Signal) -> None:
    over = datetime.now(UTC) - timedelta(seconds=1)
    good = token(strict, READ, INGEST, tenant="acme")
    others = {
        "": 401,
        "spl_00000000_" + "A" * 43: 401,
        good[:-1] + ("A" if good[-1] != "A" else "B"): 401,
        token(strict, INGEST, expires_at=over): 401,
        token(strict, *(scope for scope in SCOPES if scope != INGEST)): 403,
        good: 200,
        strict.token: 200,
    }
    codes = {
        200: grpc.StatusCode.OK,
        401: grpc.StatusCode.UNAUTHENTICATED,
        403: grpc.StatusCode.PERMISSION_DENIED,
    }
    for text, status in others.items():
        assert status_over_http(strict, text, signal) == status, text
        assert code_over_grpc(strict, text, signal) is codes[status], text


def test_the_answer_says_what_to_do_in_the_encoding_of_the_request(
    strict: CollectorProcess,
) -> None:
    as_protobuf = strict.post(traces(1))
    as_text = strict.post(as_json(traces(1)), content_type="application/json")
    for answer, status in (
        (as_protobuf, status_pb2.Status.FromString(as_protobuf.content)),
        (as_text, json_format.Parse(as_text.content, status_pb2.Status())),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert status.code == Code.UNAUTHENTICATED
        assert "spanlore token create --scope ingest" in status.message
    with pytest.raises(grpc.RpcError) as refused:
        strict.export(traces(1))
    assert "spanlore token create --scope ingest" in (refused.value.details() or "")


def test_two_tokens_are_good_at_once_and_a_revoked_one_is_none_at_the_next_request(
    strict: CollectorProcess,
) -> None:
    old, old_text = create_token(strict.data_dir, tenant="acme", scopes=[INGEST], name="old")
    _, new_text = create_token(strict.data_dir, tenant="acme", scopes=[INGEST], name="new")
    signal = SIGNALS[0]
    assert [status_over_http(strict, text, signal) for text in (old_text, new_text)] == [200, 200]
    revoke_token(strict.data_dir, old.token_id)
    assert [status_over_http(strict, text, signal) for text in (old_text, new_text)] == [401, 200]
    assert code_over_grpc(strict, old_text, signal) is grpc.StatusCode.UNAUTHENTICATED


def test_an_unreadable_file_of_tokens_asks_to_send_again_and_opens_nothing(
    strict: CollectorProcess,
) -> None:
    text = token(strict, INGEST)
    path = strict.data_dir / FILE_NAME
    kept = path.read_bytes()
    path.write_bytes(kept[:-10])
    answer = strict.post(traces(1), authorization=f"Bearer {text}")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert status_over_http(strict, "", SIGNALS[0]) == 401
    assert status_over_http(strict, strict.token, SIGNALS[0]) == 200
    path.write_bytes(kept)
    assert status_over_http(strict, text, SIGNALS[0]) == 200


def test_flush_and_status_take_an_admin_of_every_tenant(strict: CollectorProcess) -> None:
    def asked(text: str) -> int:
        headers = {"authorization": f"Bearer {text}"}
        return strict.client.get("/status", headers=headers).status_code

    assert asked(token(strict, ADMIN)) == 200
    assert asked(token(strict, ADMIN, tenant="acme")) == 403
    assert asked(token(strict, INGEST, READ)) == 403


def test_on_loopback_nothing_is_asked_for_but_a_bad_token_is_never_overlooked(
    door: CollectorProcess,
) -> None:
    signal = SIGNALS[0]
    token(door, INGEST)
    assert status_over_http(door, "", signal) == 200
    assert status_over_http(door, "spl_00000000_" + "A" * 43, signal) == 401
    assert code_over_grpc(door, "something", signal) is grpc.StatusCode.UNAUTHENTICATED


def test_a_preflight_carries_no_token_and_is_answered(tmp_path: Path) -> None:
    page = "https://app.example"
    more = ("--require-token", "--allow-origin", page)
    with CollectorProcess(tmp_path / "data", NOWHERE, *more) as process:
        ask = {"origin": page, "access-control-request-method": "POST"}
        asked = process.client.options("/v1/traces", headers=ask)
        assert asked.status_code == 200
        assert "authorization" in asked.headers["access-control-allow-headers"]
        sent: Any = {"origin": page, "sec_fetch_site": "cross-site"}
        assert process.post(traces(1), **sent).status_code == 401
        good = f"Bearer {token(process, INGEST)}"
        assert process.post(traces(1), **sent, authorization=good).status_code == 200


def stock_exporters(door: CollectorProcess, text: str) -> list[SpanExporter]:
    headers = {"authorization": f"Bearer {text}"}
    return [
        GrpcExporter(endpoint=door.grpc_address, insecure=True, headers=headers),
        HttpExporter(endpoint=f"{door.url}/v1/traces", headers=headers),
    ]


def test_what_comes_with_a_tenants_token_is_that_tenants_whatever_it_says(
    tmp_path: Path, store_url: str, store: Store
) -> None:
    resource = Resource({semconv.TENANT_ID: ADDRESSED})
    with CollectorProcess(tmp_path / "data", store_url) as collector:
        for tenant in ("acme", "*"):
            text = token(collector, INGEST, tenant=tenant)
            for exporter in stock_exporters(collector, text):
                tracer = TracerProvider(resource=resource).get_tracer("tests")
                span = tracer.start_span(f"sent for {tenant}")
                span.end()
                assert exporter.export([span]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
                exporter.shutdown()
        acme = (("authorization", f"Bearer {token(collector, INGEST, tenant='acme')}"),)
        for request, signal in ((logs(1), LOGS), (metrics([1]), METRICS)):
            collector.export(request, signal=signal, metadata=acme)
        collector.flush()
    rows = store.query("SELECT SpanName, TenantId, count() AS n FROM otel_traces GROUP BY ALL")
    assert {(row["SpanName"], row["TenantId"], row["n"]) for row in rows} == {
        ("sent for acme", "acme", 2),
        ("sent for *", ADDRESSED, 2),
    }
    for table in ("otel_logs", metric_tables.BY_KIND["sum"]):
        assert store.query(f"SELECT DISTINCT TenantId FROM {table}") == [{"TenantId": "acme"}]
