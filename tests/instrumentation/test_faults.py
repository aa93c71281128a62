"""Every call inside our own code may raise: what the program sees stays as it was."""

import json
from pathlib import Path

import pytest

from tests.instrumentation.traced import dead_url, run_script

EACH_CALL_ONCE = 1
ALL_FAULTS = 10_000
# What one process does in well under a minute: each call once with two kinds of exception.
A_PROCESS = 500
# A minute and more where a machine is busy.
PROCESS_S_MAX = 600

SCRIPT = """
    import asyncio, itertools, json, sys
    import spanlore.instrumentation
    from spanlore.instrumentation import feedback, init, judge, lessons_for, override, run, tool

    FAULTS_MIN = int(sys.argv[1])
    OURS = spanlore.instrumentation.__path__[0]
    # Brackets: straight lines that hold the guards themselves and call nothing before them.
    BRACKETS = {
        ("quiet.py", "__enter__"), ("quiet.py", "__exit__"), ("agent_run.py", "__init__"),
        ("tool_call.py", "__init__"), ("tool_call.py", "__enter__"), ("tool_call.py", "__exit__"),
        ("tool_call.py", "call_now"), ("tool_call.py", "call_later"), ("outcome.py", "finish"),
        ("threads.py", "start_with_context"), ("threads.py", "submit_with_context"),
        ("sudden_end.py", "write_and_leave"), ("sudden_end.py", "on_sigterm"),
    }

    class OfTheProgram(Exception):
        pass

    GIVEN, RAISED = object(), OfTheProgram("of the program")

    @tool
    def gives(value, *, key="k"):
        return value

    @tool
    def fails():
        raise RAISED

    @tool
    async def gives_later(value):
        return value

    def program():
        seen = []
        with run("assistant", user="ann", segments={"zone": "utc"}) as current:
            seen.append(gives(GIVEN) is GIVEN)
            seen.append(asyncio.run(gives_later(GIVEN)) is GIVEN)
            try:
                fails()
            except OfTheProgram as error:
                seen.append(error is RAISED)
            judge("pass", score=1.0)
            feedback(score=1, comment="fine")
            override(field="/start", original="9", replacement="10")
            seen.append(lessons_for().text == "")
        try:
            with run("assistant"), run("inner"):
                raise RAISED
        except OfTheProgram as error:
            seen.append(error is RAISED)
        return seen

    def is_internal(frame):
        name = frame.f_code.co_filename
        if not name.startswith(OURS) or frame.f_back.f_code.co_filename == __file__:
            return False
        return (name.rpartition("/")[2], frame.f_code.co_name) not in BRACKETS

    class Fault:
        def __init__(self, at, error):
            self.left, self.error, self.where = at, error, None

        def __call__(self, frame, event, argument):
            if event == "call" and self.where is None and is_internal(frame):
                self.left -= 1
                if self.left == 0:
                    self.where = frame.f_code.co_filename, frame.f_code.co_qualname
                    raise self.error

    init()
    expected = program()
    assert all(expected), expected
    leaked, sites, count = [], set(), 0
    errors = RuntimeError("ours"), KeyError(1), MemoryError(), OSError(28, "x")
    for error in itertools.cycle(errors):
        if count >= FAULTS_MIN:
            break
        for at in itertools.count(1):
            fault = Fault(at, error)
            sys.setprofile(fault)
            try:
                seen = program()
            except BaseException as reached:
                seen = repr(reached)
            finally:
                sys.setprofile(None)
            if fault.where is None:
                break
            count += 1
            sites.add(fault.where)
            if seen != expected:
                leaked.append((fault.where[1], at, repr(seen)))
    sites = sorted(name for _, name in sites)
    print(json.dumps({"count": count, "leaked": leaked[:20], "sites": sites}))
"""


@pytest.mark.parametrize(
    "faults",
    [
        EACH_CALL_ONCE,
        pytest.param(ALL_FAULTS, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)]),
    ],
)
def test_no_fault_within_our_code_reaches_the_program(faults: int, tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url(), "SPANLORE_DELIVERY_URL": dead_url()}
    count = 0
    while count < faults:
        asked = str(min(faults, A_PROCESS))
        ended = run_script(SCRIPT, tmp_path, asked, env=env, timeout_s=PROCESS_S_MAX)
        assert ended.code == 0, ended.err
        told = json.loads(ended.out)
        assert told["leaked"] == []
        assert {"_Spans.on_start", "_Spans.on_end", "Outbox.put"} <= set(told["sites"])
        count += told["count"]
