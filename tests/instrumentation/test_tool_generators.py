"""A generator that is a tool: traced from its first step to its end, and otherwise itself."""

import asyncio
import gc
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from spanlore.instrumentation import content, tool
from tests.instrumentation.traced import Collector, collector, run_script, values

IMPORTS = """
import asyncio, gc
import spanlore.auto
from opentelemetry import trace
from spanlore.instrumentation import run, tool
from spanlore.instrumentation.quiet import faults

def mark(name):
    trace.get_tracer("app").start_span(name).end()
"""


def traced(script: str, folder: Path, **env: str) -> Collector:
    with collector() as there:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = there.url
        checks = "\nassert not faults, faults\n"
        ended = run_script(f"{IMPORTS}{script}{checks}", folder, env=env)
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    return there


def parents(there: Collector) -> dict[str, str]:
    names = {span.span_id: span.name for span in there.spans()}
    return {span.name: names.get(span.parent_span_id, "") for span in there.spans()}


STEPS = """
@tool
def count(n):
    for number in range(n):
        mark(f"inside {number}")
        yield number
    mark("inside, last")

with run("assistant"):
    for number in count(2):
        mark(f"outside {number}")
mark("after")
"""
ASYNC_STEPS = """
@tool
async def count(n):
    for number in range(n):
        await asyncio.sleep(0)
        mark(f"inside {number}")
        yield number
    mark("inside, last")

async def agent():
    with run("assistant"):
        async for number in count(2):
            mark(f"outside {number}")

asyncio.run(agent())
mark("after")
"""


@pytest.mark.parametrize(
    ("script", "content"),
    [(STEPS, {"arguments": '{"n":2}', "result": "[0,1]"}), (ASYNC_STEPS, None)],
    ids=["plain", "async, content off"],
)
def test_a_generator_is_current_in_its_own_code_alone(
    script: str, content: dict[str, str] | None, tmp_path: Path
) -> None:
    there = traced(script, tmp_path, SPANLORE_CAPTURE_CONTENT=str(content is not None))
    tool_call, run = "execute_tool count", "invoke_agent assistant"
    inside = dict.fromkeys(("inside 0", "inside 1", "inside, last"), tool_call)
    outside = dict.fromkeys(("outside 0", "outside 1", tool_call), run)
    assert parents(there) == {**inside, **outside, run: "", "after": ""}
    call, first, last = map(there.named, (tool_call, "inside 0", "inside, last"))
    assert call.start_time_unix_nano <= first.start_time_unix_nano
    assert call.end_time_unix_nano >= last.end_time_unix_nano
    recorded = {
        key.removeprefix("gen_ai.tool.call."): value
        for key, value in values(call.attributes).items()
        if key.startswith("gen_ai.tool.call.")
    }
    assert recorded == (content or {})


def test_what_a_generator_opens_around_its_steps_is_current_in_them_alone(tmp_path: Path) -> None:
    script = """
@tool
def search():
    with run("searcher"), trace.get_tracer("app").start_as_current_span("page"):
        yield 1
        mark("inside")
        yield 2
    mark("inside, last")

with run("assistant"):
    for _ in search():
        mark("outside")
    mark("after")
"""
    assert parents(traced(script, tmp_path)) == {
        "invoke_agent assistant": "",
        "execute_tool search": "invoke_agent assistant",
        "invoke_agent searcher": "execute_tool search",
        "page": "invoke_agent searcher",
        "inside": "page",
        "inside, last": "execute_tool search",
        "outside": "invoke_agent assistant",
        "after": "invoke_agent assistant",
    }


ENDS = """
@tool
def count(way):
    try:
        yield 1
        yield 2
        raise LookupError(way)
    finally:
        mark("closing " + way)

@tool
async def count_later(way):
    try:
        yield 1
        yield 2
        raise LookupError(way)
    finally:
        await asyncio.sleep(0)
        mark("closing " + way)

def fail():
    try:
        list(count("error"))
    except LookupError:
        pass

async def later():
    one = count_later("aclose")
    await anext(one)
    await one.aclose()
    async for _ in count_later("async break"):
        break
    gc.collect()
    await asyncio.sleep(0.01)
    left = count_later("end of the loop")
    await anext(left)
    return left

with run("assistant"):
    one = count("close")
    next(one)
    one.close()
    for _ in count("break"):
        break
    fail()
    left = asyncio.run(later())
    count("never begun")
"""


def test_however_a_generator_ends_its_span_ends_as_it_did(tmp_path: Path) -> None:
    there = traced(ENDS, tmp_path)
    calls = [span for span in there.spans() if span.name.startswith("execute_tool")]
    ended = {
        json.loads(values(span.attributes)["gen_ai.tool.call.arguments"])["way"]: (
            values(span.attributes)["gen_ai.tool.call.result"],
            values(span.attributes).get("error.type"),
        )
        for span in calls
    }
    early = dict.fromkeys(("close", "break", "aclose", "async break", "end of the loop"), "[1]")
    assert ended == {
        **{way: (result, None) for way, result in early.items()},
        "error": ("[1,2]", "LookupError"),
    }
    calls_by_id = {span.span_id: span.name for span in calls}
    closing = [span for span in there.spans() if span.name.startswith("closing")]
    assert len(closing) == len(calls) == 6
    assert all(span.parent_span_id in calls_by_id for span in closing)


def test_a_list_that_comes_item_by_item_is_written_bounded_and_as_it_came() -> None:
    seen = content.ListText()
    changed = {"at": 1}
    seen.add(changed)
    changed["at"] = 2
    assert content.plain_text(seen) == '[{"at":1}]'
    for _ in range(1_000):
        seen.add("x" * 1_000)
    text = content.plain_text(seen)
    assert len(text) <= 2 * content.CHARACTERS_MAX
    assert json.loads(text)[-1].endswith(" more")


def conversation() -> Generator[Any, Any, Any]:
    """Talk."""
    said: list[Any] = []
    while True:
        try:
            heard = yield len(said)
        except LookupError as error:
            heard = error
        if heard == "end":
            return said
        said.append(heard)


async def async_conversation() -> AsyncGenerator[Any, Any]:
    """Talk."""
    said: list[Any] = []
    while True:
        try:
            heard = yield said
        except LookupError as error:
            heard = error
        if heard == "end":
            return
        said.append(heard)


def stubborn() -> Generator[int, Any, Any]:
    try:
        yield 1
    except GeneratorExit:
        yield 2


@pytest.mark.parametrize("is_traced", [False, True])
def test_what_is_sent_and_thrown_into_a_generator_reaches_it(is_traced: bool) -> None:
    made = tool(conversation) if is_traced else conversation
    talk = made()
    error = LookupError("thrown")
    assert [next(talk), talk.send("a"), talk.throw(error)] == [0, 1, 2]
    with pytest.raises(StopIteration) as ended:
        talk.send("end")
    assert ended.value.value == ["a", error]
    left = made()
    next(left)
    unheard = ValueError("not caught")
    with pytest.raises(ValueError, match="not caught") as caught:
        left.throw(unheard)
    assert caught.value is unheard
    with pytest.raises(StopIteration):
        next(left)


@pytest.mark.parametrize("is_traced", [False, True])
def test_what_is_sent_and_thrown_into_an_async_generator_reaches_it(is_traced: bool) -> None:
    made = tool(async_conversation) if is_traced else async_conversation
    error = LookupError("thrown")

    async def talk() -> None:
        one = made()
        said = await anext(one)
        await one.asend("a")
        assert await one.athrow(error) is said
        assert said == ["a", error]
        with pytest.raises(StopAsyncIteration):
            await one.asend("end")
        other = made()
        await anext(other)
        unheard = ValueError("not caught")
        with pytest.raises(ValueError, match="not caught") as caught:
            await other.athrow(unheard)
        assert caught.value is unheard

    asyncio.run(talk())


@pytest.mark.parametrize("is_traced", [False, True])
def test_a_generator_that_does_not_end_when_closed_says_so(is_traced: bool) -> None:
    one = (tool(stubborn) if is_traced else stubborn)()
    next(one)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        one.close()
    assert list(one) == []


def test_a_loop_that_ends_closes_an_async_generator_once_and_quietly() -> None:
    closed = []
    complaints = []

    @tool
    async def stream() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    left = stream()

    async def begin() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, said: complaints.append(said["message"])
        )
        await anext(left)

    asyncio.run(begin())
    assert (closed, complaints) == (["closed"], [])


@pytest.mark.parametrize("function", [conversation, async_conversation])
def test_a_generator_that_is_a_tool_is_seen_as_what_it_is(function: Callable[..., Any]) -> None:
    made = tool(function)
    for asked in (
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.iscoroutinefunction,
        inspect.signature,
        inspect.getdoc,
    ):
        assert asked(made) == asked(function), asked.__name__
    assert inspect.isgenerator(made()) == inspect.isgenerator(function())
    assert inspect.isasyncgen(made()) == inspect.isasyncgen(function())


class Held(LookupError):
    """What can be looked for."""


@tool
def gives_and_catches() -> Generator[Held | None, None, None]:
    with suppress(Held):
        yield Held()
    yield None


@tool
async def gives_and_catches_later() -> AsyncGenerator[Held | None, None]:
    with suppress(Held):
        yield Held()
    yield None


def test_neither_what_was_yielded_nor_what_was_thrown_in_is_held() -> None:
    def held() -> int:
        # Not isinstance: it asks every object of the process what its class is, for seconds.
        return sum(type(each) is Held for each in gc.get_objects())

    async def later() -> list[int]:
        two = gives_and_catches_later()
        await anext(two)
        seen = [held()]
        await two.athrow(Held())
        gc.collect()
        seen.append(held())
        await two.aclose()
        return seen

    one = gives_and_catches()
    next(one)
    assert held() == 0
    one.throw(Held())
    gc.collect()
    assert held() == 0
    one.close()
    assert asyncio.run(later()) == [0, 0]
