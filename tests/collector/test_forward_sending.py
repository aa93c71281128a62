"""What a target's answers mean, asked of real servers over real connections."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from spanlore.collector.forwarding.sending import (
    SendAgain,
    Sender,
    Taken,
    TargetRefused,
    sender_to,
)
from spanlore.collector.forwarding.target import read_targets
from spanlore.collector.signals import TRACES
from tests.collector.otlp_requests import traces
from tests.collector.scripted_target import (
    GrpcReply,
    HttpTarget,
    Reply,
    grpc_target,
    http_target,
)
from tests.rotel_agent import free_address

BODY = traces(3).SerializeToString()
PARTIAL = TRACES.answer(2, "no name")


@contextmanager
def sender(url: str, **environment: str) -> Iterator[Sender]:
    variables = {f"SPANLORE_FORWARD_{name}": value for name, value in environment.items()}
    (target,) = read_targets([url], variables)
    opened = sender_to(target, connections_max=2)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def sender_to_one_that_says(reply: Reply | GrpcReply) -> Iterator[Sender]:
    if isinstance(reply, Reply):
        with http_target(lambda _: reply) as target, sender(target.url) as opened:
            yield opened
    else:
        with grpc_target(reply) as called, sender(f"grpc://{called.address}") as opened:
            yield opened


def send(opened: Sender, **headers: str) -> Taken:
    return opened.send(BODY, TRACES, headers=headers, s_max=10)


def info(seconds: int) -> error_details_pb2.RetryInfo:
    found = error_details_pb2.RetryInfo()
    found.retry_delay.seconds = seconds
    return found


def status_details(seconds: int) -> tuple[str, bytes]:
    detail = any_pb2.Any()
    detail.Pack(info(seconds))
    status = status_pb2.Status(code=14, message="as told", details=[detail])
    return "grpc-status-details-bin", status.SerializeToString()


def test_over_http_a_request_goes_as_it_is_with_the_headers_that_were_told() -> None:
    with http_target(lambda _: Reply()) as target:
        told = {"HEADERS": "Authorization=Bearer%20x,a=b"}
        with sender(f"{target.url}/otlp/", **told) as opened:
            assert send(opened, tenant="me") == Taken()
        with sender(target.url, COMPRESSION="none") as opened:
            assert send(opened) == Taken()
    zipped, plain = target.received
    assert (zipped.path, plain.path) == ("/otlp/v1/traces", "/v1/traces")
    assert zipped.body == plain.body == BODY
    assert (zipped.headers["content-encoding"], plain.headers["content-encoding"]) == ("gzip", None)
    assert (zipped.headers["authorization"], zipped.headers["a"]) == ("Bearer x", "b")
    assert zipped.headers["tenant"] == "me"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_over_http_any_success_is_one_whatever_comes_with_it(status: int) -> None:
    with sender_to_one_that_says(Reply(status=status, body=b"")) as opened:
        assert send(opened) == send(opened) == Taken()
    with sender_to_one_that_says(Reply(body=b'{"partialSuccess":{}}')) as opened:
        assert send(opened) == Taken()


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_over_grpc_a_request_goes_as_it_is_with_the_headers_that_were_told(
    compression: str,
) -> None:
    told = {"HEADERS": "Authorization=Bearer%20x", "COMPRESSION": compression}
    with (
        grpc_target(GrpcReply(body=PARTIAL)) as target,
        sender(f"grpc://{target.address}", **told) as opened,
    ):
        assert send(opened, tenant="me") == Taken(rejected=2, message="no name")
    assert target.bodies == [BODY]
    assert (target.metadata[0]["authorization"], target.metadata[0]["tenant"]) == ("Bearer x", "me")


@pytest.mark.parametrize(
    ("reply", "after_s"),
    [
        (Reply(status=503, headers={"retry-after": "7"}), 7.0),
        (Reply(status=429), None),
        (Reply(status=502), None),
        (Reply(status=401), None),
        (Reply(status=403), None),
        (Reply(status=504, headers={"retry-after": "soon"}), None),
        (Reply(status=503, headers={"retry-after": "9999999"}), 600.0),
    ],
)
def test_over_http_what_is_sent_again_is_what_otlp_says_and_what_was_not_let_in(
    reply: Reply, after_s: float | None
) -> None:
    with sender_to_one_that_says(reply) as opened, pytest.raises(SendAgain) as again:
        send(opened)
    assert again.value.after_s == after_s
    assert str(reply.status) in str(again.value)


def test_a_date_to_send_again_is_taken_as_the_seconds_until_then() -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    reply = Reply(status=503, headers={"retry-after": later})
    with sender_to_one_that_says(reply) as opened, pytest.raises(SendAgain) as again:
        send(opened)
    assert again.value.after_s is not None
    assert 90 < again.value.after_s <= 100


@pytest.mark.parametrize("status", [400, 404, 413, 500, 501])
def test_over_http_any_other_refusal_is_for_good_and_says_what_the_target_said(
    status: int,
) -> None:
    said = status_pb2.Status(message="bad spans").SerializeToString()
    reply = Reply(status=status, body=said)
    with (
        sender_to_one_that_says(reply) as opened,
        pytest.raises(TargetRefused, match="bad spans"),
    ):
        send(opened)


def test_a_redirect_is_not_followed_since_the_headers_are_for_this_target_alone() -> None:
    with http_target(lambda _: Reply()) as other:
        reply = Reply(status=307, headers={"location": f"{other.url}/v1/traces"})
        with sender_to_one_that_says(reply) as opened, pytest.raises(TargetRefused, match="307"):
            send(opened)
    assert other.received == []


def test_an_answer_that_is_too_long_does_not_spoil_the_next() -> None:
    with sender_to_one_that_says(Reply(body=b"\xff" * (5 << 20))) as opened:
        assert send(opened) == Taken()
        assert send(opened) == Taken()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_where_nobody_listens_it_is_sent_again(scheme: str) -> None:
    with sender(f"{scheme}://{free_address()}") as opened, pytest.raises(SendAgain) as again:
        send(opened)
    assert again.value.after_s is None


@pytest.mark.parametrize(
    ("reply", "after_s"),
    [
        (GrpcReply(code=grpc.StatusCode.UNAVAILABLE), None),
        (GrpcReply(code=grpc.StatusCode.UNAVAILABLE, trailers=[status_details(3)]), 3.0),
        (GrpcReply(code=grpc.StatusCode.RESOURCE_EXHAUSTED, trailers=[status_details(4)]), 4.0),
        (
            GrpcReply(
                code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                trailers=[("google.rpc.retryinfo-bin", info(5).SerializeToString())],
            ),
            5.0,
        ),
        *(
            (GrpcReply(code=code), None)
            for code in (
                grpc.StatusCode.CANCELLED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.ABORTED,
                grpc.StatusCode.OUT_OF_RANGE,
                grpc.StatusCode.DATA_LOSS,
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.PERMISSION_DENIED,
            )
        ),
    ],
)
def test_over_grpc_what_is_sent_again_is_what_otlp_says_and_what_was_not_let_in(
    reply: GrpcReply, after_s: float | None
) -> None:
    with (
        sender_to_one_that_says(reply) as opened,
        pytest.raises(SendAgain, match=reply.code.name) as again,
    ):
        send(opened)
    assert again.value.after_s == after_s


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
def test_over_grpc_any_other_refusal_is_for_good(code: grpc.StatusCode) -> None:
    reply = GrpcReply(code=code)
    with sender_to_one_that_says(reply) as opened, pytest.raises(TargetRefused, match="as told"):
        send(opened)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
        "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return made, key


def tls_told(certificate: tuple[Path, Path]) -> dict[str, str]:
    made, key = map(str, certificate)
    return {"CERTIFICATE": made, "CLIENT_CERTIFICATE": made, "CLIENT_KEY": key}


def test_over_https_both_sides_show_a_certificate(certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with http_target(lambda _: Reply(), tls=context) as target:
        with sender(target.url, **tls_told(certificate)) as opened:
            assert send(opened) == Taken()
        refused_by_us(target)


def refused_by_us(target: HttpTarget) -> None:
    """See that a certificate that nobody vouches for is not trusted."""
    with sender(target.url) as opened, pytest.raises(SendAgain, match=r"(?i)certificate"):
        send(opened)


def test_over_grpcs_both_sides_show_a_certificate(certificate: tuple[Path, Path]) -> None:
    made, key = (path.read_bytes() for path in certificate)
    credentials = grpc.ssl_server_credentials([(key, made)], made, require_client_auth=True)
    with grpc_target(GrpcReply(), credentials=credentials) as target:
        with sender(f"grpcs://{target.address}", **tls_told(certificate)) as opened:
            assert send(opened) == Taken()
        with sender(f"grpcs://{target.address}") as opened, pytest.raises(SendAgain):
            send(opened)
