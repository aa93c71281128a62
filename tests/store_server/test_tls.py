"""TLS at the store's endpoint: stock clients, other certificates, and where it takes none."""

import ssl
import subprocess
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from spanlore.schemas.credentials import Login
from spanlore.schemas.tls import TlsFiles
from tests.collector.certificates import Authority, options, write
from tests.server_process import START_S
from tests.store_server.store_process import StoreProcess, arguments

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the point of these tests


@pytest.fixture(autouse=True)
def _no_other_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def with_database(store: StoreProcess) -> StoreProcess:
    """Make the database that a reader is in, as this machine's programs do: in clear."""
    local = f"http://127.0.0.1:{store.local_port}"
    admin = (store.admin.user, store.admin.password)
    made = httpx.post(
        local, content="CREATE DATABASE IF NOT EXISTS spanlore", auth=admin, trust_env=False
    )
    assert made.status_code == 200, made.text
    return store


def client(
    store: StoreProcess, login: Login, ca: Authority, certificate: TlsFiles | None = None
) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=store.port,
        username=login.user,
        password=login.password,
        secure=True,
        ca_cert=str(ca.path),
        client_cert=str(certificate.certificate) if certificate else None,
        client_cert_key=str(certificate.key) if certificate else None,
        tls_mode="strict",  # the login goes with it, also where a certificate does
    )


def served_by(store: StoreProcess, ca: Authority) -> bool:
    """Say whether a new connection is shown a certificate of this CA."""
    context = ssl.create_default_context(cadata=ca.pem.decode())
    try:
        with httpx.Client(verify=context, trust_env=False, timeout=START_S) as http:
            return http.get(f"https://127.0.0.1:{store.port}/ping").text == "Ok.\n"
    except httpx.TransportError:
        return False


def test_clickhouse_connect_asks_over_tls_and_nothing_is_answered_in_clear(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    files = ca.server(tmp_path / "served")
    with StoreProcess(tmp_path / "data", "--host", EVERYWHERE, *options(files)) as store:
        with_database(store)
        for login in (store.admin, store.ingest, store.reader):
            asked = client(store, login, ca)
            assert asked.query("SELECT 1 + 1").result_rows == [(2,)]
            asked.close()
        with pytest.raises(httpx.TransportError):
            store.ask("SELECT 1")
        local = f"http://127.0.0.1:{store.local_port}/?query=SELECT+7"
        sent = {"x-clickhouse-user": store.reader.user, "x-clickhouse-key": store.reader.password}
        assert httpx.get(local, headers=sent, trust_env=False).text == "7\n"
        assert httpx.get(local, trust_env=False).status_code == 403
        # What it serves with is no file of its engine's, whoever asks.
        admin = (store.admin.user, store.admin.password)
        told = httpx.post(
            local.partition("?")[0],
            content=f"SELECT file('{files.key}')",
            auth=admin,
            trust_env=False,
        )
        assert told.status_code != 200
        assert "PRIVATE KEY" not in told.text
        assert store.stop() == 0


def test_a_new_certificate_is_served_from_the_next_connection_on_by_a_confined_store(
    tmp_path: Path,
) -> None:
    before, after = Authority(tmp_path / "before"), Authority(tmp_path / "after")
    files = before.server(tmp_path / "served")
    with StoreProcess(tmp_path / "data", *options(files)) as store:
        assert served_by(store, before)
        other = after.server(tmp_path / "other")
        # The new key with the old certificate: they do not fit, and the old pair is served on.
        write(files.key, other.key.read_bytes())
        assert served_by(store, before)
        write(files.certificate, other.certificate.read_bytes())
        assert served_by(store, after)
        assert not served_by(store, before)
        assert store.stop() == 0


@pytest.mark.slow
def test_where_clients_must_show_a_certificate_nobody_else_is_answered(tmp_path: Path) -> None:
    ca, clients, strangers = (Authority(tmp_path / name) for name in ("ca", "clients", "others"))
    told = options(ca.server(tmp_path / "served"), clients.path)
    with StoreProcess(tmp_path / "data", *told) as store:
        asked = client(with_database(store), store.reader, ca, clients.client(tmp_path / "ours"))
        assert asked.query("SELECT 1").result_rows == [(1,)]
        asked.close()
        for theirs in (None, strangers.client(tmp_path / "theirs")):
            with pytest.raises(OperationalError):
                client(store, store.reader, ca, theirs)
        assert store.stop() == 0


def test_beyond_loopback_without_tls_takes_a_word(tmp_path: Path) -> None:
    everywhere = ("--host", EVERYWHERE)
    command = arguments(tmp_path / "data", *everywhere)
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_S)
    assert (ended.returncode, "--insecure" in ended.stderr) == (2, True), ended.stderr
    named = ("--allow-host", "store.example")
    with StoreProcess(tmp_path / "data", *everywhere, "--insecure", *named) as store:
        assert with_database(store).ask("SELECT 1", login=store.reader) == "1\n"
        assert store.port != store.local_port
        for host, status in (("STORE.example:1234", 403), ("STORE.example", 200)):
            answer = httpx.get(f"{store.url}/ping", headers={"host": host}, trust_env=False)
            assert answer.status_code == status
        assert store.stop() == 0


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        (["--tls-cert", __file__], 2, "--tls-key"),
        (["--tls-cert", "absent", "--tls-key", "b"], 3, "spanlore store: cannot read"),
    ],
)
def test_files_that_cannot_be_served_are_named_at_the_start(
    tmp_path: Path, told: list[str], code: int, said: str
) -> None:
    command = arguments(tmp_path / "data", *told)
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_S)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
