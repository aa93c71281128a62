"""An official instrumentor that the program switched on itself: told there and here."""

import json
import textwrap
from pathlib import Path

import pytest

from tests.instrumentation.calls_below import below
from tests.instrumentation.coverage.cases import FOLDER
from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.fake_openai import environment, fake_openai
from tests.instrumentation.traced import collector, run_command, run_script, values
from tests.packages import python_with

OFFICIAL_SCRIPT = """
    import json, logging
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    elsewhere = InMemorySpanExporter()
    private = TracerProvider()
    private.add_span_processor(SimpleSpanProcessor(elsewhere))
    def switch_on():
        OpenAIInstrumentor().instrument(tracer_provider=private)
    {before}
    import spanlore.auto
    {between}
    import openai
    {after}
    from spanlore.instrumentation import run, tool
    logging.basicConfig(format="%(name)s: %(message)s")

    def ask(scenario):
        with run(scenario, user="ann"):
            openai.OpenAI().chat.completions.create(
                model="m", messages=[{{"role": "user", "content": "Hello."}}]
            )

    ask("on")
    ask("on")
    OpenAIInstrumentor().uninstrument()
    ask("off")
    private.get_tracer("of the program's").start_span("no business of ours").end()
    print(json.dumps([[span.name, "user.id" in span.attributes]
        for span in elsewhere.get_finished_spans()]))
"""
THEIRS = [["chat m", False], ["chat m", False], ["no business of ours", False]]


@pytest.mark.parametrize(
    "place", ["before", "after", pytest.param("between", marks=pytest.mark.slow)]
)
def test_an_official_instrumentor_of_the_programs_own_tells_its_provider_and_us(
    place: str, tmp_path: Path
) -> None:
    places = {"before": "", "between": "", "after": "", place: "switch_on()"}
    script = textwrap.dedent(OFFICIAL_SCRIPT).format(**places)
    with fake_openai() as model, collector() as there:
        env = {**environment(model), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_script(script, tmp_path, env=env)
        assert ended.code == 0, ended.err
        assert below(there) == {"on": ["our chat m", "our chat m"], "off": ["our chat m"]}
        assert all(values(span.attributes)["user.id"] == "ann" for span in there.spans())
    assert json.loads(ended.out) == THEIRS
    (line,) = ended.err.splitlines()
    assert "genai.openai traces openai in this process as well" in line


@pytest.mark.parametrize(
    "place",
    [*(pytest.param(each, marks=pytest.mark.slow) for each in ("before", "between")), "after"],
)
def test_an_official_instrumentor_of_the_global_provider_tells_each_call_once(
    place: str, tmp_path: Path
) -> None:
    places = {"before": [], "between": [], "after": [], place: ["switch_on()"]}
    places["before"].insert(0, "trace.set_tracer_provider(private)")
    lines = {name: "; ".join(each) for name, each in places.items()}
    with fake_openai() as model, collector() as there:
        env = {**environment(model), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        script = textwrap.dedent(OFFICIAL_SCRIPT).format(**lines)
        ended = run_script(script, tmp_path, env=env)
        assert ended.code == 0, ended.err
        assert below(there)["on"] == ["our chat m", "our chat m"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "kind", "driver", "packages"),
    [
        (
            "genai.langchain",
            "LangChainInstrumentor",
            "langgraph_agent",
            ("langgraph==1.2.24", "langchain==1.4.10", "langchain-openai==1.7.4"),
        ),
        # It wants LangChain, and says so where it is not there.
        (
            "genai.langchain",
            "LangChainInstrumentor",
            "langgraph_agent",
            ("langgraph==1.2.24", "langchain-openai==1.7.4"),
        ),
        (
            "genai.openai_agents",
            "OpenAIAgentsInstrumentor",
            "openai_agents_agent",
            ("openai-agents==0.24.0",),
        ),
        ("genai.anthropic", "AnthropicInstrumentor", "anthropic_calls", ("anthropic==2.12.0",)),
        (
            "google_genai",
            "GoogleGenAiSdkInstrumentor",
            "google_genai_calls",
            ("google-genai==1.32.0",),
        ),
    ],
)
def test_an_agent_whose_official_spans_go_elsewhere_is_whole_here(
    library: str, kind: str, driver: str, packages: tuple[str, ...], tmp_path: Path
) -> None:
    python = python_with(packages, tmp_path)
    program = (FOLDER / "drivers" / f"{driver}.py").read_text()
    switch_on = f"""
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.instrumentation.{library} import {kind}
{kind}().instrument(tracer_provider=TracerProvider())
"""
    ours = "import spanlore.auto"
    told = []
    for lines in (ours, f"{switch_on}{ours}", f"{ours}{switch_on}"):
        (tmp_path / "app.py").write_text(program.replace(ours, lines))
        with scripted_models() as models, collector() as there:
            env = {**models.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
            ended = run_command(python, str(tmp_path / "app.py"), env=env, folder=tmp_path)
            assert ended.code == 0, ended.err
            spans = {span.span_id: span for span in there.spans()}
        parents = {
            name: spans[span.parent_span_id].name if span.parent_span_id else ""
            for name, span in spans.items()
        }
        told.append(sorted((span.name, parents[name]) for name, span in spans.items()))
    assert told[1] == told[2] == told[0]
