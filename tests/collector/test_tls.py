"""TLS at the collector's doors, and certificates that are replaced while it listens."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanlore.collector.signals import TRACES
from spanlore.schemas.tls import Tls, TlsError, TlsFiles
from spanlore.schemas.tokens import INGEST, create_token
from tests.collector.certificates import Authority, options, write
from tests.collector.collector_process import PROTOBUF, SEND_S, CollectorProcess, unary
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import traces


def https(ca: Authority, client: TlsFiles | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.pem.decode())
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context


def status_over_http(
    door: CollectorProcess, ca: Authority, client: TlsFiles | None = None, token: str = ""
) -> int:
    """Give the status of a request over a new connection; 0 where there is no connection."""
    headers = {"content-type": PROTOBUF, **({"authorization": f"Bearer {token}"} if token else {})}
    url = f"{door.url.replace('http', 'https')}/v1/traces"
    try:
        with httpx.Client(verify=https(ca, client), trust_env=False, timeout=SEND_S) as http:
            body = traces(1).SerializeToString()
            return http.post(url, content=body, headers=headers).status_code
    except httpx.TransportError:
        return 0


def channel_to(
    door: CollectorProcess, ca: Authority, client: TlsFiles | None = None
) -> grpc.Channel:
    key = client.key.read_bytes() if client else None
    chain = client.certificate.read_bytes() if client else None
    credentials = grpc.ssl_channel_credentials(ca.pem, private_key=key, certificate_chain=chain)
    return grpc.secure_channel(
        door.grpc_address, credentials, options=[("grpc.use_local_subchannel_pool", 1)]
    )


def code_over_grpc(
    door: CollectorProcess, ca: Authority, client: TlsFiles | None = None, token: str = ""
) -> grpc.StatusCode:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with channel_to(door, ca, client) as channel:
        try:
            call = unary(channel, f"/{TRACES.service}/Export")
            call(traces(1).SerializeToString(), timeout=SEND_S, metadata=metadata)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def is_taken(door: CollectorProcess, ca: Authority, client: TlsFiles | None = None) -> bool:
    """Say whether both doors take a request over new connections, or neither does."""
    over_http = status_over_http(door, ca, client)
    over_grpc = code_over_grpc(door, ca, client)
    assert (over_http, over_grpc) in (
        (200, grpc.StatusCode.OK),
        (0, grpc.StatusCode.UNAVAILABLE),
    )
    return over_http == 200


def test_the_stock_exporters_send_over_tls_and_nothing_is_taken_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would count before ours
        monkeypatch.delenv(name, raising=False)
    ca = Authority(tmp_path)
    with CollectorProcess(
        tmp_path / "data", NOWHERE, *options(ca.server(tmp_path / "served"))
    ) as door:
        exporters: list[SpanExporter] = [
            GrpcExporter(
                endpoint=f"https://{door.grpc_address}",
                credentials=grpc.ssl_channel_credentials(ca.pem),
            ),
            HttpExporter(
                endpoint=f"{door.url.replace('http', 'https')}/v1/traces",
                certificate_file=str(ca.path),
            ),
        ]
        for exporter in exporters:
            span = TracerProvider().get_tracer("tests").start_span("over tls")
            span.end()
            assert exporter.export([span]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
            exporter.shutdown()
        with pytest.raises(httpx.TransportError):
            door.post(traces(1))
        with pytest.raises(grpc.RpcError):
            door.export(traces(1))
        door.refused = 0  # nothing of it came as far as to be counted
        assert door.status()["spans"]["accepted"] == 2
        assert door.stop() == 0


def test_where_clients_must_show_a_certificate_nobody_else_gets_in(tmp_path: Path) -> None:
    ca, clients, strangers = (Authority(tmp_path / name) for name in ("ca", "clients", "others"))
    served = options(ca.server(tmp_path / "served"), clients.path)
    ours, theirs = clients.client(tmp_path / "ours"), strangers.client(tmp_path / "theirs")
    with CollectorProcess(tmp_path / "data", NOWHERE, *served) as door:
        assert is_taken(door, ca, ours)
        assert not is_taken(door, ca)
        assert not is_taken(door, ca, theirs)
        # The clients' CA is replaced: who was in before is out with the next connection.
        write(clients.path, strangers.pem)
        assert is_taken(door, ca, theirs)
        assert not is_taken(door, ca, ours)


def test_a_new_certificate_is_served_from_the_next_connection_on(tmp_path: Path) -> None:
    before, after = Authority(tmp_path / "before"), Authority(tmp_path / "after")
    files = before.server(tmp_path / "served")
    with CollectorProcess(tmp_path / "data", NOWHERE, *options(files)) as door:
        with channel_to(door, before) as open_since_before:
            call = unary(open_since_before, f"/{TRACES.service}/Export")
            call(traces(1).SerializeToString(), timeout=SEND_S)
            key = files.key.read_bytes()
            # The new key with the old certificate: they do not fit, and the old pair is served on.
            other = after.server(tmp_path / "other")
            write(files.key, other.key.read_bytes())
            assert is_taken(door, before)
            write(files.certificate, other.certificate.read_bytes())
            assert is_taken(door, after)
            assert not is_taken(door, before)
            call(traces(1).SerializeToString(), timeout=SEND_S)
        assert key not in "".join(door.said).encode()
        assert any("cannot be used" in line for line in door.said)
        assert door.stop() == 0


def test_beyond_loopback_there_is_tls_and_a_token_and_this_machine_has_doors_of_its_own(
    tmp_path: Path,
) -> None:
    ca = Authority(tmp_path)
    served = options(ca.server(tmp_path / "served"))
    everywhere = ("--host", "0.0.0.0")  # noqa: S104 - the point of the test
    with CollectorProcess(tmp_path / "data", NOWHERE, *everywhere, *served) as door:
        assert status_over_http(door, ca) == 401
        assert code_over_grpc(door, ca) is grpc.StatusCode.UNAUTHENTICATED
        _, token = create_token(door.data_dir, tenant="acme", scopes=[INGEST])
        assert status_over_http(door, ca, token=token) == 200
        assert code_over_grpc(door, ca, token=token) is grpc.StatusCode.OK
        body, headers = traces(1).SerializeToString(), {"content-type": PROTOBUF}
        local = f"{door.local_url}/v1/traces"
        sent = httpx.post(local, content=body, headers=headers, trust_env=False)
        assert sent.status_code == 200
        with grpc.insecure_channel(door.local_grpc_address) as channel:
            assert unary(channel, f"/{TRACES.service}/Export")(body, timeout=SEND_S) == b""


def test_without_tls_and_without_a_token_are_two_words(tmp_path: Path) -> None:
    everywhere = ("--host", "0.0.0.0", "--insecure")  # noqa: S104 - the point of the test
    with CollectorProcess(tmp_path / "one", NOWHERE, *everywhere) as door:
        assert door.post(traces(1)).status_code == 401
        with pytest.raises(grpc.RpcError) as refused:
            door.export(traces(1))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with CollectorProcess(tmp_path / "two", NOWHERE, *everywhere, "--no-token") as door:
        assert door.post(traces(1)).status_code == 200
        assert door.export(traces(1)) == b""


def test_a_handshake_that_does_not_go_on_is_ended(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    served = options(ca.server(tmp_path / "served"))
    hurried = "tests.collector.hurried_collector"
    with CollectorProcess(tmp_path / "data", NOWHERE, *served, module=hurried) as door:
        for url in (door.url, f"http://{door.grpc_address}"):
            address = urlsplit(url)
            with socket.create_connection((address.hostname, address.port), timeout=20) as client:
                client.sendall(b"\x16\x03\x01")  # the beginning of a handshake
                assert client.recv(1000) == b""
        assert is_taken(door, ca)


def test_files_that_cannot_be_served_are_named_at_the_start(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    good, other = ca.server(tmp_path / "good"), ca.server(tmp_path / "other")
    absent = tmp_path / "absent.pem"
    for files in (
        TlsFiles(certificate=good.certificate, key=other.key),
        TlsFiles(certificate=absent, key=good.key),
        TlsFiles(certificate=good.key, key=good.key),
        TlsFiles(certificate=good.certificate, key=good.key, client_ca=absent),
    ):
        with pytest.raises(TlsError, match="cannot"):
            Tls(files)
    with pytest.raises(TlsError, match="--tls-key"):
        TlsFiles.given(good.certificate, None, client_ca=None)
