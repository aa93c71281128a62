"""`spanlore run`: a program in its own place, traced, with everything else its own."""

import ast
import json
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import metadata
from pathlib import Path

import pytest

from spanlore.cli.datadir import held, write_run_file
from spanlore.cli.run import fate_of_spans
from spanlore.instrumentation import import_hook
from spanlore.instrumentation.settings import Asked, settings
from spanlore.schemas import credentials
from tests.instrumentation.traced import Collector, collector, dead_url, environment, run_command

SPANLORE = (sys.executable, "-m", "spanlore.cli")
SITECUSTOMIZE = Path(import_hook.__file__).parent / "program" / "sitecustomize.py"
OLDER_PYTHONS = ("python3.10", "python3.9", "python3.8", "python3.7", "python3.6")
SHOW = """
import json, os, sys
names = ("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
         "SPANLORE_ENDPOINT", "SPANLORE_DELIVERY_URL", "PYTHONPATH")
print(json.dumps({name: os.environ.get(name) for name in names}))
"""
TRACED = """
from spanlore.instrumentation import run
with run("assistant"):
    pass
"""


@contextmanager
def running(folder: Path, *, grpc_port: int, http_port: int, review_port: int) -> Iterator[None]:
    """Leave the note that a running spanlore leaves."""
    folder.mkdir(mode=0o700)
    with held(folder):
        credentials.load_or_create(folder)
        note = {
            "store": {"pid": 1, "url": "clickhouse://127.0.0.1:1/spanlore"},
            "collector": {"pid": 1, "grpc_port": grpc_port, "http_port": http_port},
            "review": {"pid": 1, "port": review_port},
        }
        write_run_file(folder, note)
        yield


def shown(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    ended = run_command(
        *SPANLORE, "run", *options, "--", sys.executable, "-c", SHOW, env=env or {}, folder=folder
    )
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.out))


@pytest.fixture
def there() -> Iterator[Collector]:
    with collector() as opened:
        yield opened


def test_a_program_is_told_where_the_running_spanlore_is(tmp_path: Path) -> None:
    with running(tmp_path / "data", grpc_port=1, http_port=2, review_port=3):
        told = shown(tmp_path, "--data-dir", str(tmp_path / "data"), "--service", "calendar")
    assert told["OTEL_SERVICE_NAME"] == "calendar"
    assert told["SPANLORE_ENDPOINT"] == "http://127.0.0.1:2"
    # Exporters of the program's own go where they went.
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] is told["OTEL_EXPORTER_OTLP_PROTOCOL"] is None
    assert told["SPANLORE_DELIVERY_URL"] == "http://127.0.0.1:3"


def test_grpc_goes_to_the_grpc_door(tmp_path: Path) -> None:
    with running(tmp_path / "data", grpc_port=1, http_port=2, review_port=3):
        told = shown(
            tmp_path,
            "--data-dir",
            str(tmp_path / "data"),
            env={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        )
    assert told["SPANLORE_ENDPOINT"] == "http://127.0.0.1:1"


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4317",
        "SPANLORE_DELIVERY_URL": "http://elsewhere:4319",
        "OTEL_SERVICE_NAME": "mine",
        "PYTHONPATH": "/one:/two",
    }
    with running(tmp_path / "data", grpc_port=1, http_port=2, review_port=3):
        told = shown(tmp_path, "--data-dir", str(tmp_path / "data"), env=env)
    assert told["PYTHONPATH"].endswith("program:/one:/two")
    said = {name: value for name, value in told.items() if value is not None}
    assert {**said, "PYTHONPATH": "/one:/two"} == env


def test_where_nothing_runs_one_line_says_so_and_the_program_runs(tmp_path: Path) -> None:
    ended = run_command(
        *SPANLORE, "run", "--", sys.executable, "-c", "print(5)", env={}, folder=tmp_path
    )
    assert (ended.code, ended.out) == (0, "5\n")
    (line,) = ended.err.splitlines()
    assert line.startswith("spanlore run: no spanlore is running ")
    assert "start it: spanlore up" in line
    assert "not traced" not in line


def test_the_fate_of_spans_where_no_spanlore_runs_is_said_as_it_is(
    tmp_path: Path, there: Collector
) -> None:
    def fate(url: str, **more: str) -> str:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **more}
        return fate_of_spans(settings(env, Asked(), run_file=lambda: None), tmp_path)

    kept = f"kept in the journal ({tmp_path}/journal), and `spanlore ship` sends them"
    assert fate(dead_url()) == f"until then spans are {kept}"
    assert "spans are lost" in fate(dead_url(), SPANLORE_JOURNAL="off")
    assert (
        fate(there.url)
        == f"until then spans go to what listens on port {there.url.rpartition(':')[2]}"
    )


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """Make an environment without spanlore, as a project has where spanlore came by pipx."""
    place = tmp_path / "v"
    venv.create(place, symlinks=True)
    return str(place / "bin" / "python")


NOT_INSTALLED = (
    "spanlore run: not traced: spanlore is not installed for {python}; "
    "run: {python} -m pip install spanlore\n"
)


def test_a_python_without_spanlore_says_that_it_is_not_traced(
    tmp_path: Path, bare_python: str
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    program = "import sys; print(5); print('mine', file=sys.stderr); sys.exit(7)"
    ended = run_command(*SPANLORE, "run", bare_python, "-c", program, env=env, folder=tmp_path)
    assert (ended.code, ended.out) == (7, "5\n")
    assert ended.err == NOT_INSTALLED.format(python=bare_python) + "mine\n"


@pytest.mark.parametrize("is_parent_traced", [True, False])
def test_a_child_without_spanlore_says_it_once(
    tmp_path: Path, bare_python: str, is_parent_traced: bool
) -> None:
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(5)'])"
    parent = f"import subprocess; subprocess.run([{bare_python!r}, '-c', {grandchild!r}])"
    python = sys.executable if is_parent_traced else bare_python
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    ended = run_command(*SPANLORE, "run", python, "-c", parent, env=env, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "5\n")
    assert ended.err == NOT_INSTALLED.format(python=bare_python)


def test_what_a_program_reads_of_its_children_is_theirs_alone(
    tmp_path: Path, bare_python: str
) -> None:
    program = (
        "import subprocess; both = subprocess.STDOUT;"
        f"print(subprocess.check_output([{bare_python!r}, '-c', 'print(5)'], stderr=both))"
    )
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    ended = run_command(*SPANLORE, "run", sys.executable, "-c", program, env=env, folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, "b'5\\n'\n", "")


def test_a_broken_spanlore_is_told_from_a_missing_one(tmp_path: Path, bare_python: str) -> None:
    (tmp_path / "broken" / "spanlore").mkdir(parents=True)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(), "PYTHONPATH": str(tmp_path / "broken")}
    ended = run_command(*SPANLORE, "run", bare_python, "-c", "print(5)", env=env, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "5\n")
    assert ended.err == (
        f"spanlore run: not traced: spanlore cannot be imported by {bare_python}; "
        f"see why: {bare_python} -c 'import spanlore.auto'\n"
    )


def test_where_tracing_is_switched_off_nothing_is_said(tmp_path: Path, bare_python: str) -> None:
    env = {"SPANLORE_DISABLED": "true"}
    ended = run_command(*SPANLORE, "run", bare_python, "-c", "print(5)", env=env, folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, "5\n", "")


def test_a_python_too_old_can_read_what_tells_it_so() -> None:
    text = SITECUSTOMIZE.read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    unions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    assert not any(isinstance(node.op, ast.BitOr) for node in unions)  # `A | B` of types, run
    said = re.search(r"^_PYTHON_MIN = \((\d+), (\d+)\)$", text, re.MULTILINE)
    assert said
    assert metadata("spanlore")["Requires-Python"] == f">={said[1]}.{said[2]}"


def is_there(python: str) -> bool:
    """Say whether it runs; a version manager's stand-in for what is not there does not."""
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def test_a_python_too_old_is_told_so(tmp_path: Path) -> None:
    old = next(filter(is_there, OLDER_PYTHONS), None)
    if old is None:
        pytest.skip(f"none of {', '.join(OLDER_PYTHONS)} is here")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    ended = run_command(*SPANLORE, "run", old, "-c", "print(5)", env=env, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "5\n")
    (line,) = ended.err.splitlines()
    assert line.startswith("spanlore run: not traced: ")
    assert line.endswith("and spanlore needs 3.11")


@pytest.mark.parametrize("kind", ["script", "module", "console"])
def test_a_python_program_is_traced_however_it_is_started(
    kind: str, tmp_path: Path, there: Collector
) -> None:
    (tmp_path / "agent.py").write_text(TRACED)
    console = tmp_path / "agent"
    console.write_text(f"#!{sys.executable}\n{TRACED}")
    console.chmod(0o755)
    commands = {
        "script": (sys.executable, "agent.py"),
        "module": (sys.executable, "-m", "agent"),
        "console": (str(console),),
    }
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
    ended = run_command(*SPANLORE, "run", *commands[kind], env=env, folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert [span.name for span in there.spans()] == ["invoke_agent assistant"]


def test_python_children_are_traced_too(tmp_path: Path, there: Collector) -> None:
    (tmp_path / "agent.py").write_text(TRACED)
    parent = "import subprocess, sys; subprocess.run([sys.executable, 'agent.py'], check=True)"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
    ended = run_command(
        *SPANLORE, "run", "--", sys.executable, "-c", parent, env=env, folder=tmp_path
    )
    assert (ended.code, ended.err) == (0, "")
    assert [span.name for span in there.spans()] == ["invoke_agent assistant"]


def test_a_sitecustomize_that_is_shadowed_is_run(tmp_path: Path, there: Collector) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.shadowed = __name__")
    (tmp_path / "agent.py").write_text(f"{TRACED}\nprint(shadowed)\n")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "PYTHONPATH": str(tmp_path)}
    ended = run_command(*SPANLORE, "run", sys.executable, "agent.py", env=env, folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, "sitecustomize\n", "")
    assert len(there.spans()) == 1


def test_a_sitecustomize_that_fails_is_reported_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('theirs')")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(), "PYTHONPATH": str(tmp_path)}
    command = (sys.executable, "-c", "import sys; print(sys.path[1:2])")
    alone = run_command(*command, env=env, folder=tmp_path)
    traced = run_command(*SPANLORE, "run", "--", *command, env=env, folder=tmp_path)
    # Once by the Python that is `spanlore run`, once by the program.
    assert (traced.code, traced.out, traced.err) == (alone.code, alone.out, alone.err * 2)


def test_options_after_the_command_are_the_commands(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    show = "import sys; print(sys.argv[1:])"
    ended = run_command(
        *SPANLORE, "run", sys.executable, "-c", show, "--service", "x", "--help", "--", "-v",
        env=env, folder=tmp_path,
    )  # fmt: skip
    assert ended.out == "['--service', 'x', '--help', '--', '-v']\n"


@pytest.mark.parametrize(("mode", "code"), [(None, 127), (0o644, 126)])
def test_what_cannot_be_run_is_said_as_a_shell_does(
    mode: int | None, code: int, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    if mode is not None:
        program.write_text("")
        program.chmod(mode)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    ended = run_command(*SPANLORE, "run", "--", str(program), env=env, folder=tmp_path)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"spanlore run: {program}: ")
    assert len(ended.err.splitlines()) == 1


def test_the_program_takes_the_place_of_the_command(tmp_path: Path) -> None:
    env = environment({"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}, folder=tmp_path)
    show = "import os, signal, sys; print(os.getpid(), flush=True); signal.pause()"
    process = subprocess.Popen(
        [*SPANLORE, "run", "--", sys.executable, "-c", show],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert int(said.readline()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_a_broken_pipe_ends_a_program_as_it_would_without_us(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    shell = ("sh", "-c", "grep SigIgn /proc/self/status")
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    alone = run_command(*shell, env=env, folder=tmp_path)
    launched = run_command(*SPANLORE, "run", "--", *shell, env=env, folder=tmp_path)
    assert launched.out == alone.out
