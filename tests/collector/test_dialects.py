"""What other makers' instrumentation really sent (``dialects/record.py``) is read as what it is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.schemas import migrate, semconv, tables
from spanlore.schemas.runs import RunFilter, list_runs
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.dialects.record import RECORDED

NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))
# What each of them does not say. The functions that OpenLIT's decorator stands around are no tools
# and have no kind; nobody tells Pydantic AI of a user.
WITHOUT_TOOLS = {"openlit"}
WITHOUT_USER = {"pydantic-ai-1", "pydantic-ai"}
WITHOUT_SESSION = {"pydantic-ai-1", "openlit"}
# It makes one up.
WITH_OWN_SESSION = {"pydantic-ai"}
WITHOUT_CACHE = {"pydantic-ai-1"}
WITHOUT_PROVIDER = {"langfuse"}
WITHOUT_ERROR_TYPE = {"langfuse"}
WITHOUT_ERROR_MESSAGE = {"langsmith", "langchain", "pydantic-ai"}
WITHOUT_FINISH_REASON = {"langfuse"}
WITHOUT_ANSWERING_MODEL = {"langchain"}
# Their instructions stand beside the messages.
WITHOUT_SYSTEM_MESSAGE = {"pydantic-ai"}
# These say of a run, too, what was said in it.
WITH_CONVERSATION = ("pydantic-ai", "pydantic-ai-1")
WITH_TOOLS = [name for name in NAMES if name not in WITHOUT_TOOLS]
# Vercel's agent goes on after a tool has failed, the others end with it.
GOES_ON = {"vercel"}


def sent(name: str) -> list[dict[str, Any]]:
    document = json.loads((RECORDED / f"{name}.json").read_text())
    return [
        span
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def model_of(name: str) -> str:
    return "m" if name in WITHOUT_ANSWERING_MODEL else "m-1"


def without_model_calls(name: str) -> bytes:
    """Return a recording as if its models were called in other traces than its agent's."""
    document = json.loads((RECORDED / f"{name}.json").read_text())
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            kept = [span for span in scope["spans"] if not span["name"].startswith("chat ")]
            scope["spans"] = [span | {"traceId": span["traceId"][::-1]} for span in kept]
    return json.dumps(document).encode()


def ids_of(name: str) -> list[str]:
    """Return the trace ids of its two runs: the one that went well, then the one that did not."""
    begun = {span["traceId"]: span["startTimeUnixNano"] for span in sent(name)}
    return sorted(begun, key=lambda trace_id: begun[trace_id])


@pytest.fixture(scope="module")
def loaded(store_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with all recordings in it, each sent as one request."""
    url = f"{store_server_url}/dialects"
    migrate.migrate(url)
    with CollectorProcess(tmp_path_factory.mktemp("dialects") / "data", url) as collector:
        bodies = [(RECORDED / f"{name}.json").read_bytes() for name in NAMES]
        bodies += map(without_model_calls, WITH_CONVERSATION)
        for body in bodies:
            assert collector.post(body, content_type="application/json").status_code == 200
        assert collector.flush()["sealed_runs"] == 2 * len(bodies)
        assert collector.check_conserved()["spans"]["quarantined"] == 0
    with Store.connect(url) as store:
        yield store


def spans(store: Store, trace_id: str, op: str) -> list[dict[str, Any]]:
    return store.query(
        "SELECT * FROM otel_traces WHERE TraceId = {id:String} AND Op = {op:String} "
        "ORDER BY Timestamp",
        {"id": trace_id, "op": op},
    )


def test_the_recordings_say_nothing_of_the_machine_that_they_were_made_on() -> None:
    for path in RECORDED.iterdir():
        text = path.read_text()
        assert not any(word in text for word in ("host.name", "process.", "/root", "/work", "sk-"))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_listed_with_its_agent_user_tokens_and_failed_tools(
    loaded: Store, name: str
) -> None:
    now = datetime.now(UTC)
    runs = {run.trace_id: run for run in list_runs(loaded, RunFilter(limit=100), now=now)}
    well, badly = (runs[trace_id] for trace_id in ids_of(name))
    tools = 0 if name in WITHOUT_TOOLS else 1
    calls_of_failed = 2 if name in GOES_ON else 1
    assert (well.state, well.model) == ("sealed", model_of(name))
    assert (well.steps, well.input_tokens, well.output_tokens) == (2, 22, 14)
    assert (well.tool_calls, well.tool_errors) == (tools, 0)
    assert badly.steps == calls_of_failed
    assert badly.input_tokens == 11 * calls_of_failed
    assert (badly.tool_calls, badly.tool_errors) == (tools, tools)
    for run in (well, badly):
        assert run.agent == (None if name in WITHOUT_TOOLS else "forecaster")
        assert run.user == (None if name in WITHOUT_USER else "ada")
        assert run.harness


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_its_parameters_by_the_conventions_names(loaded: Store, name: str) -> None:
    (run,) = loaded.query(
        f"SELECT Sampling FROM {tables.RUNS} WHERE TraceId = {{id:String}} {tables.LATEST_RUN}",
        {"id": ids_of(name)[0]},
    )
    sampling = json.loads(run["Sampling"])
    assert sampling[semconv.REQUEST_TEMPERATURE] == "0.5"
    assert sampling.keys() <= set(semconv.REQUEST_SAMPLING)


@pytest.mark.parametrize("name", WITH_TOOLS)
def test_a_tool_call_has_its_name_arguments_result_and_error(loaded: Store, name: str) -> None:
    well, badly = ids_of(name)
    (call,) = spans(loaded, well, semconv.OP_EXECUTE_TOOL)
    assert (call["ToolName"], json.loads(call["ToolArguments"])) == ("weather", {"city": "Paris"})
    assert (call["ToolResult"], call["ErrorType"], call["StatusCode"]) == (
        "sunny",
        "",
        "Unset",
    ) or (
        call["ToolResult"],
        call["StatusCode"],
    ) == ("sunny", "Ok")
    (failed,) = spans(loaded, badly, semconv.OP_EXECUTE_TOOL)
    assert (failed["ToolName"], failed["StatusCode"]) == ("weather", "Error")
    error_types = {""} if name in WITHOUT_ERROR_TYPE else {"LookupError", "RangeError"}
    assert failed["ErrorType"] in error_types
    assert ("Paris" in failed["StatusMessage"]) == (name not in WITHOUT_ERROR_MESSAGE)
    assert failed["ToolResult"] == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_model_call_has_its_provider_session_and_tokens(loaded: Store, name: str) -> None:
    for call in spans(loaded, ids_of(name)[0], semconv.OP_CHAT):
        assert call["Provider"] == ("" if name in WITHOUT_PROVIDER else "openai")
        assert call["Model"] == model_of(name)
        assert (call["InputTokens"], call["OutputTokens"]) == (11, 7)
        if name not in WITH_OWN_SESSION:
            assert call["SessionId"] == ("" if name in WITHOUT_SESSION else "talk-7")
        assert call["CacheReadTokens"] == (None if name in WITHOUT_CACHE else 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_conversation_and_the_harness_are_read_for_the_analyzers(
    loaded: Store, name: str
) -> None:
    (run,) = run_traces(loaded, [ids_of(name)[0]])
    roles = [message.role for message in run.messages]
    # OpenLIT leaves the model's own request out of the history.
    requesting = [] if name == "openlit" else ["assistant"]
    instructing = [] if name in WITHOUT_SYSTEM_MESSAGE else ["system"]
    assert roles == [*instructing, "user", *requesting, "tool", "assistant"]
    texts = [message.text for message in run.messages if message.text and message.role != "system"]
    assert texts == ["How is the weather?", "It is sunny."]
    (answer,) = (one for message in run.messages for one in message.answers)
    assert (answer.call_id, answer.text) == ("call_1", "sunny")
    (request,) = run.model_calls[0].output[0].requests
    assert (request.call_id, request.name) == ("call_1", "weather")
    assert (request.arguments or json.loads(request.arguments_text)) == {"city": "Paris"}
    reasons = [call.finish_reasons for call in run.model_calls][1]
    assert reasons == (() if name in WITHOUT_FINISH_REASON else ("stop",))
    # OpenLIT's spans have no tools, and the new OpenLLMetry leaves instructions in the messages.
    assert set(run.defined_tools) == (set() if name == "openlit" else {"weather"})
    assert run.instructions == ("" if name == "traceloop" else "Be brief.")


@pytest.mark.parametrize("name", NAMES)
def test_attributes_are_stored_as_they_were_sent(loaded: Store, name: str) -> None:
    for span in sent(name):
        (row,) = loaded.query(
            "SELECT mapKeys(SpanAttributes) AS keys FROM otel_traces "
            "WHERE SpanId = {id:String} AND TraceId = {trace_id:String}",
            {"id": span["spanId"], "trace_id": span["traceId"]},
        )
        assert row["keys"] == [each["key"] for each in span.get("attributes", [])]


@pytest.mark.parametrize("name", WITH_CONVERSATION)
def test_where_models_are_called_in_other_traces_the_run_still_has_its_conversation(
    loaded: Store, name: str
) -> None:
    (run,) = run_traces(loaded, [ids_of(name)[0][::-1]])
    assert run.model_calls == ()
    said = [message.text for message in run.messages if message.role != "system"]
    assert said == ["How is the weather?", "", "", "It is sunny."]
    (request,) = (one for message in run.messages for one in message.requests)
    (answer,) = (one for message in run.messages for one in message.answers)
    assert (request.name, answer.text) == ("weather", "sunny")
