"""Whatever the helpers are given, the program goes on as if they were not there."""

import asyncio
import inspect
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from spanlore.instrumentation import content, run, tool
from tests.instrumentation.traced import collector, run_script, values


class Awkward:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_tool_returns_the_very_object() -> None:
    marker = Awkward()

    @tool
    def give(value: Awkward) -> Awkward:
        return value

    @tool
    async def give_later(value: Awkward) -> Awkward:
        return value

    assert give(marker) is marker
    assert asyncio.run(give_later(marker)) is marker


def test_a_class_is_left_as_it_is() -> None:
    class Thing:
        """A class."""

    assert tool(Thing) is Thing


def test_a_tool_looks_like_the_function_it_stands_for() -> None:
    def create_event(title: str, *, start: str = "09:00") -> None:
        """Create an event."""

    traced = tool(create_event)
    assert inspect.signature(traced) == inspect.signature(create_event)
    assert (traced.__name__, traced.__doc__) == ("create_event", "Create an event.")


def test_an_exception_passes_through_a_run_and_a_tool_as_the_same_object() -> None:
    error = ValueError("of the app")

    @tool
    def fails() -> None:
        raise error

    with pytest.raises(ValueError, match="of the app") as caught, run("assistant"):
        fails()
    assert caught.value is error


HARD_VALUES: list[Any] = [
    None,
    float("nan"),
    10**10_000,
    "\ud800",
    b"\xff" * 1_000,
    {"a": {1: {2: Awkward()}}},
    [[[[]]]] * 3,
    {Awkward},
    Path("/tmp"),  # noqa: S108
    object(),
    iter([1]),
    "x" * 10_000_000,
    list(range(1_000_000)),
]


@pytest.mark.parametrize("value", HARD_VALUES, ids=lambda value: type(value).__name__)
def test_any_value_becomes_bounded_json(value: Any) -> None:
    text = content.json_text(value)
    json.loads(text)
    assert len(text) <= 2 * content.CHARACTERS_MAX
    text.encode()


def test_a_value_that_holds_itself_becomes_bounded_json() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    json.loads(content.json_text(value))


ROBUST = """
    import spanlore.auto
    from spanlore.instrumentation import feedback, judge, override, run, tool
    from spanlore.instrumentation import agent_run, pipeline, tool_call

    class Awkward(Exception):
        def __str__(self):
            raise RuntimeError
        __repr__ = __str__

    @tool
    def take(value):
        return value

    @tool
    def fails():
        raise Awkward

    for value in (Awkward(), object(), "\\ud800", 10 ** 5000, "x" * 6_000_000, lambda: 1):
        with run(agent="assistant", user=5, segments={"a": object()}):
            assert take(value) is value
            override(field=3, original=value, replacement=value)
            try:
                fails()
            except Awkward:
                pass
    judge("great")
    judge("pass", score=7)
    judge("pass", trace_id="abc")
    judge("pass")
    feedback()
    feedback(score=float("nan"))
    override(target="nothing", field="/", original=1, replacement=2)
    print("survived")
"""


def test_a_hostile_value_costs_at_most_itself(tmp_path: Path) -> None:
    with collector() as there:
        ended = run_script(ROBUST, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.out) == (0, "survived\n"), ended.err
        names = [span.name for span in there.spans()]
        assert names.count("invoke_agent assistant") == 6
        assert names.count("execute_tool fails") == names.count("execute_tool take") == 6
        assert {values(s.attributes)["user.id"] for s in there.spans()} == {"5"}
        assert len(there.events("spanlore.override")) == 6


def test_a_call_that_cannot_be_meant_is_a_warning_once(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import feedback, judge, override
        for _ in range(3):
            judge("great")
            judge("pass", score=7)
            judge("pass", trace_id="abc")
            judge("pass")
            feedback()
            override(target="nothing", field="/", original=1, replacement=2)
    """
    ended = run_script(script, tmp_path, env={})
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        "judge: the verdict is 'great'; say 'pass' or 'fail'. Not sent.",
        "judge: the score is 7; it must be a number from 0 to 1. Not sent.",
        "judge: 'abc' is no trace id of 32 hexadecimal digits. Not sent.",
        "judge: no run is going on here; call it inside run() or name a trace_id.",
        "feedback: neither score nor label nor comment is given. Not sent.",
        "override: the target is 'nothing'; say one of tool_argument, output, plan. Not sent.",
    ]


def test_where_nothing_is_traced_the_helpers_do_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), run("assistant", user="ann") as current:
        assert tool(lambda: 5)() == 5
    assert (current.trace_id, current.span_id) == ("0" * 32, "0" * 16)
    assert caplog.records == []


def test_a_worker_that_outlives_a_run_does_not_belong_to_it(tmp_path: Path) -> None:
    script = """
        import queue, threading
        import spanlore.auto
        from spanlore.instrumentation import run

        work = queue.Queue()

        def serve():
            for user in iter(work.get, None):
                with run("later", user=user):
                    pass

        with run("first", user="ann"):
            worker = threading.Thread(target=serve)
            worker.start()
        for user in ("", "bob", None):
            work.put(user)
        worker.join()
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        later = [span for span in there.spans() if span.name == "invoke_agent later"]
    assert [values(span.attributes).get("user.id") for span in later] == [None, "bob"]
    assert not any(span.parent_span_id for span in later)


def test_a_pool_serves_each_caller_in_the_callers_own_run(tmp_path: Path) -> None:
    script = """
        from concurrent.futures import ThreadPoolExecutor
        import spanlore.auto
        from spanlore.instrumentation import run, tool

        @tool
        def step():
            pass

        pool = ThreadPoolExecutor(1)
        for user in ("ann", "bob"):
            with run("assistant", user=user):
                pool.submit(step).result()
        pool.submit(step).result()
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        steps = [span for span in there.spans() if span.name == "execute_tool step"]
    assert [values(span.attributes).get("user.id") for span in steps] == ["ann", "bob", None]
