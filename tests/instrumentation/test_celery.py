"""A real Celery worker, whose processes are replaced while it works."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.instrumentation.traced import collector, environment, values
from tests.packages import python_with
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

JOBS = """
import os
from pathlib import Path

from celery import Celery

from spanlore.instrumentation import run, tool

folder = str(Path(__file__).parent / "queue")
app = Celery(broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "-control"
}

@tool
def step(number):
    return os.getpid()

@app.task
def work(number):
    with run("worker", task="jobs"):
        step(number)
"""
TASKS = 20
TASKS_A_CHILD = 3
DEADLINE_S = 120


def test_no_span_is_lost_of_a_worker_that_replaces_its_processes(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "queue").mkdir()
    program = Path(python_with(("celery>=5.5",), tmp_path)).parent
    worker = ["-A", "jobs", "worker", "--pool=prefork", "--concurrency=2"]
    traced = [str(program / "spanlore"), "run", "--service", "jobs", "--"]
    with collector() as there:
        env = environment({"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}, folder=tmp_path)
        process = subprocess.Popen(
            [
                *traced,
                str(program / "celery"),
                *worker,
                f"--max-tasks-per-child={TASKS_A_CHILD}",
                "--loglevel=ERROR",
            ],
            env=env,
            cwd=tmp_path,
        )
        try:
            send = f"import jobs\nfor number in range({TASKS}): jobs.work.delay(number)"
            subprocess.run([program / "python", "-c", send], env=env, cwd=tmp_path, check=True)
            # One of a task, and one of its tool.
            wait_until(lambda: len(there.spans()) >= 2 * TASKS, deadline_s=DEADLINE_S)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
    calls = [values(span.attributes) for span in there.spans() if span.name == "execute_tool step"]
    numbers = [json.loads(call["gen_ai.tool.call.arguments"])["number"] for call in calls]
    assert sorted(numbers) == list(range(TASKS))
    assert len(there.spans()) == 2 * TASKS
    assert len({call["gen_ai.tool.call.result"] for call in calls}) > TASKS // TASKS_A_CHILD
