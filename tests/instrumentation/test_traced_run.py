"""What one traced agent's run looks like at the collector."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instrumentation.fake_openai import environment, fake_openai
from tests.instrumentation.traced import Collector, Ended, collector, run_script, values

AGENT = """
    import asyncio, threading
    from concurrent.futures import ThreadPoolExecutor

    import spanlore.auto
    from openai import OpenAI
    from opentelemetry import baggage, trace
    from spanlore.instrumentation import feedback, judge, override, run, tool
    from spanlore.instrumentation.quiet import faults

    client = OpenAI()

    def ask(text):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        return client.chat.completions.create(model="m", messages=messages)

    @tool(name="create_event")
    def create(title, *, start="09:00"):
        return {"title": title}

    @tool
    async def look_up(name):
        await asyncio.sleep(0)
        return name

    @tool
    def fails(secret):
        raise LookupError(secret)

    def in_thread(name):
        with trace.get_tracer("app").start_as_current_span(name):
            pass

    with run(
        "assistant", user="ann", tenant="acme", task="scheduling", task_id="7", session="talk",
        segments={"time_zone": "CET"}, harness_version="v3",
    ) as current:
        ask("hello")
        create("Lunch")
        asyncio.run(look_up("bea"))
        thread = threading.Thread(target=in_thread, args=("thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(in_thread, "pool").result()
        with run("helper") as child:
            assert child.trace_id == current.trace_id
        try:
            fails("4711")
        except LookupError:
            pass
        judge("fail", score=0.25, reason="too late", by="checker")
        feedback(score=1, label="thumbs_up", comment="thanks")
        override(tool="create_event", field="/start", original="09:00", replacement={"at": "10"})
        assert not baggage.get_all()
    in_thread("after")
    judge("pass", trace_id=current.trace_id, source="human", by="bob")
    print(current.trace_id)
    assert not faults, faults
"""

IDENTITY = {
    "user.id": "ann",
    "spanlore.tenant.id": "acme",
    "spanlore.task.type": "scheduling",
    "spanlore.task.id": "7",
    "session.id": "talk",
    "gen_ai.conversation.id": "talk",
    "spanlore.harness.version": "v3",
}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ended, Collector]]:
    folder = tmp_path_factory.mktemp("traced")
    with fake_openai() as model, collector() as there:
        env = {**environment(model), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        yield run_script(AGENT, folder, env=env), there


@pytest.fixture
def there(traced: tuple[Ended, Collector]) -> Collector:
    assert (traced[0].code, traced[0].err) == (0, "")
    return traced[1]


def test_every_span_of_a_run_bears_its_identity_whoever_made_it(there: Collector) -> None:
    inside = [span for span in there.spans() if span.name != "after"]
    assert {span.name for span in inside} == {
        "invoke_agent assistant",
        "invoke_agent helper",
        "chat m",
        "execute_tool create_event",
        "execute_tool look_up",
        "execute_tool fails",
        "thread",
        "pool",
    }
    for span in inside:
        assert IDENTITY.items() <= values(span.attributes).items(), span.name
    assert len({span.trace_id for span in inside}) == 1


def test_a_span_after_the_run_bears_nothing_of_it(there: Collector) -> None:
    assert not values(there.named("after").attributes)


def test_only_the_roots_of_what_was_said_bear_segments(there: Collector) -> None:
    bearing = [
        s.name for s in there.spans() if "spanlore.segment.time_zone" in values(s.attributes)
    ]
    assert bearing == ["invoke_agent assistant"]


def test_threads_pools_and_child_agents_hang_below_the_run(there: Collector) -> None:
    root = there.named("invoke_agent assistant")
    for name in ("thread", "pool", "invoke_agent helper", "chat m", "execute_tool look_up"):
        assert there.named(name).parent_span_id == root.span_id, name


def test_a_chat_has_its_messages_tokens_and_answer(there: Collector) -> None:
    chat = values(there.named("chat m").attributes)
    assert "hello" in chat["gen_ai.input.messages"]
    assert "It is booked." in chat["gen_ai.output.messages"]
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (11, 4)


def test_a_tool_has_its_arguments_by_name_and_its_result(there: Collector) -> None:
    call = values(there.named("execute_tool create_event").attributes)
    assert json.loads(call["gen_ai.tool.call.arguments"]) == {"title": "Lunch"}
    assert json.loads(call["gen_ai.tool.call.result"]) == {"title": "Lunch"}
    assert call["gen_ai.agent.name"] == "assistant"
    assert (
        values(there.named("execute_tool look_up").attributes)["gen_ai.tool.call.result"] == "bea"
    )


def test_a_tool_that_raises_is_an_error_with_the_exceptions_name(there: Collector) -> None:
    span = there.named("execute_tool fails")
    assert (span.status.code, span.status.message) == (2, "4711")
    assert values(span.attributes)["error.type"] == "LookupError"


def test_judgements_and_feedback_are_evaluations_of_the_run(there: Collector) -> None:
    checker, thumbs, bob = there.events("gen_ai.evaluation.result")
    assert checker["gen_ai.evaluation.name"] == "task_success"
    assert checker["gen_ai.evaluation.score.label"] == "fail"
    assert checker["gen_ai.evaluation.score.value"] == 0.25
    assert checker["gen_ai.evaluation.explanation"] == "too late"
    assert (checker["spanlore.evaluation.source"], checker["user.id"]) == ("code", "ann")
    assert thumbs["gen_ai.evaluation.name"] == "user_feedback"
    assert thumbs["gen_ai.evaluation.explanation"] == "thanks"
    assert (bob["spanlore.evaluation.source"], bob["gen_ai.evaluation.score.value"]) == ("human", 1)
    assert "user.id" not in bob


def test_an_override_says_what_was_proposed_and_what_stands(there: Collector) -> None:
    (said,) = there.events("spanlore.override")
    assert said["spanlore.override.original"] == "09:00"
    assert json.loads(said["spanlore.override.replacement"]) == {"at": "10"}
    assert said["spanlore.override.target"] == "tool_argument"
    assert (said["gen_ai.tool.name"], said["spanlore.override.field"]) == ("create_event", "/start")
    assert (said["spanlore.override.actor"], said["spanlore.tenant.id"]) == ("user", "acme")


def test_events_stand_in_the_trace_that_was_printed(
    traced: tuple[Ended, Collector], there: Collector
) -> None:
    assert {record.trace_id.hex() for record in there.records()} == {traced[0].out.strip()}
    assert {span.trace_id.hex() for span in there.spans() if span.name != "after"} == {
        traced[0].out.strip()
    }


def test_the_service_is_named_after_the_program(there: Collector) -> None:
    (resource,) = {
        values(each.resource.attributes)["service.name"] for each in there.resource_spans()
    }
    assert resource == "app"


def test_an_instrumentor_is_told_of_content_without_a_trace_in_the_environment(
    tmp_path: Path,
) -> None:
    script = """
        import os
        import spanlore.auto
        import openai
        print([name for name in os.environ if name.startswith("OTEL_")])
    """
    assert run_script(script, tmp_path, env={}).out == "[]\n"


@pytest.mark.parametrize(
    ("limit", "kept"), [({}, 1_000), ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "50"}, 50)]
)
def test_a_long_conversation_written_flat_is_not_cut_unless_the_user_said_so(
    limit: dict[str, str], kept: int, tmp_path: Path
) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import run
        with run("assistant") as current:
            current.span.set_attributes({f"llm.input_messages.{n}": "text" for n in range(1_000)})
    """
    with collector() as there:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, **limit}
        ended = run_script(script, tmp_path, env=env)
        assert (ended.code, ended.err) == (0, "")
        said = values(there.named("invoke_agent assistant").attributes)
    assert sum(name.startswith("llm.input_messages.") for name in said) == kept
