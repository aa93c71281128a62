"""`spanlore import` as a user runs it: what it prints, where it sends, how it exits."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from spanlore.cli.datadir import held, write_run_file
from spanlore.cli.import_ import import_command
from spanlore.schemas import credentials
from tests.instrumentation.history_cases import attributes
from tests.instrumentation.otlp_receiver import asks_to_retry, collector_door, receiver
from tests.waiting import wait_until

# The example of the OpenTelemetry protocol's own repository (examples/trace.json), cut short.
TRACE = "5B8EFFF798038103D269B633813FC60C"
SPAN = {
    "traceId": TRACE,
    "spanId": "EEE19B7EC3C1B174",
    "parentSpanId": "EEE19B7EC3C1B173",
    "name": "I'm a server span",
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": "1544712661000000000",
    "kind": 2,
    "attributes": [
        {"key": "my.span.attr", "value": {"stringValue": "some value"}},
        {"key": "n", "value": {"intValue": "7"}},
    ],
}
RUN = {"run_id": "1", "messages": [{"role": "assistant", "content": "hi"}], "outcome": "pass"}


@pytest.fixture(autouse=True)
def _nothing_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path / "nothing"))
    for name in ("ENDPOINT", "HEADERS", "PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    monkeypatch.delenv("SPANLORE_STORE_URL", raising=False)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(RUN) + "\n")
    return path


def _import(*arguments: Any) -> Result:
    return CliRunner().invoke(import_command, [str(each) for each in arguments])


@contextmanager
def _running(data_dir: Path, *, grpc_address: str, http_url: str) -> Iterator[str]:
    """Leave the note a running spanlore leaves; yield its collector's token."""
    data_dir.mkdir(mode=0o700)
    with held(data_dir):
        token = credentials.load_or_create(data_dir).collector_token
        ports = {
            "grpc_port": int(grpc_address.rpartition(":")[2]),
            "http_port": urlsplit(http_url).port,
        }
        store = {"pid": 1, "url": "clickhouse://127.0.0.1:1/spanlore"}
        write_run_file(data_dir, {"store": store, "collector": {"pid": 1, **ports}})
        yield token


def test_runs_go_to_the_running_spanlore_and_are_waited_for(runs: Path, tmp_path: Path) -> None:
    done = b'{"loaded_seq": 1, "sealed_runs": 1}'
    with (
        receiver() as state,
        collector_door((200, done)) as (url, asked),
        _running(tmp_path / "data", grpc_address=state.address, http_url=url) as token,
    ):
        result = _import(runs, "--data-dir", tmp_path / "data", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["runs"], document["spans"], document["judgements"]) == (1, 2, 1)
    assert (document["bad_lines"], document["flushed"]) == ([], True)
    assert document["endpoint"] == state.address
    assert asked == [("/flush", f"Bearer {token}")]
    assert len(state.spans()) == 2


def test_a_flush_that_fails_is_exit_three_and_says_why(runs: Path, tmp_path: Path) -> None:
    with (
        receiver() as state,
        collector_door((504, b"")) as (url, _),
        _running(tmp_path / "data", grpc_address=state.address, http_url=url),
    ):
        result = _import(runs, "--data-dir", tmp_path / "data", "--json")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "the spans are safe in its log" in result.stderr


def test_a_named_endpoint_is_sent_to_and_not_waited_for(runs: Path) -> None:
    with receiver() as state:
        result = _import(runs, "--endpoint", f"http://{state.address}")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"1 runs (2 spans, 1 judgements) sent to {state.address} in ")
    assert 'read as trajectory (the first line has "run_id")' in result.stderr
    assert "not waited for" in result.stderr


def test_opentelemetrys_variable_names_an_endpoint(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as state:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{state.address}")
        assert _import(runs).exit_code == 0
        assert len(state.spans()) == 2


def test_a_bad_line_is_named_and_the_exit_code_is_one(runs: Path) -> None:
    runs.write_text(f"{json.dumps(RUN)}\nnot json\n")
    with receiver() as state:
        result = _import(runs, "--endpoint", state.address, "--json")
        assert len(state.spans()) == 2
    assert result.exit_code == 1
    (bad,) = json.loads(result.stdout)["bad_lines"]
    assert bad == {
        "file": str(runs),
        "line": 2,
        "error": "not JSON (Expecting value at column 1); correct or remove the line",
    }


def test_an_unknown_outcome_is_named_with_its_line_and_the_known_and_not_counted(
    runs: Path,
) -> None:
    lines = [
        RUN,
        *({**RUN, "run_id": word, "outcome": {"label": word}} for word in ("error", "meh")),
    ]
    runs.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with receiver() as state:
        result = _import(runs, "--endpoint", state.address)
        document = json.loads(_import(runs, "--endpoint", state.address, "--json").stdout)
    assert result.exit_code == 0
    assert result.stdout.startswith("3 runs (6 spans, 1 judgements)")
    assert f'{runs}:2: the outcome "error" is not known, so the run is not judged' in result.stderr
    assert "write one of pass, passed, success" in result.stderr
    assert [(one["line"], one["file"]) for one in document["remarks"]] == [
        (2, str(runs)),
        (3, str(runs)),
    ]


def test_a_pattern_a_shell_left_alone_is_expanded(runs: Path) -> None:
    with receiver() as state:
        assert _import(runs.with_name("*.jsonl"), "--endpoint", state.address).exit_code == 0
        assert len(state.spans()) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "Missing argument"),
        (("nowhere-*.jsonl",), "no file matches nowhere-*.jsonl"),
        ((".",), "is a directory; name files"),
        (("runs.jsonl", "--format", "atif"), "'trajectory', 'openai', 'otlp-json'"),
        (("runs.jsonl", "--endpoint", "ftp://host"), "write http://host:4317"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    runs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(runs.parent)
    result = _import(*arguments)
    assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr


def test_nothing_running_is_exit_three_with_the_next_step(runs: Path, tmp_path: Path) -> None:
    result = _import(runs, "--data-dir", tmp_path / "nothing")
    assert result.exit_code == 3
    assert "start it: spanlore up" in result.stderr


def test_nothing_answering_is_exit_three_with_the_next_step(runs: Path) -> None:
    result = _import(runs, "--endpoint", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "nothing answers at 127.0.0.1:1; start it: spanlore up --detach" in result.stderr
    assert "(0 runs were sent)" in result.stderr


def test_requests_that_the_collectors_file_exporter_wrote_are_sent_as_they_are(
    runs: Path,
) -> None:
    judged = {"eventName": "gen_ai.evaluation.result", "traceId": TRACE, "body": {}}
    written = [
        {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "a"}, "spans": [SPAN]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, "spanId": "e" * 16}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [judged, {"body": {}}]}]}]},
        {"resourceMetrics": []},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, "traceId": "nothing"}]}]}]},
    ]
    deep = '{"resourceSpans": ' + "[" * 900 + "]" * 900 + "}"
    runs.write_text("".join(f"{json.dumps(line)}\n" for line in written) + deep)
    with receiver() as state:
        result = _import(runs, "--endpoint", state.address)
        first, second = state.spans()
        records = state.judgements()
    assert (first.trace_id.hex(), first.span_id.hex()) == (TRACE.lower(), "eee19b7ec3c1b174")
    assert (first.kind, first.end_time_unix_nano) == (2, 1544712661000000000)
    assert attributes(first) == {"my.span.attr": "some value", "n": 7}
    assert (second.trace_id, second.span_id) == (first.trace_id, b"\xee" * 8)
    assert [one.event_name for one in records] == ["gen_ai.evaluation.result", ""]
    assert result.exit_code == 1
    assert result.stdout.startswith("1 runs (2 spans, 1 judgements) sent")
    assert 'read as otlp-json (the first line has "resourceSpans")' in result.stderr
    assert f"{runs}:4: no request of spans or log records" in result.stderr
    assert f"{runs}:5: the traceId 'nothing' is not hex; correct or remove" in result.stderr
    assert f"{runs}:6: " in result.stderr


@pytest.mark.parametrize("name", ["trajectory", "openai"])
def test_a_format_is_named_as_the_help_names_it(runs: Path, name: str) -> None:
    if name == "openai":
        runs.write_text(json.dumps({"messages": RUN["messages"]}) + "\n")
    with receiver() as state:
        result = _import(runs, "--endpoint", state.address, "--format", name)
    assert result.exit_code == 0, result.stderr


def test_an_interrupted_import_ends_soon_though_the_receiver_takes_nothing(
    tmp_path: Path,
) -> None:
    lines = (json.dumps({**RUN, "run_id": str(number)}) for number in range(5_000))
    (tmp_path / "runs.jsonl").write_text("\n".join(lines))
    with receiver() as state:
        state.failures = [asks_to_retry(after_ms=900)] * 1_000
        command = [sys.executable, "-m", "spanlore.cli", "import", str(tmp_path / "runs.jsonl")]
        process = subprocess.Popen([*command, "--endpoint", state.address], stderr=subprocess.PIPE)
        wait_until(lambda: bool(state.metadata))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, b"Aborted" in said) == (1, True)
    assert not state.traces
