"""Whose provider spans go through, and what they may carry."""

import textwrap
from pathlib import Path

import pytest

from tests.instrumentation.fake_openai import environment, fake_openai
from tests.instrumentation.traced import Collector, Ended, collector, run_script, values

# {before} and {after}: around the switch-on and the import of the SDK.
SCRIPT = """
    import sys
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    theirs = InMemorySpanExporter()

    def set_up():
        provider = TracerProvider(resource=Resource.create({{"service.name": "theirs"}}))
        provider.add_span_processor(SimpleSpanProcessor(theirs))
        trace.set_tracer_provider(provider)
        return provider

    {before}
    from spanlore.instrumentation import feedback, init, override, run, tool
    init({init})
    from openai import OpenAI
    client = OpenAI()
    {after}

    @tool
    def create_event(title):
        return "secret"

    with run("assistant", user="ann"):
        client.chat.completions.create(
            model="m", messages=[{{"role": "user", "content": "secret"}}]
        )
        create_event("secret")
        try:
            create_event(nothing="secret")
        except TypeError:
            pass
        feedback(comment="secret")
        override(field="/a", original="secret", replacement="secret")
    print(sorted(span.name for span in theirs.get_finished_spans()))
    print(sum("secret" in str(span.to_json()) for span in theirs.get_finished_spans()))
"""

NAMES = [
    "chat m",
    "execute_tool create_event",
    "execute_tool create_event",
    "invoke_agent assistant",
]


def run_with(
    there: Collector, folder: Path, env: dict[str, str] | None = None, **parts: str
) -> Ended:
    given = {name: textwrap.dedent(part) for name, part in parts.items()}
    script = textwrap.dedent(SCRIPT).format(**{"before": "", "after": "", "init": "", **given})
    with fake_openai() as model:
        point = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_script(script, folder, env={**environment(model), **point, **(env or {})})
    assert (ended.code, ended.err) == (0, "")
    return ended


def content_of(there: Collector) -> int:
    """Count the spans and events in which the secret is found."""
    return sum("secret" in str(each) for each in (*there.spans(), *there.records()))


@pytest.mark.parametrize(("before", "after"), [("set_up()", ""), ("", "set_up()")])
def test_a_provider_that_is_there_by_the_first_span_is_joined(
    before: str, after: str, tmp_path: Path
) -> None:
    with collector() as there:
        ended = run_with(there, tmp_path, before=before, after=after)
        assert ended.out.splitlines()[0] == str(NAMES)
        assert sorted(span.name for span in there.spans()) == NAMES
        resources = [values(each.resource.attributes) for each in there.resource_spans()]
    assert {each["service.name"] for each in resources} == {"theirs"}


@pytest.mark.parametrize(("before", "after"), [("set_up()", ""), ("", "set_up()")])
def test_in_a_provider_with_other_exporters_there_is_no_content(
    before: str, after: str, tmp_path: Path
) -> None:
    with collector() as there:
        assert run_with(there, tmp_path, before=before, after=after).out.splitlines()[1] == "0"
        assert content_of(there) == 0


def test_content_goes_to_other_exporters_where_it_was_asked_for(tmp_path: Path) -> None:
    with collector() as there:
        ended = run_with(there, tmp_path, before="set_up()", init="capture_content=True")
        assert ended.out.splitlines()[1] == "3"
        assert content_of(there) == 5


def test_content_goes_to_this_machine(tmp_path: Path) -> None:
    with collector() as there:
        run_with(there, tmp_path)
        assert content_of(there) == 5


@pytest.mark.parametrize(
    ("env", "init"),
    [
        ({"SPANLORE_CAPTURE_CONTENT": "false"}, ""),
        ({"SPANLORE_CAPTURE_CONTENT": "true"}, "capture_content=False"),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"}, ""),
    ],
)
def test_content_goes_nowhere_where_the_user_said_so(
    env: dict[str, str], init: str, tmp_path: Path
) -> None:
    with collector() as there:
        run_with(there, tmp_path, env, init=init)
        assert content_of(there) == 0
        assert len(there.spans()) == 4


def test_content_goes_to_another_machine_only_if_it_is_named_as_spanlores(tmp_path: Path) -> None:
    # A name that leads here but does not say so.
    script = """
        import socket
        known = socket.getaddrinfo
        socket.getaddrinfo = lambda host, *rest, **more: known(
            "127.0.0.1" if host == "elsewhere.invalid" else host, *rest, **more
        )
    """
    with collector() as there:
        url = there.url.replace("127.0.0.1", "elsewhere.invalid")
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        run_with(there, tmp_path, env, before=script)
        assert len(there.spans()) == 4
        assert content_of(there) == 0
        own = {"SPANLORE_ENDPOINT": url}
        run_with(there, tmp_path, own, before=script)
        assert content_of(there) == 5


def test_what_init_says_after_an_import_and_before_the_first_span_holds(tmp_path: Path) -> None:
    before = "import spanlore.auto, openai"
    with collector() as there:
        run_with(there, tmp_path, before=before, init="service_name='mine', capture_content=False")
        assert content_of(there) == 0
        (resource,) = there.resource_spans()
        assert values(resource.resource.attributes)["service.name"] == "mine"
    with collector() as there:
        env = {"SPANLORE_CAPTURE_CONTENT": "false"}
        run_with(there, tmp_path, env, before=before, init="capture_content=True")
        assert content_of(there) == 5


def test_in_our_provider_with_anothers_exporter_there_is_no_content(tmp_path: Path) -> None:
    after = """
        with run("first"):
            pass
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(theirs))
    """
    with collector() as there:
        ended = run_with(there, tmp_path, after=after)
        assert ended.out.splitlines() == [str(NAMES), "0"]
        assert content_of(there) == 0


def test_a_provider_that_cannot_be_joined_is_left_alone(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from opentelemetry import trace
        from spanlore.instrumentation import run

        class Foreign(trace.TracerProvider):
            def get_tracer(self, *args, **kwargs):
                return trace.NoOpTracer()

        foreign = Foreign()
        trace.set_tracer_provider(foreign)
        with run("assistant"):
            pass
        assert trace.get_tracer_provider() is foreign
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.code, ended.err) == (0, "")
        assert [span.name for span in there.spans()] == ["invoke_agent assistant"]


def test_a_program_that_disabled_opentelemetry_is_not_traced(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import run
        with run("assistant") as current:
            print(current.trace_id)
    """
    with collector() as there:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "OTEL_SDK_DISABLED": "true"}
        ended = run_script(script, tmp_path, env=env)
        assert (ended.out.strip(), ended.err) == ("0" * 32, "")
        assert there.spans() == []


def test_the_programs_own_log_exporters_and_metrics_get_nothing_from_us(tmp_path: Path) -> None:
    script = """
        from opentelemetry import _logs, metrics
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs import export
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        logs, reader = export.InMemoryLogRecordExporter(), InMemoryMetricReader()
        logger_provider = LoggerProvider()
        logger_provider.add_log_record_processor(export.SimpleLogRecordProcessor(logs))
        _logs.set_logger_provider(logger_provider)
        metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
        import atexit
        atexit.register(lambda: print(len(logs.get_finished_logs()), reader.get_metrics_data()))
    """
    with collector() as there:
        ended = run_with(there, tmp_path, before=script)
        assert len(there.records()) == 2
    assert ended.out.splitlines()[2] == "0 None"
