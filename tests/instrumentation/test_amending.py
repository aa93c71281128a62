"""How a library's function is amended: once, and so that its callers are never harmed."""

import asyncio
import inspect
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.genai.handler import TelemetryHandler

from spanlore.instrumentation.late_provider import LateTracerProvider
from spanlore.instrumentation.native.untold import UntellingTracer, Untold
from spanlore.instrumentation.quiet import faults
from spanlore.instrumentation.recovery.amending import after, around, before
from spanlore.instrumentation.wrapping.bracket import Bracket


class OfTheLibrary(Exception):
    """What the library itself raises."""


@pytest.fixture
def library() -> Any:
    class Library:
        def double(self, number: int) -> int:
            return 2 * number

        async def later(self, given: object) -> object:
            if isinstance(given, Exception):
                raise given
            return given

        @classmethod
        def named(cls, name: str) -> str:
            return f"{cls.__name__} {name}"

    faults.clear()  # they are the process's: other tests' faults are not ours
    return Library


async def told_of(library: Any, given: Exception) -> BaseException:
    with pytest.raises(OfTheLibrary) as raised:
        await library().later(given)
    return raised.value


def _fail(*_: Any) -> None:
    raise ValueError


def test_an_amendment_is_made_once(library: Any) -> None:
    for _ in range(3):
        after(library, "double", lambda result, *_: result + 1)
    assert library().double(4) == 9


def test_an_amendment_that_fails_leaves_the_librarys_own_result(library: Any) -> None:
    after(library, "double", lambda result, *_: result / 0)
    before(library, "named", _fail)
    assert library().double(4) == 8
    assert library.named("x") == "Library x"
    assert len(faults) == 2


def test_a_coroutine_function_stays_one_and_gives_and_raises_what_it_did(library: Any) -> None:
    signature, given, error = inspect.signature(library.later), object(), OfTheLibrary()
    brackets = [Noting(), Noting()]
    around(library, "later", lambda *_: brackets.pop(0) if brackets else _fail())
    first, second = brackets
    assert inspect.iscoroutinefunction(library.later)
    assert inspect.signature(library.later) == signature
    assert asyncio.run(library().later(given)) is given
    assert asyncio.run(told_of(library, error)) is error
    assert (first.result, first.failed, second.failed) == (given, False, True)
    assert asyncio.run(library().later(given)) is given
    assert len(faults) == 1


def test_a_fault_in_reading_an_answer_ends_its_span_and_stays_here(library: Any) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    handler = TelemetryHandler(tracer_provider=provider)
    around(library, "double", lambda *_: Bracket(handler.workflow(name="w"), _fail))
    assert library().double(4) == 8
    assert [span.name for span in spans.get_finished_spans()] == ["invoke_workflow w"]
    assert len(faults) == 1


def test_where_other_spans_tell_it_a_library_begins_none(library: Any) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = UntellingTracer(provider.get_tracer("t"))
    with tracer.start_as_current_span("around") as outer:

        class Told(library):  # type: ignore[misc]  # made by the fixture
            def double(self, number: int) -> int:
                with tracer.start_as_current_span("again") as span:
                    assert span.get_span_context() == outer.get_span_context()
                return number

        around(Told, "double", lambda *_: Untold())
        assert Told().double(4) == 4
        with tracer.start_as_current_span("after"):
            pass
    assert [span.name for span in spans.get_finished_spans()] == ["after", "around"]


class Noting:
    """Notes what happened within it."""

    result: object = None

    def __init__(self) -> None:
        self.failed: bool | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.failed = error is not None


def test_a_bracket_sees_the_result_and_lets_an_exception_through(library: Any) -> None:
    brackets: list[Noting] = []

    def bracket(*_: Any) -> Noting:
        brackets.append(Noting())
        return brackets[-1]

    around(library, "double", bracket)
    assert library().double(4) == 8
    with pytest.raises(TypeError):
        library().double(None)
    assert [(each.result, each.failed) for each in brackets] == [(8, False), (None, True)]


def test_a_bracket_that_fails_is_none(library: Any) -> None:
    around(library, "double", _fail)
    assert library().double(4) == 8


def test_what_a_version_does_not_have_is_not_amended(library: Any) -> None:
    before(library, "nothing_of_the_kind", print)
    assert not hasattr(library, "nothing_of_the_kind")


def test_a_look_sees_the_arguments_of_a_class_method(library: Any) -> None:
    seen: list[tuple[Any, ...]] = []
    before(library, "named", lambda *arguments: seen.append(arguments))
    assert library.named("x") == "Library x"
    assert seen == [(library, "x")]


@pytest.mark.parametrize(("may", "kept"), [(True, {"tool_arguments": "a"}), (False, {})])
def test_content_that_a_span_starts_with_is_kept_off_too(may: bool, kept: dict[str, str]) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = LateTracerProvider(lambda: provider, lambda: may).get_tracer("library")
    tracer.start_span("call", attributes={"tool_arguments": "a"}).end()
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == kept
