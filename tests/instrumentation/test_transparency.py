"""A traced program says and does what it would untraced, whatever becomes of its spans."""

import re
import sys
from pathlib import Path

import pytest

from tests.instrumentation.fake_openai import environment, fake_openai
from tests.instrumentation.traced import (
    Ended,
    black_hole,
    collector,
    dead_url,
    run_script,
    values,
)

RUN = (sys.executable, "-m", "spanlore.cli", "run", "--")

# {asks}: what it asks a model, {ends}: how it comes to its end.
AGENT = """
    import logging, sys
    from spanlore.instrumentation import judge, lessons_for, run, tool

    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")

    @tool
    def create_event(title, start):
        print("booking", title, start, file=sys.stderr)
        return {{"title": title}}

    with run("assistant", user="ann", tenant="acme"):
        lessons_for()
        said = {asks}
        create_event(said, start="9")
        judge("pass")
    print(said)
    logging.info("done")
    {ends}
"""

ASKS = (
    "__import__('openai').OpenAI().chat.completions.create("
    "model='m', messages=[{'role': 'user', 'content': 'hello'}]).choices[0].message.content"
)
# The SDK logs times and headers, which are never the same.
QUIETER = """
    for noisy in ("httpcore", "httpx", "httpcore2", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
"""

ENDINGS = {
    "exit": "sys.exit(7)",
    "exception": "raise ValueError('of the app')",
    "in_a_tool": "create_event(1)",
    "in_a_run": "with run('inner'):\n        {}['missing']",
    "in_a_thread": (
        "import threading\n"
        "    with run('outer'):\n"
        "        thread = threading.Thread(target=lambda: 1 / 0, name='worker')\n"
        "        thread.start(); thread.join()"
    ),
    "in_a_pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "    with run('outer'), ThreadPoolExecutor(1) as pool:\n"
        "        pool.submit(lambda: 1 / 0).result()"
    ),
    "killed": "import os, signal; sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM)",
}


def _same(ended: Ended) -> tuple[int, str, str]:
    return ended.code, ended.out, re.sub(r"0x[0-9a-f]+", "0x", ended.err)


def test_an_agent_on_a_real_sdk_is_the_same_on_off_and_without_a_collector(
    tmp_path: Path,
) -> None:
    script = AGENT.replace("    @tool", f"{QUIETER}\n    @tool", 1)
    script = script.format(asks=ASKS, ends="sys.exit(7)")
    with fake_openai() as model, collector() as there:
        env = environment(model)
        off, on, dead = (
            run_script(script, tmp_path, env={**env, **point}, launch=launch)
            for point, launch in (
                ({}, ()),
                ({"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}, RUN),
                ({"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}, RUN),
            )
        )
    assert (off.code, off.out) == (7, "It is booked.\n")
    assert _same(on) == _same(off)
    assert _same(dead) == _same(off)
    assert {span.name for span in there.spans()} == {
        "chat m",
        "execute_tool create_event",
        "invoke_agent assistant",
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_a_program_ends_it_ends_as_it_would_untraced(ending: str, tmp_path: Path) -> None:
    script = AGENT.format(asks="'hello'", ends=ENDINGS[ending])
    with collector() as there:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        off = run_script(script, tmp_path, env={})
        on = run_script(script, tmp_path, env=env, launch=RUN)
    assert _same(on) == _same(off)
    expected = {"exit": 7, "killed": -15, "in_a_thread": 0}
    assert off.code == expected.get(ending, 1)
    if ending != "killed":
        assert "invoke_agent assistant" in {span.name for span in there.spans()}


SPANS = """
    import time
    import spanlore.auto
    from spanlore.instrumentation import run
    for _ in range(10):
        with run("assistant"):
            pass
    begun = time.monotonic()
    import atexit
    print("leaves")
"""


def test_a_collector_that_takes_connections_and_never_answers_is_left_at_the_exit(
    tmp_path: Path,
) -> None:
    with black_hole() as url:
        alone = run_script(SPANS.replace("import spanlore.auto", ""), tmp_path, env={})
        held = run_script(SPANS, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert (held.code, held.out, held.err) == (0, "leaves\n", "")
    print(f"exit delayed by {held.seconds - alone.seconds:.2f} s")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_collector_is_not_noticed(protocol: str, tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    ended = run_script(SPANS, tmp_path, env=env)
    assert (ended.code, ended.out, ended.err) == (0, "leaves\n", "")


def test_a_burst_of_thousands_of_spans_arrives_whole(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import run, tool

        @tool
        def step(number):
            return number

        with run("assistant"):
            for number in range(8000):
                step(number)
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        assert len(there.spans()) == 8001


def test_a_forked_child_sends_its_own_spans_and_none_of_its_parents(tmp_path: Path) -> None:
    script = """
        import os
        import spanlore.auto
        from spanlore.instrumentation import run, init
        from spanlore.instrumentation.switch import pipeline

        with run("before"):
            pass
        child = os.fork()
        with run("child" if child == 0 else "parent"):
            pass
        if child == 0:
            pipeline().stop()
            os._exit(0)
        os.waitpid(child, 0)
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        names = sorted(span.name for span in there.spans())
    assert names == ["invoke_agent before", "invoke_agent child", "invoke_agent parent"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["process", "pool"])
def test_a_worker_process_sends_all_its_spans(method: str, kind: str, tmp_path: Path) -> None:
    script = """
        import sys
        import spanlore.auto
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from spanlore.instrumentation import run

        def work():
            with run("worker"):
                pass

        if __name__ == "__main__":
            with run("main"):
                pass
            context = multiprocessing.get_context(sys.argv[1])
            if sys.argv[2] == "process":
                process = context.Process(target=work)
                process.start()
                process.join()
            else:
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    pool.submit(work).result()
    """
    with collector() as there:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_script(script, tmp_path, method, kind, env=env)
        assert (ended.code, ended.err) == (0, "")
        assert sorted(s.name for s in there.spans()) == ["invoke_agent main", "invoke_agent worker"]


def test_text_that_cannot_be_encoded_costs_only_itself(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from opentelemetry import trace
        from spanlore.instrumentation import run
        with run("assistant"), trace.get_tracer("app").start_as_current_span("cut") as span:
            span.set_attribute("text", "half an emoji \\ud83d")
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        assert values(there.named("cut").attributes)["text"] == "half an emoji ?"


def test_a_collector_that_is_busy_gets_the_spans_later(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import run
        from spanlore.instrumentation.switch import pipeline
        with run("assistant"):
            pass
        print(pipeline().outbox.flush(30))
    """
    with collector() as there:
        there.statuses = [503, 429]
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.out, ended.err) == ("True\n", "")
        assert [span.name for span in there.spans()] == ["invoke_agent assistant"]
