"""Whom a run is for, and what is said of it, wherever its work is done."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.instrumentation.traced import Collector, collector, run_script, values

# One run that works in an async generator, a thread of it, and a child process; then another try.
AGENT = """
    import asyncio, os, subprocess, sys
    from concurrent.futures import ThreadPoolExecutor

    import spanlore.auto
    from opentelemetry import trace
    from spanlore.instrumentation import approval, child_environment, feedback, run
    from spanlore.instrumentation.quiet import faults

    def span(name):
        with trace.get_tracer("app").start_as_current_span(name):
            pass

    CHILD = '''
    import spanlore.auto
    from spanlore.instrumentation import run
    with run("in-child", task_id="8"):
        pass
    '''

    async def steps():
        with run("assistant", user="ann", variant="b") as current:
            yield current
            span("generator")
            with ThreadPoolExecutor(1) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, span, "executor")
            await asyncio.to_thread(span, "to_thread")
            env = os.environ | child_environment()
            subprocess.run([sys.executable, "-c", CHILD], env=env, check=True)
            approval("rejected", tool="pay", tool_call_id="call_1", reason="too much")
            approval("maybe")

    async def main():
        async for current in steps():
            first = current
        with run("assistant", retry_of=first) as second:
            pass
        with run("assistant", retry_of=second):
            pass

    asyncio.run(main())
    span("outside")
    feedback(score=1, response_id="chat_1")
    feedback(score=0, conversation="talk")
    assert not faults, faults
"""

ENVIRONMENT = {"SPANLORE_TENANT": "acme", "SPANLORE_TASK": "billing", "SPANLORE_USER": "nobody"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collector() as found:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url, **ENVIRONMENT}
        ended = run_script(AGENT, tmp_path_factory.mktemp("identity"), env=env)
        assert ended.code == 0, ended.err
        assert "the decision is 'maybe'" in ended.err
        yield found


@pytest.mark.parametrize("name", ["generator", "executor", "to_thread", "invoke_agent in-child"])
def test_a_run_is_known_in_generators_threads_and_child_processes(
    name: str, there: Collector
) -> None:
    root = next(span for span in there.spans() if values(span.attributes).get("user.id") == "ann")
    span = there.named(name)
    assert span.trace_id == root.trace_id
    known = {"user.id": "ann", "spanlore.tenant.id": "acme", "feature_flag.result.variant": "b"}
    assert known.items() <= values(span.attributes).items()


def test_a_child_process_adds_what_it_knows_itself(there: Collector) -> None:
    child = values(there.named("invoke_agent in-child").attributes)
    assert (child["spanlore.task.type"], child["spanlore.task.id"]) == ("billing", "8")


def test_what_the_environment_says_holds_outside_of_runs_too(there: Collector) -> None:
    assert values(there.named("outside").attributes) == {
        "spanlore.task.type": "billing",
        "spanlore.tenant.id": "acme",
        "user.id": "nobody",
    }


def test_a_run_that_tries_again_links_to_the_run_before(there: Collector) -> None:
    runs = sorted(
        (span for span in there.spans() if span.name == "invoke_agent assistant"),
        key=lambda span: span.start_time_unix_nano,
    )
    attempts = [values(span.attributes).get("spanlore.retry.attempt") for span in runs]
    assert attempts == [None, 1, 2]
    for before, span in pairwise(runs):
        (link,) = span.links
        assert (link.trace_id, link.span_id) == (before.trace_id, before.span_id)
        assert values(link.attributes) == {"spanlore.link.type": "retry"}


def test_an_approval_is_an_event_of_the_run(there: Collector) -> None:
    (said,) = there.events("spanlore.approval")
    assert said["spanlore.approval.decision"] == "rejected"
    assert (said["gen_ai.tool.name"], said["gen_ai.tool.call.id"]) == ("pay", "call_1")
    assert (said["spanlore.approval.actor"], said["spanlore.approval.reason"]) == (
        "user",
        "too much",
    )


def test_late_feedback_names_what_is_known_instead_of_a_trace(there: Collector) -> None:
    records = [each for each in there.records() if each.event_name == "gen_ai.evaluation.result"]
    assert [each.trace_id for each in records] == [b"", b""]
    by_response, by_conversation = (values(each.attributes) for each in records)
    assert by_response["gen_ai.response.id"] == "chat_1"
    assert by_conversation["gen_ai.conversation.id"] == "talk"
    assert by_response["spanlore.evaluation.id"] != by_conversation["spanlore.evaluation.id"]


BAGGAGE = """
    import spanlore.auto
    from opentelemetry import baggage, context
    from spanlore.instrumentation import run
    context.attach(baggage.set_baggage("user.id", "eve"))
    with run("assistant"):
        pass
"""


@pytest.mark.parametrize(("reads", "user"), [({}, None), ({"SPANLORE_READ_BAGGAGE": "1"}, "eve")])
def test_baggage_is_believed_only_where_it_was_asked_for(
    reads: dict[str, str], user: str | None, tmp_path: Path
) -> None:
    with collector() as found:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url, **reads}
        assert run_script(BAGGAGE, tmp_path, env=env).code == 0
        assert values(found.named("invoke_agent assistant").attributes).get("user.id") == user
