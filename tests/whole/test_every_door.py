"""Nothing behind a door is had without a credential: every method and route there is, asked."""

import itertools
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from spanlore.collector import grpc_door, http_door
from spanlore.collector.signals import SIGNALS
from spanlore.schemas.credentials import Login
from spanlore.schemas.tokens import ADMIN, ERASE, INGEST, READ, SCOPES, create_token
from spanlore.store_server.access import METHODS, OPEN_PATHS, QUERY_PATHS
from tests.collector.certificates import Authority, options
from tests.collector.collector_process import PROTOBUF, CollectorProcess, unary
from tests.collector.otlp_requests import traces
from tests.review.door_process import DoorProcess
from tests.review.test_door import every_route
from tests.store_server.store_process import StoreProcess

NOWHERE = "clickhouse://nobody:nothing@127.0.0.1:9/none"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
NO_PATHS = (
    "/v1",
    "/v1/",
    "/v1/nothing",
    "//status",
    "/status/",
    "/v1/traces/",
    "/../status",
    "/%2e",
)
BODY = traces(1).SerializeToString()
OF_NOBODY = "spl_00000000_" + "A" * 43


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    data_dir = tmp_path_factory.mktemp("collector") / "data"
    with CollectorProcess(data_dir, NOWHERE, "--require-token") as process:
        yield process


def without_a_credential(own: str) -> list[dict[str, str]]:
    """Give the headers of those who have none that is good, though some come near."""
    return [
        {},
        {"authorization": ""},
        {"authorization": own},
        {"authorization": f"Basic {own}"},
        {"authorization": f"Bearer {own}x"},
        {"authorization": f"Bearer {OF_NOBODY}"},
        {"x-api-key": own, "cookie": f"authorization=Bearer {own}"},
    ]


def asked(paths: Iterable[str], *, own: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give every path with every verb, with nothing and with one of what comes near."""
    near = itertools.cycle(without_a_credential(own)[1:])
    for path, verb in itertools.product(paths, VERBS):
        yield path, verb, {}
        yield path, verb, next(near)


def test_no_grpc_method_takes_anything_without_a_credential(collector: CollectorProcess) -> None:
    assert len(grpc_door.METHODS) == len(SIGNALS)
    for method in (*grpc_door.METHODS, "/a.Service/Export", "/grpc.health.v1.Health/Check"):
        call = unary(collector.channel, method)
        for headers in without_a_credential(collector.token):
            with pytest.raises(grpc.RpcError) as refused:
                call(BODY, metadata=tuple(headers.items()))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, (method, headers)
        good = (("authorization", f"Bearer {collector.token}"),)
        if method in grpc_door.METHODS:
            assert call(b"", metadata=good) == b""
    assert collector.status()["spans"]["received"] == 0


def test_no_http_route_of_the_collector_answers_without_a_credential(
    collector: CollectorProcess,
) -> None:
    for path, verb, headers in asked((*http_door.ROUTES, *NO_PATHS), own=collector.token):
        sent = {"content-type": PROTOBUF, **headers}
        answer = collector.client.request(verb, path, headers=sent, content=BODY)
        assert answer.status_code == 401, (verb, path, headers)
    for path, verb in http_door.ROUTES.items():
        answer = collector.client.request(verb, path, headers=collector.authorized())
        assert answer.status_code not in (401, 403, 404, 405), (verb, path)
    assert collector.status()["spans"]["received"] == 0


def test_no_http_route_of_the_collector_answers_to_the_wrong_scope(
    collector: CollectorProcess,
) -> None:
    for scope, (path, verb) in itertools.product(SCOPES, http_door.ROUTES.items()):
        _, text = create_token(collector.data_dir, tenant="*", scopes=[scope])
        sent = {"content-type": PROTOBUF, "authorization": f"Bearer {text}"}
        answer = collector.client.request(verb, path, headers=sent)
        is_right = scope in http_door.scopes_of(path)
        assert (answer.status_code != 403) == is_right, (scope, path, answer.text)
        assert (INGEST in http_door.scopes_of(path)) == path.startswith("/v1/")


def test_no_route_of_the_review_door_answers_without_a_credential(
    store_url: str, tmp_path: Path
) -> None:
    routes = every_route()
    assert routes
    paths = {path.replace("{lesson_id}", "m1") for _, path, _ in routes}
    with DoorProcess(tmp_path, store_url, "--require-token") as door:
        for path, verb, headers in asked((*paths, *NO_PATHS), own=door.token):
            answer = door.stranger.request(verb, path, headers=headers, content=b"{}")
            assert answer.status_code == 401, (verb, path, headers)
        for verb, path, _ in routes:
            answer = door.client.request(verb, path.replace("{lesson_id}", "m1"), content=b"{}")
            assert answer.status_code not in (401, 403, 405), (verb, path)


def test_no_route_of_the_review_door_answers_to_the_wrong_scope(
    store_url: str, tmp_path: Path
) -> None:
    opens = {ERASE: set[str](), READ: set[str](), ADMIN: set[str](), INGEST: set[str]()}
    with DoorProcess(tmp_path, store_url, "--require-token") as door:
        tokens = {scope: create_token(tmp_path, tenant="*", scopes=[scope])[1] for scope in SCOPES}
        for (scope, token), (verb, path, _) in itertools.product(tokens.items(), every_route()):
            answer = door.stranger.request(
                verb,
                path.replace("{lesson_id}", "m1"),
                headers={"authorization": f"Bearer {token}"},
                content=b"{}",
            )
            if answer.status_code != 403:
                opens[scope].add(f"{verb} {path}")
    routes = {f"{verb} {path}" for verb, path, _ in every_route()}
    erasing = {"GET /v1/users", "DELETE /v1/users"}
    reading = {one for one in routes if one.startswith("GET ")} - erasing
    assert opens == {
        ERASE: erasing,
        READ: reading,
        ADMIN: routes - erasing - reading,
        INGEST: set(),
    }


@pytest.mark.parametrize("is_beyond_loopback", [False, True])
def test_no_route_of_the_store_says_more_than_ok_without_a_login(
    tmp_path: Path, *, is_beyond_loopback: bool
) -> None:
    ca = Authority(tmp_path)
    everywhere = ("--host", "0.0.0.0")  # noqa: S104 - the point of the test
    told = (*everywhere, *options(ca.server(tmp_path / "served"))) if is_beyond_loopback else ()
    with StoreProcess(tmp_path / "data", *told) as store:
        urls = {f"http://127.0.0.1:{store.local_port}"}
        if is_beyond_loopback:
            urls.add(f"https://127.0.0.1:{store.port}")
        for url in urls:
            context = ssl.create_default_context(cadata=ca.pem.decode())
            with httpx.Client(base_url=url, trust_env=False, verify=context) as http:
                check_store_routes(http, store.admin)


def check_store_routes(http: httpx.Client, login: Login) -> None:
    asks = ("", "?query=SELECT+1&user=admin&password=")
    wrong = [("admin", ""), ("admin", "wrong"), (login.password, "")]
    logins = itertools.cycle([None, *wrong])
    paths = (*QUERY_PATHS, *OPEN_PATHS, *NO_PATHS, "/play", "/dashboard", "/replicas_status")
    for path, ask, verb in itertools.product(paths, asks, VERBS):
        answer = http.request(verb, path + ask, auth=next(logins))
        if answer.status_code == 200:
            assert answer.content in (b"Ok.\n", b""), (verb, path, ask)
            assert verb in METHODS
            assert path in OPEN_PATHS or "query" not in ask, (verb, path, ask)
        else:
            assert answer.status_code in (403, 404, 405), (verb, path, ask)
    good = http.get("/?query=SELECT+1", auth=(login.user, login.password))
    assert good.text == "1\n"
