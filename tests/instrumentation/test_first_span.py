"""A new user's way from `pip install` to the first run in `spanlore runs`, each step timed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.traced import environment

ROOT = Path(__file__).parents[2]
STEP_S_MAX = 900
SEEN_S_MAX = 30
PORTS = [f"--{door}-port=0" for door in ("store", "grpc", "http", "review")]

AGENT = """\
import openai
from spanlore.instrumentation import run

client = openai.OpenAI()
with run("assistant", user="ann"):
    answer = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "How is the weather?"}]
    )
print(answer.choices[0].message.content)
"""


class Steps:
    """Runs commands one after the other, and prints what each took."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._folder = folder
        self._env = env
        self.total_s = 0.0

    def take(self, title: str, *command: str, until: Callable[[str], bool] | None = None) -> str:
        """Run a command, where it is asked for again until it says what is waited for."""
        begun = time.monotonic()
        while True:
            ended = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                cwd=self._folder,
                env=self._env,
                timeout=STEP_S_MAX,
                stdin=subprocess.DEVNULL,
            )
            assert ended.returncode == 0, (title, ended.stdout, ended.stderr)
            if until is None or until(ended.stdout):
                break
            assert time.monotonic() - begun < SEEN_S_MAX, (title, ended.stdout)
        took = time.monotonic() - begun
        self.total_s += took
        print(f"{took:7.1f} s  {title}")
        return ended.stdout


def is_there(shown: str) -> bool:
    return [run["state"] for run in json.loads(shown)] == ["sealed"]


@contextmanager
def stopped_after(spanlore: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run([spanlore, "down"], check=True, cwd=folder, env=env, timeout=60)


def wheel(folder: Path) -> Path:
    """Return the distribution as it would be downloaded."""
    build = [sys.executable, "-m", "uv", "--no-config", "--quiet", "build", "--wheel"]
    build += ["--no-build-isolation", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
@pytest.mark.timeout(2_000)
def test_from_install_to_the_first_run_seen(tmp_path: Path) -> None:
    made = wheel(tmp_path / "dist")
    place = tmp_path / "new"
    spanlore, python = str(place / "bin" / "spanlore"), str(place / "bin" / "python")
    (tmp_path / "agent.py").write_text(AGENT)
    with scripted_models() as models:
        env = environment(models.environment(), folder=tmp_path)
        env["PATH"] = os.pathsep.join((str(place / "bin"), env["PATH"]))
        steps = Steps(tmp_path, env)
        print()
        steps.take("python -m venv", sys.executable, "-m", "venv", str(place))
        steps.take("pip install 'spanlore[all]'", python, "-m", "pip", "install", f"{made}[all]")
        with stopped_after(spanlore, tmp_path, env):
            steps.take("spanlore up --detach", spanlore, "up", "--detach", *PORTS)
            said = steps.take(
                "spanlore run -- python agent.py", spanlore, "run", "--", "python", "agent.py"
            )
            assert said == "It is sunny.\n"
            shown = steps.take("spanlore runs", spanlore, "runs", "--json", until=is_there)
            (run,) = json.loads(shown)
            assert (run["agent"], run["user"]) == ("assistant", "ann")
            assert (run["input_tokens"], run["output_tokens"]) == (11, 7)
    print(f"{steps.total_s:7.1f} s  in all")
