"""`up`, `status`, `sql`, `down` on the real store and the real collector."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from spanlore.cli.datadir import is_held, read_run_file
from tests.deploy.command_line import TIMEOUT_S, Ended, environment, run_cli
from tests.waiting import wait_until

pytest.importorskip("chdb")

PORTS = ("--store-port", "--grpc-port", "--http-port", "--review-port")
FREE_PORTS = tuple(part for option in PORTS for part in (option, "0"))


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def children_of(document: dict[str, Any]) -> list[int]:
    return [document[part]["pid"] for part in ("store", "collector", "review")]


def up(directory: Path, *options: str) -> Ended:
    return run_cli("up", "--detach", "--data-dir", directory, *(options or FREE_PORTS))


def status(directory: Path) -> dict[str, Any]:
    ended = run_cli("status", "--json", "--data-dir", directory)
    assert ended.code == 0, ended.err
    document: dict[str, Any] = json.loads(ended.out)
    return document


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data_dir = tmp_path_factory.mktemp("up")
    ended = up(data_dir)
    assert ended.code == 0, ended.err
    yield data_dir
    assert run_cli("down", "--data-dir", data_dir).code == 0


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert run_cli("down", "--data-dir", tmp_path).code == 0


def test_up_detached_returns_when_everything_answers(directory: Path) -> None:
    document = status(directory)
    assert document["store"]["problem"] is None
    assert document["collector"]["problem"] is None
    assert document["review"]["problem"] is None
    assert document["collector"]["counters"]["spans"]["received"] == 0
    assert document["rows"] == dict.fromkeys(document["rows"], 0)
    assert document["flywheel"]["exposures"] == 0
    assert document["flywheel"]["lessons_by_state"] == {}


def test_the_run_file_names_processes_and_ports_but_no_password(directory: Path) -> None:
    document = read_run_file(directory)
    assert document
    assert all(is_alive(pid) for pid in (document["pid"], *children_of(document)))
    assert (
        document["store"]["url"] == f"clickhouse://127.0.0.1:{document['store']['port']}/spanlore"
    )
    secrets = json.loads((directory / "credentials.json").read_text())
    assert secrets["admin"]["password"] not in (directory / "run.json").read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads arguments from /proc")
def test_no_process_shows_a_password_in_its_arguments(directory: Path) -> None:
    secrets = json.loads((directory / "credentials.json").read_text())
    passwords = {secrets[login]["password"] for login in ("admin", "ingest", "reader")}
    document = read_run_file(directory)
    assert document
    for pid in (document["pid"], *children_of(document)):
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(password in arguments for password in passwords)


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads what is mapped from /proc")
def test_what_has_made_the_tables_holds_no_pandas(directory: Path) -> None:
    pytest.importorskip("pandas")
    document = read_run_file(directory)
    assert document
    assert "pandas" not in Path(f"/proc/{document['pid']}/maps").read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads arguments from /proc")
def test_unsandboxed_sql_is_said_to_the_store_and_to_nobody_by_itself(
    directory: Path, fresh: Path
) -> None:
    ended = up(fresh, *FREE_PORTS, "--unsandboxed-sql")
    assert ended.code == 0, ended.err
    told = {}
    for data_dir in (directory, fresh):
        document = read_run_file(data_dir)
        assert document
        arguments = Path(f"/proc/{document['store']['pid']}/cmdline").read_text().split("\0")
        told[data_dir] = "--unsandboxed-sql" in arguments
    assert told == {directory: False, fresh: True}


def test_what_was_learned_is_shown_without_the_statistics_that_it_took(directory: Path) -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from spanlore.cli.__main__ import spanlore\n"
        "for words in (['findings'], ['lessons', 'list'], ['runs'], ['status']):\n"
        "    done = CliRunner().invoke(spanlore, [*words, '--data-dir', sys.argv[1]])\n"
        "    assert done.exit_code == 0, done.output\n"
        "    assert 'scipy' not in sys.modules, words\n"
    )
    command = [sys.executable, "-c", script, str(directory)]
    subprocess.run(command, check=True, env=environment(), timeout=TIMEOUT_S)


def test_status_for_a_person_shows_the_flywheel(directory: Path) -> None:
    ended = run_cli("status", "--data-dir", directory)
    assert ended.code == 0
    assert "0 runs → 0 judged → 0 findings → 0 lessons" in ended.out
    assert "data points" in ended.out
    assert "everything accepted is loaded" in ended.out


@pytest.mark.parametrize("detach", [["--detach"], []])
def test_a_second_up_is_refused_and_leaves_the_first_alone(
    directory: Path, detach: list[str]
) -> None:
    before = read_run_file(directory)
    ended = run_cli("up", *detach, "--data-dir", directory, *FREE_PORTS)
    assert ended.code == 3
    assert "already running" in ended.err
    assert "spanlore down" in ended.err
    assert read_run_file(directory) == before
    assert status(directory)["store"]["problem"] is None


@pytest.mark.parametrize("option", PORTS)
def test_a_busy_port_is_named_and_nothing_is_left_running(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ended = up(tmp_path, *FREE_PORTS, option, str(port))
    assert ended.code == 3
    assert f"port {port} is in use" in ended.err
    assert option in ended.err
    assert not is_held(tmp_path)
    assert read_run_file(tmp_path) is None


def test_a_malformed_store_url_is_a_usage_error(tmp_path: Path) -> None:
    ended = run_cli("up", "--data-dir", tmp_path, "--store-url", "postgres://u:pw@h/d")
    assert ended.code == 2
    assert "clickhouse://user:password@host:8123/database" in ended.err
    assert "pw" not in ended.err.replace("password", "")


def test_a_server_that_does_not_answer_is_exit_code_3(tmp_path: Path) -> None:
    ended = up(tmp_path, *FREE_PORTS, "--store-url", "clickhouse://u:hidden@127.0.0.1:1/spanlore")
    assert ended.code == 3
    assert "127.0.0.1:1" in ended.err
    assert "hidden" not in ended.err


def test_up_runs_on_a_server_that_is_there_and_starts_no_store(
    directory: Path, fresh: Path
) -> None:
    """The first spanlore's store stands for the server: the same protocol, not our process."""
    secrets = json.loads((directory / "credentials.json").read_text())
    server = read_run_file(directory)
    assert server
    address = f"127.0.0.1:{server['store']['port']}"
    url = f"clickhouse://admin:{secrets['admin']['password']}@{address}/other"
    assert up(fresh, *FREE_PORTS, "--store-url", url).code == 0
    document = read_run_file(fresh)
    assert document
    assert document["store"] == {
        "pid": None,
        "url": f"clickhouse://{address}/other",
        "port": server["store"]["port"],
        "public_url": None,
    }
    ended = run_cli("sql", "--data-dir", fresh, "SELECT 1", env={"SPANLORE_STORE_URL": url})
    assert ended.code == 0, ended.err
    ended = run_cli("sql", "--data-dir", fresh, "SELECT 1")
    assert ended.code == 3
    assert "SPANLORE_STORE_URL" in ended.err


def test_killed_children_come_back_on_their_ports_with_their_data(fresh: Path) -> None:
    assert up(fresh).code == 0
    before = read_run_file(fresh)
    assert before
    assert (
        run_cli("sql", "--data-dir", fresh, "--write", "CREATE TABLE kept (n Int8) ENGINE Log").code
        == 0
    )
    for part in ("store", "collector", "review"):
        os.kill(before[part]["pid"], signal.SIGKILL)

    def all_are_new() -> dict[str, Any] | None:
        now = read_run_file(fresh)
        fresh_pids = now and not set(children_of(now)) & set(children_of(before))
        return now if fresh_pids else None

    after = wait_until(all_are_new, "new processes in run.json")
    assert after["store"]["port"] == before["store"]["port"]
    assert after["collector"]["http_port"] == before["collector"]["http_port"]
    assert after["review"]["port"] == before["review"]["port"]
    found = status(fresh)
    assert (found["store"]["problem"], found["collector"]["problem"]) == (None, None)
    assert run_cli("sql", "--data-dir", fresh, "SELECT count() FROM kept FORMAT TSV").out == "0\n"
    log = (fresh / "logs" / "up.log").read_text()
    died = r"^[\d-]+ [\d:]+ UTC the collector died \(exit code -9\); starting it again$"
    assert re.search(died, log, re.MULTILINE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_children_of_a_killed_supervisor_end_and_the_next_up_starts(fresh: Path) -> None:
    assert up(fresh).code == 0
    document = read_run_file(fresh)
    assert document
    os.kill(document["pid"], signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children_of(document))), "all gone")
    ended = run_cli("status", "--data-dir", fresh)
    assert ended.code == 3
    assert up(fresh).code == 0


def test_down_ends_every_process_and_says_when_there_is_none(tmp_path: Path) -> None:
    assert up(tmp_path).code == 0
    document = read_run_file(tmp_path)
    assert document
    ended = run_cli("down", "--data-dir", tmp_path)
    assert ended.code == 0
    assert not any(map(is_alive, children_of(document)))
    wait_until(lambda: not is_alive(document["pid"]), "the supervisor gone")
    assert read_run_file(tmp_path) is None
    again = run_cli("down", "--data-dir", tmp_path)
    assert again.code == 0
    assert f"nothing is running on {tmp_path}" in again.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_in_the_foreground_stops_in_order_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "spanlore.cli", "up", "--data-dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, *FREE_PORTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment({"PYTHONUNBUFFERED": "1"}),
    ) as process:
        assert process.stdout
        said = "".join(
            iter(process.stdout.readline, "Stop with Ctrl-C, or `spanlore down` from elsewhere.\n")
        )
        document = read_run_file(tmp_path)
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == 0
    assert "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" in said
    assert document
    assert not any(map(is_alive, children_of(document)))
    assert read_run_file(tmp_path) is None


def test_sql_answers_with_a_table_a_json_array_or_the_format_asked_for(directory: Path) -> None:
    query = "SELECT number AS n, NULL AS nothing, '\x1b[31mred' AS text FROM numbers(2)"
    table = run_cli("sql", "--data-dir", directory, query)
    assert "│ 1 │ –       │ red  │" in table.out
    rows = run_cli("sql", "--data-dir", directory, "--json", query)
    assert json.loads(rows.out)[1] == {"n": 1, "nothing": None, "text": "\x1b[31mred"}
    raw = run_cli("sql", "--data-dir", directory, "SELECT number FROM numbers(3) FORMAT CSV;")
    assert raw.out == "0\n1\n2\n"
    none = run_cli("sql", "--data-dir", directory, "--json", "SELECT 1 WHERE 0")
    assert json.loads(none.out) == []


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT * FROM nowhere", "SELECT throwIf(1)"])
def test_what_the_engine_says_against_a_statement_is_shown_and_is_exit_code_1(
    directory: Path, query: str
) -> None:
    ended = run_cli("sql", "--data-dir", directory, query)
    assert ended.code == 1
    assert ended.err.startswith("Error: Code: ")
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_sql_warns_when_a_table_is_cut_short(directory: Path) -> None:
    ended = run_cli("sql", "--data-dir", directory, "SELECT number FROM numbers(1001)")
    assert "only the first 1000 rows are shown" in ended.err
    assert "│ 999    │" in ended.out


@pytest.mark.slow
def test_what_was_dropped_is_said_and_made_anew_by_migrate_and_by_the_next_start(
    fresh: Path,
) -> None:
    drop = ("sql", "--data-dir", fresh, "--write", "DROP TABLE otel_traces SYNC")
    said = "the table otel_traces was missing and was made anew"
    assert up(fresh).code == 0
    assert run_cli(*drop).code == 0
    assert said in run_cli("migrate", "--data-dir", fresh).err
    assert run_cli(*drop).code == 0
    assert run_cli("down", "--data-dir", fresh).code == 0
    assert said in up(fresh).out


def test_migrate_has_nothing_left_to_do_after_up(directory: Path) -> None:
    ended = run_cli("migrate", "--data-dir", directory, "--json")
    assert json.loads(ended.out) == {"applied": []}


def test_the_collectors_own_door_needs_its_token(directory: Path) -> None:
    document = read_run_file(directory)
    assert document
    url = f"http://127.0.0.1:{document['collector']['http_port']}/status"
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(url), timeout=5)
    caught.value.close()
    assert caught.value.code in (401, 403)


def test_a_collector_that_refuses_everything_is_a_failing_part_wherever_it_is_looked_at(
    fresh: Path,
) -> None:
    told = up(fresh, *FREE_PORTS, "--disk-free-min", str(1 << 60))
    assert told.code == 0, told.err
    why = f"refuses everything: less than 1,099,511,627,776 MiB is free on the disk of {fresh}"
    assert why in told.out
    script = "from spanlore.instrumentation import run\nwith run('assistant'): pass"
    ran = run_cli("run", "--data-dir", fresh, "--", sys.executable, "-c", script)
    assert ran.code == 0, ran.err
    for command, code in (("status", 1), ("doctor", 3), ("ship", 3)):
        ended = run_cli(command, "--data-dir", fresh)
        assert ended.code == code, ended.err
        assert why in ended.out + ended.err
        assert "--disk-free-min" in ended.out + ended.err
