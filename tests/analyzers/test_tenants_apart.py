"""What one tenant sends under another's trace id: nothing of it is learned from or counted."""

from dataclasses import replace
from typing import Any

from spanlore.analyzers.catalogue.change_point import _LOOKS
from spanlore.analyzers.catalogue.retry_storm_and_loops import VERSION
from spanlore.analyzers.counting.tenants_seen import with_tenants
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.preferences.slot_choices import slot_choices
from spanlore.analyzers.runs.run_traces import TEXT_CHARACTERS_MAX, run_traces
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import OVERRIDES, RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES
from spanlore.schemas.types import Finding
from tests.analyzers.effect_runs import START, Meeting, stored
from tests.analyzers.standing_lessons import finding

MINE = Meeting(number=1, user="ann", arm="exposed", changed=True)
FOREIGN = Meeting(number=1, user="eve", arm="exposed", changed=True, tenant="thief")


def foreign(store: Store) -> None:
    """Store what another tenant would say under the trace id of ``MINE``."""
    call = {**FOREIGN.call(), "SpanId": "f" * 16, "ToolArguments": '{"start": "STOLEN"}'}
    failed = {**call, "SpanId": "e" * 16, "StatusCode": "Error"}
    asked = {
        **call,
        "SpanId": "d" * 16,
        "Op": "chat",
        "ToolName": "",
        "SpanAttributes": {"gen_ai.input.messages": '[{"role": "user", "content": "STOLEN"}]'},
    }
    store.insert(TRACES, [call, failed, asked])
    said = {**FOREIGN.override(), "Replacement": '"2024-05-01T23:00"', "OverrideId": "x"}
    store.insert(OVERRIDES, [said])
    store.insert("exposures", [{**FOREIGN.exposure(), "LessonId": "theirs"}])


def test_a_run_is_read_without_what_another_tenant_sent(store: Store) -> None:
    stored(store, [MINE])
    [alone] = run_traces(store, [MINE.trace_id])
    foreign(store)
    assert list(run_traces(store, [MINE.trace_id])) == [alone]
    [calls] = calls_by_run(store, Window(), ["create_event"])
    assert len(calls) == 1


def test_what_another_tenant_says_was_overridden_is_no_choice(store: Store) -> None:
    stored(store, [MINE])
    foreign(store)
    extract_pending(store, Window())
    [choice] = slot_choices(store, Window())
    assert choice.final == "10:00"


def test_nor_does_it_change_a_rate(store: Store) -> None:
    stored(store, [replace(MINE, changed=False)])
    foreign(store)
    since = Window().params
    [call] = store.query(f"SELECT Happened FROM ({_LOOKS['tool_error']})", since)
    assert not call["Happened"]
    assert store.query(f"SELECT Happened FROM ({_LOOKS['override']})", since) == []
    own = {**MINE.override(), "TenantId": "default", "OverrideId": "y"}
    store.insert(OVERRIDES, [own])
    [run] = store.query(f"SELECT Happened FROM ({_LOOKS['override']})", since)
    assert run["Happened"]


def test_a_span_cannot_bring_more_text_than_fits(store: Store) -> None:
    long = '{"start": "' + "ä" * (TEXT_CHARACTERS_MAX + 9) + '"}'
    stored(store, [MINE])
    store.insert(TRACES, [{**MINE.call(), "SpanId": "9" * 16, "ToolArguments": long}])
    store.insert(TRACES, [{**MINE.call(), "SpanId": "8" * 16, "ToolResult": long}])
    [run] = run_traces(store, [MINE.trace_id])
    assert sorted(type(one.arguments) is dict for one in run.calls) == [False, True, True]
    assert max(len(str(one.result)) for one in run.calls) <= TEXT_CHARACTERS_MAX
    [calls] = calls_by_run(store, Window(), ["create_event"])
    assert max(len(str(one.result)) for one in calls) <= TEXT_CHARACTERS_MAX


def fact(number: int, tenant: str, **also: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    run = {"TenantId": tenant, "TraceId": f"{number:032x}"}
    at = {"StartedAt": START, "LastReceivedAt": START, "Version": 1, "State": "sealed"}
    told = {"Extractor": "retry_storm_and_loops", "ExtractorVersion": VERSION, "N": 1, "K": 1}
    return {**run, **at}, {**run, **told, "Key": "k", "RunVersion": 1, "At": START, **also}


def of_acme(**detail: Any) -> Finding:
    evidence = tuple(f"{number:032x}" for number in range(20))
    found = replace(finding("f", **detail), analyzer="retry_storm_and_loops", evidence=evidence)
    return replace(found, k=25, n=25)


def test_one_tenant_alone_is_said_of_all_runs_and_not_of_the_evidence(store: Store) -> None:
    rows = [fact(number, "acme") for number in range(20)]
    rows += [fact(number, "globex", K=0) for number in range(20, 60)]
    store.insert(RUNS, [run for run, _ in rows])
    store.insert(RUN_FACTS, [one for _, one in rows])
    [seen] = with_tenants(store, [of_acme(key="k")])
    assert seen.detail["affected"] == {"tenants": 1, "of": 2, "only": "acme"}
    [other_key] = with_tenants(store, [of_acme(key="nobody counts it")])
    assert "affected" not in other_key.detail
    more = [fact(number, "globex") for number in range(60, 65)]
    store.insert(RUNS, [run for run, _ in more])
    store.insert(RUN_FACTS, [one for _, one in more])
    [seen] = with_tenants(store, [of_acme(key="k")])
    assert seen.detail["affected"] == {"tenants": 2, "of": 2, "only": None}
