"""The demo's agent at work: a scripted model server, and the agent's processes under `run`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spanlore.cli.connection import Running
from spanlore.cli.errors import CommandFailed
from spanlore.cli.signals import deferred

__all__ = ["model_server", "workday"]

# Two, because one would use one processor alone, and the model, the collector and the store want
# their share of the others.
_PROCESSES = 2
_WORK_S_MAX = 300.0
_STOP_S_MAX = 10.0
_SAID_CHARACTERS_MAX = 2000
_OURS = ("SPANLORE_", "OTEL_", "OPENAI_")


@contextmanager
def model_server(directory: Path, *, seed: int) -> Iterator[str]:
    """Start the scripted model on a free port and give the API's base URL; stop it in the end."""
    command = [sys.executable, "-m", "spanlore.demo.model_server", "--port", "0"]
    with _log(directory, "model") as log, ExitStack() as stack:
        with deferred():  # one that is started is known to us
            process = subprocess.Popen(
                [*command, "--seed", str(seed)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(_end, [process])
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise CommandFailed(f"the demo's model did not start: {_said(directory, 'model')}")
        yield f"http://127.0.0.1:{json.loads(line)['port']}/v1"


def workday(running: Running, tools: Path, *, model_url: str, phase: int, seed: int) -> None:
    """Have the agent serve all requests of a phase; return when its spans are on their way.

    ``tools`` is the file of its tool definitions. Raises CommandFailed when it does not get done.
    """
    directory, name = running.data_dir, f"agent-{phase}"
    environment = _environment(running, model_url)
    commands = [
        _command(tools, phase=phase, seed=seed, part=f"{part}/{_PROCESSES}")
        for part in range(_PROCESSES)
    ]
    started: list[subprocess.Popen[bytes]] = []
    with _log(directory, name) as log, ExitStack() as stack:
        stack.callback(_end, started)
        for command in commands:
            with deferred():
                started.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=environment,
                        start_new_session=True,
                    )
                )
        try:
            codes = [process.wait(_WORK_S_MAX) for process in started]
        except subprocess.TimeoutExpired as error:
            said = _said(directory, name)
            raise CommandFailed(f"the demo's agent took over {error.timeout} s: {said}") from error
    if any(codes):
        raise CommandFailed(f"the demo's agent ended with {codes}: {_said(directory, name)}")


def _command(tools: Path, *, phase: int, seed: int, part: str) -> list[str]:
    program = ["-m", "spanlore.demo.workday", "--phase", str(phase), "--seed", str(seed)]
    agent = [sys.executable, *program, "--tools", str(tools), "--part", part]
    return [sys.executable, "-m", "spanlore.cli", "run", "--", *agent]


def _environment(running: Running, model_url: str) -> dict[str, str]:
    """Name the spanlore and the model of the demo, and nothing of the user's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    loopback = "127.0.0.1,localhost"
    return kept | {
        "SPANLORE_DATA_DIR": str(running.data_dir),
        "SPANLORE_ENDPOINT": running.http_url,
        "SPANLORE_DELIVERY_URL": running.review_url,
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "none",
        "NO_PROXY": loopback,
        "no_proxy": loopback,
    }


@contextmanager
def _log(directory: Path, name: str) -> Iterator[int]:
    with _log_file(directory, name).open("ab") as file:
        yield file.fileno()


def _log_file(directory: Path, name: str) -> Path:
    return directory / "logs" / f"{name}.log"


def _said(directory: Path, name: str) -> str:
    """Return the end of what a process left in its log."""
    text = _log_file(directory, name).read_text(errors="replace").strip()
    return text[-_SAID_CHARACTERS_MAX:] or "it said nothing"


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Stop what still runs: ask first."""
    with deferred():
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
