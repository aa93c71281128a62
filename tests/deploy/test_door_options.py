"""What `spanlore up` is told about its doors: who then gets in, from here and from elsewhere."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spanlore.cli.datadir import read_run_file
from spanlore.schemas.credentials import load_or_create
from tests.collector.certificates import Authority, options
from tests.deploy.command_line import run_cli
from tests.deploy.test_up import FREE_PORTS

pytest.importorskip("chdb")

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the point of these tests
SERVER = "clickhouse://somebody:secret@127.0.0.1:9/spanlore"
RUN = {"run_id": "r1", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    run_cli("down", "--data-dir", tmp_path / "data")


def test_where_a_token_is_required_this_machines_commands_go_on_and_nobody_else_does(
    directory: Path, tmp_path: Path
) -> None:
    ca = Authority(tmp_path)
    everywhere = ["--host", EVERYWHERE, "--store-host", EVERYWHERE]
    told = [*everywhere, *options(ca.server(tmp_path / "served")), "--require-token"]
    ended = run_cli("up", "--detach", "--data-dir", directory, *FREE_PORTS, *told)
    assert ended.code == 0, ended.err
    running = read_run_file(directory) or {}
    public = running["collector"]["public_http_url"].replace(EVERYWHERE, "127.0.0.1")
    local = f"http://127.0.0.1:{running['collector']['http_port']}"
    review = f"http://127.0.0.1:{running['review']['port']}"
    made = run_cli("token", "create", "--scope", "ingest", "--data-dir", directory)
    given = {"authorization": f"Bearer {made.out.strip()}"}
    context = ssl.create_default_context(cadata=ca.pem.decode())
    with httpx.Client(verify=context, trust_env=False) as http:
        for headers, status in (({}, 401), (given, 200)):
            sent = {"content-type": "application/json", **headers}
            for url in (public, local):
                answer = http.post(f"{url}/v1/traces", content=b"{}", headers=sent)
                assert answer.status_code == status, url
        assert http.get(f"{review}/v1/memories").status_code == 401
        store = running["store"]["public_url"].replace(EVERYWHERE, "127.0.0.1")
        assert f"store      {running['store']['public_url']}" in ended.out
        reader = load_or_create(directory).reader
        ask = f"{store}/?query=SELECT+count()+FROM+agent_runs"
        assert http.get(ask).status_code == 403
        assert http.get(ask, auth=(reader.user, reader.password)).text == "0\n"
    runs = tmp_path / "runs.jsonl"
    runs.write_text(json.dumps(RUN))
    for command in (("import", runs), ("status", "--json"), ("runs", "--json")):
        ended = run_cli(*command, "--data-dir", directory)
        assert ended.code == 0, ended.err
    [run] = json.loads(ended.out)
    ended = run_cli("judge", run["trace_id"], "pass", "--by", "ada", "--data-dir", directory)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("told", "next_step"),
    [
        (["--host", EVERYWHERE], "--insecure"),
        (["--store-host", EVERYWHERE], "--insecure"),
        (["--store-host", EVERYWHERE, "--insecure", "--store-url", SERVER], "leave out one"),
        (["--require-token", "--no-token"], "leave out one"),
        (["--tls-cert", __file__], "--tls-key"),
        (["--tls-client-ca", __file__], "--tls-cert"),
    ],
)
def test_what_is_not_safe_or_not_whole_is_refused_before_anything_starts(
    directory: Path, told: list[str], next_step: str
) -> None:
    ended = run_cli("up", "--data-dir", directory, *FREE_PORTS, *told)
    assert (ended.code, next_step in ended.err) == (2, True), ended.err
    assert not directory.exists()
