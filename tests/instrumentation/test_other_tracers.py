"""Beside another tracer of the same library: one span a call, whoever was switched on first."""

import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # it says none
    BaseInstrumentor,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context, use_span

from spanlore.instrumentation import other_tracers
from spanlore.instrumentation.identity import CurrentRun, Identity, with_run
from spanlore.instrumentation.late_provider import LateTracerProvider
from spanlore.instrumentation.pipeline import SCOPE
from spanlore.schemas import semconv
from tests.instrumentation.calls_below import below
from tests.instrumentation.coverage.cases import FOLDER
from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.fake_openai import environment, fake_openai
from tests.instrumentation.traced import collector, run_command, run_script
from tests.packages import python_with

CHAT = {semconv.OPERATION_NAME: semconv.OP_CHAT}


class AgentsTracer(BaseInstrumentor):  # type: ignore[misc]  # as above
    """One that is switched on for a framework, and wraps nothing."""

    def instrumentation_dependencies(self) -> list[str]:
        return ["openai-agents >= 0.3"]

    def _instrument(self, **_: Any) -> None:
        pass

    def _uninstrument(self, **_: Any) -> None:
        pass


@pytest.fixture
def agents_tracer(monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentsTracer]:
    for name in ("instrument", "uninstrument"):
        monkeypatch.setattr(BaseInstrumentor, name, vars(BaseInstrumentor)[name])
    monkeypatch.setattr(other_tracers, "_switched_on", {})
    other_tracers.watch(other_tracers.Ours(take=lambda *_: None, begin=lambda _: None))
    tracer = AgentsTracer()
    yield tracer
    if tracer.is_instrumented_by_opentelemetry:
        tracer.uninstrument()


@pytest.mark.parametrize(("kind", "is_told"), [("LLM", True), ("AGENT", False)])
def test_a_call_that_a_frameworks_tracer_tells_is_not_told_again_below_it(
    kind: str, is_told: bool, agents_tracer: AgentsTracer
) -> None:
    provider = TracerProvider()
    agents_tracer.instrument(tracer_provider=provider, skip_dep_check=True)
    ours = LateTracerProvider(lambda: provider, lambda: True).of("openai").get_tracer("ours")
    said = {"openinference.span.kind": kind}
    around = provider.get_tracer(__name__).start_span("response", attributes=said)
    with use_span(around):
        call = ours.start_span("chat m", attributes=CHAT)
        tool = ours.start_span(
            "execute_tool t", attributes={semconv.OPERATION_NAME: "execute_tool"}
        )
    assert isinstance(call, NonRecordingSpan) is is_told
    assert tool.is_recording()
    with use_span(call):
        assert (get_current_span().get_span_context() == around.get_span_context()) is is_told


def test_of_one_that_is_switched_off_again_nothing_is_taken(agents_tracer: AgentsTracer) -> None:
    provider = TracerProvider()
    ours = LateTracerProvider(lambda: provider, lambda: True).of("agents").get_tracer("ours")
    agents_tracer.instrument(tracer_provider=provider, skip_dep_check=True)
    assert not ours.start_span("chat m", attributes=CHAT).is_recording()
    agents_tracer.uninstrument()
    assert ours.start_span("chat m", attributes=CHAT).is_recording()


def test_a_provider_that_cannot_be_joined_is_told_with_what_to_do(
    agents_tracer: AgentsTracer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(other_tracers.OFFICIAL, f"{__name__}:AgentsTracer", "openai")
    agents_tracer.instrument(tracer_provider=object(), skip_dep_check=True)
    (line,) = caplog.messages
    assert "calls of openai are missing" in line
    assert "without tracer_provider" in line


def test_one_that_refuses_to_be_switched_on_is_not_on(agents_tracer: AgentsTracer) -> None:
    agents_tracer.instrument()  # the library is not installed here
    assert other_tracers.others_of("agents") == ()


def test_below_a_span_that_goes_elsewhere_a_span_stands_below_its_run() -> None:
    provider, elsewhere = TracerProvider(), TracerProvider()
    ours = LateTracerProvider(lambda: provider, lambda: True).get_tracer("ours")
    run = CurrentRun("assistant", Identity())
    run.span = ours.start_span("invoke_agent assistant")
    within = with_run(run, set_span_in_context(run.span))
    theirs = elsewhere.get_tracer("theirs").start_span("LLM", context=within)
    span: Any = ours.start_span("chat m", context=set_span_in_context(theirs, within))
    assert span.parent == run.span_context


def test_below_a_span_that_is_taken_from_elsewhere_a_span_stands_where_it_was_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, elsewhere = TracerProvider(), TracerProvider()
    theirs = elsewhere.get_tracer("theirs").start_span("LLM")
    taken = (other_tracers.processor_of(elsewhere), other_tracers.OtherTracer("theirs"))
    monkeypatch.setattr(other_tracers, "_taken", [taken])
    ours = LateTracerProvider(lambda: provider, lambda: True).get_tracer("ours")
    run = CurrentRun("assistant", Identity())
    run.span = ours.start_span("invoke_agent assistant")
    within = set_span_in_context(theirs, with_run(run, set_span_in_context(run.span)))
    span: Any = ours.start_span("execute_tool t", context=within)
    assert span.parent == theirs.get_span_context()


@pytest.mark.parametrize(
    ("needs", "by", "libraries"),
    [
        ("boto3 >= 1", "opentelemetry.instrumentation.bedrock", ["botocore.client"]),
        ("boto3 >= 1", "opentelemetry.instrumentation.boto3sqs", []),
        ("LangChain", "openlit.instrumentation.langchain", ["langchain_core"]),
        ("mcp", "openinference.instrumentation.mcp", []),
    ],
)
def test_an_instrumentor_says_what_it_is_for(needs: str, by: str, libraries: list[str]) -> None:
    assert other_tracers.libraries_told([needs], by=by) == libraries


# An instrumentor as others' are: it stands where it is told to, above ours or below.
TRACER = """
    import os
    import openai
    from opentelemetry import trace
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
    from opentelemetry.instrumentation.utils import unwrap
    from openai.resources.chat.completions import Completions
    from wrapt import wrap_function_wrapper

    OWNERS = {"request": openai.OpenAI, "create": Completions}

    class Tracer(BaseInstrumentor):
        def instrumentation_dependencies(self):
            return ["openai >= 1"]

        def _instrument(self, *, tracer_provider=None, name, **_):
            tracer = trace.get_tracer(__name__, "1", tracer_provider)

            def wrapper(wrapped, instance, args, kwargs):
                with tracer.start_as_current_span("theirs"):
                    return wrapped(*args, **kwargs)

            self.name = name
            wrap_function_wrapper(OWNERS[name], name, wrapper)

        def _uninstrument(self, **_):
            unwrap(OWNERS[self.name], self.name)
"""
SCRIPT = """
    import logging
    from opentelemetry.sdk.trace import TracerProvider
    from acme_tracing import Tracer
    private = TracerProvider()
    {before}
    import spanlore.auto
    from spanlore.instrumentation import init, run
    import openai
    {after}
    logging.basicConfig(format="%(name)s: %(message)s")

    def ask(scenario):
        with run(scenario):
            openai.OpenAI().chat.completions.create(
                model="m", messages=[{{"role": "user", "content": "Hello."}}]
            )

    for _ in range(2):
        ask("on")
    Tracer().uninstrument()
    ask("off")
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Tracer().instrument(name='request')", "", "theirs"),
        ("Tracer().instrument(name='request', tracer_provider=private)", "", "our chat m"),
        # What is said later of content switches ours off and on: theirs must be left in place.
        (
            "",
            "Tracer().instrument(name='create'); init(capture_content=False)",
            "theirs",
        ),
        ("", "Tracer().instrument(name='create', tracer_provider=private)", "our chat m"),
    ],
    ids=["before", "before and elsewhere", "after", "after and elsewhere"],
)
def test_each_call_is_told_once_where_spans_come_to_us(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "acme_tracing.py").write_text(textwrap.dedent(TRACER))
    script = textwrap.dedent(SCRIPT).format(before=before, after=after)
    with fake_openai() as model, collector() as there:
        env = {**environment(model), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_script(script, tmp_path, env=env)
        assert ended.code == 0, ended.err
        assert below(there) == {"on": [told, told], "off": ["our chat m"]}
    said = ended.err.splitlines()
    if told == "theirs":
        (line,) = said
        assert line.startswith("spanlore: acme_tracing traces openai in this process as well")
    else:
        assert said == []


CALLS = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    elsewhere = InMemorySpanExporter()
    private = TracerProvider()
    private.add_span_processor(SimpleSpanProcessor(elsewhere))
    client = None
    {before}
    import spanlore.auto
    {after}
    import openai
    from spanlore.instrumentation import run

    client = client or openai.OpenAI()
    asked = {{"model": "m", "messages": [{{"role": "user", "content": "Hello."}}]}}
    with run("chat"):
        client.chat.completions.create(**asked)
    with run("stream"):
        for _ in client.chat.completions.create(**asked, stream=True):
            pass
    with run("responses"):
        client.responses.create(model="m", input="Hello.")
    print(len(elsewhere.get_finished_spans()))
"""


def each(chat: str, stream: str, responses: str) -> dict[str, list[str]]:
    return {"chat": [chat], "stream": [stream], "responses": [responses]}


def instrumentor(module: str) -> str:
    name = "OpenAIInstrumentor"
    return f"from {module} import {name}; {name}().instrument({{provider}})"


OURS = each("our chat m", "our chat m", "our chat m")
LOGFIRE = "import logfire; logfire.configure(send_to_logfire=False, console=False)"
LOGFIRES = each(
    "Chat Completion with {request_data[model]!r}",
    "Chat Completion with {request_data[model]!r}",
    "Responses API with {gen_ai.request.model!r}",
)
# It tells a stream twice by itself: that it was asked for, and that it was read.
LOGFIRES["stream"].append("streaming response from {request_data[model]!r} took {duration:.2f}s")
# What is used most, with how a program switches it on and how it names the calls.
REAL = {
    "openinference": (
        ("openinference-instrumentation-openai==0.1.66", "openai==3.57.0"),
        instrumentor("openinference.instrumentation.openai"),
        each("ChatCompletion", "ChatCompletion", "Response"),
    ),
    "openllmetry": (
        ("opentelemetry-instrumentation-openai==0.62.4", "openai==3.57.0"),
        instrumentor("opentelemetry.instrumentation.openai"),
        each("openai.chat", "openai.chat", "openai.response"),
    ),
    "openlit": (
        ("openlit==1.45.0", "openai==2.54.0"),
        "import openlit; openlit.init(disable_metrics=True)",
        each("chat m", "chat m", "chat m"),
    ),
    "logfire": (
        ("logfire==5.4.0", "openai==3.57.0"),
        f"{LOGFIRE}; logfire.instrument_openai()",
        LOGFIRES,
    ),
    "logfire of one client": (
        ("logfire==5.4.0", "openai==3.57.0"),
        f"{LOGFIRE}; import openai; client = openai.OpenAI(); logfire.instrument_openai(client)",
        LOGFIRES,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_beside_a_real_tracer_each_call_is_told_once(name: str, tmp_path: Path) -> None:
    packages, switch_on, calls = REAL[name]
    python = python_with(packages, tmp_path)
    places = ("", "tracer_provider=private") if "{provider}" in switch_on else ("",)
    for place, order in itertools.product(places, ("before", "after")):
        parts = {"before": "", "after": "", order: switch_on.format(provider=place)}
        (tmp_path / "app.py").write_text(textwrap.dedent(CALLS).format(**parts))
        with scripted_models() as models, collector() as there:
            env = {**models.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
            ended = run_command(python, str(tmp_path / "app.py"), env=env, folder=tmp_path)
            assert ended.code == 0, ended.err
            assert below(there) == (OURS if place else calls), order
        # Where theirs go elsewhere they are all there too.
        assert int(ended.out) == (3 if place else 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "kind", "driver", "packages"),
    [
        (
            "langchain",
            "LangChainInstrumentor",
            "langgraph_agent",
            ("langchain==0.1.80", "langgraph==1.2.24", "langchain-openai==1.7.4"),
        ),
        (
            "openai_agents",
            "OpenAIAgentsInstrumentor",
            "openai_agents_agent",
            ("openai-agents==2.6.0", "openai-agents==0.24.0"),
        ),
    ],
)
def test_an_agent_that_another_traces_is_told_by_it_alone(
    library: str, kind: str, driver: str, packages: tuple[str, ...], tmp_path: Path
) -> None:
    tracer, *of_library = packages
    python = python_with((f"openinference-instrumentation-{tracer}", *of_library), tmp_path)
    switch_on = f"from openinference.instrumentation.{library} import {kind}; {kind}().instrument()"
    program = (FOLDER / "drivers" / f"{driver}.py").read_text()
    ours = "import spanlore.auto"
    for lines in (f"{switch_on}\n{ours}", f"{ours}\n{switch_on}"):
        (tmp_path / "app.py").write_text(program.replace(ours, lines))
        with scripted_models() as models, collector() as there:
            env = {**models.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
            ended = run_command(python, str(tmp_path / "app.py"), env=env, folder=tmp_path)
            assert ended.code == 0, ended.err
            found = there.scoped_spans()
        assert {scope for scope, _ in found} == {SCOPE, f"openinference.instrumentation.{library}"}
        known = {span.span_id for _, span in found}
        assert all(span.parent_span_id in known for _, span in found if span.parent_span_id)
