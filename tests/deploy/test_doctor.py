"""`spanlore doctor`: what it finds, and the exit codes that say so."""

import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers import needs
from spanlore.schemas import semconv
from spanlore.schemas.store import Store
from tests.deploy.command_line import run_cli
from tests.instrumentation.traced import collector, dead_url, run_script
from tests.loaded_runs import load_lines

RUN: Mapping[str, Any] = {
    "run_id": "1",
    "agent": {"name": "assistant"},
    "model": "m",
    "messages": [
        {"role": "user", "content": "Book it."},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "book", "arguments": '{"at": 9}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "booked"},
        {"role": "assistant", "content": "It is booked."},
    ],
}


def test_every_analyzer_says_what_it_needs() -> None:
    installed = {found.name for found in entry_points(group="spanlore.analyzers")}
    assert installed == needs.NEEDS.keys()


def test_an_analyzer_is_silent_until_each_of_its_needs_is_met() -> None:
    def missing(*sent: needs.Signal) -> list[tuple[needs.Signal, ...]]:
        found = {one.analyzer: list(one.missing) for one in needs.silent(frozenset(sent))}
        return found.get("change_point", [])

    either = (needs.OUTCOME, needs.TOOL_CALLS, needs.OVERRIDE, needs.TOKENS)
    assert missing() == [(needs.TIMES,), either]
    assert missing(needs.TOKENS) == [(needs.TIMES,)]
    assert missing(needs.TOKENS, needs.TIMES) == []


@pytest.fixture
def silent(store: Store, tmp_path: Path) -> dict[str, set[str]]:
    """Return the signals that each analyzer misses, of one run without a judgement or a user."""
    load_lines(store, tmp_path, [RUN])
    (service,) = needs.services(store)
    assert service.runs == 1
    return {
        one.analyzer: {signal.attribute for need in one.missing for signal in need}
        for one in service.silent
    }


def test_what_an_analyzer_misses_is_told_by_the_attribute(silent: dict[str, set[str]]) -> None:
    assert silent["outcome_contrast"] == {needs.OUTCOME.attribute}
    assert silent["preference_override"] == {semconv.USER_ID}
    assert silent["stale_memory"] == {semconv.EVENT_EXPOSURE}
    assert not silent.keys() & {"tool_argument_misuse", "retry_storm_and_loops", "error_clusters"}


def test_with_a_judgement_and_a_user_more_can_be_learned(store: Store, tmp_path: Path) -> None:
    outcome = {"label": "pass", "source": "environment"}
    more = {"user_id": "ann", "started_at": "2026-01-01T09:00:00Z", "outcome": outcome}
    load_lines(store, tmp_path, [{**RUN, **more}])
    (service,) = needs.services(store)
    still = {one.analyzer for one in service.silent}
    assert not still & {"outcome_contrast", "preference_override", "success_workflow_mining"}


def examined(folder: Path, env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    ended = run_cli("doctor", "--json", env={"SPANLORE_DATA_DIR": str(folder), **env})
    return ended.code, json.loads(ended.out)


def test_libraries_content_and_a_collector_that_takes_spans_are_told(tmp_path: Path) -> None:
    with collector() as there:
        code, found = examined(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
    assert code == 0
    traced = {one["library"]: one["is_traced"] for one in found["libraries"] if one["version"]}
    assert traced == {"anthropic": True, "openai": True}
    assert {one["reason"] for one in found["libraries"] if not one["version"]} == {"not installed"}
    assert found["content"]["is_sent"] is True
    assert (found["endpoint"]["problem"], found["other_tracers"]) == (None, [])
    assert found["services"] is None
    assert "spanlore up" in found["services_problem"]


def test_a_collector_that_is_not_there_is_exit_code_3(tmp_path: Path) -> None:
    url = dead_url()
    code, found = examined(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert code == 3
    assert "spanlore up" in found["endpoint"]["problem"]


def test_a_library_whose_instrumentor_does_not_know_it_is_exit_code_1(tmp_path: Path) -> None:
    _pretend(tmp_path, "google_genai", "google-genai", "4.0")
    _pretend(tmp_path, "openlit", "openlit", "1.0")
    _pretend(tmp_path, "acme_tracing", "acme-tracing", "1.0", "openai>=1; extra == 'instruments'")
    points = tmp_path / "acme_tracing-1.0.dist-info" / "entry_points.txt"
    points.write_text("[opentelemetry_instrumentor]\nopenai = acme_tracing:Instrumentor\n")
    with collector() as there:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "PYTHONPATH": str(tmp_path)}
        code, found = examined(tmp_path, env)
    (report,) = [one for one in found["libraries"] if one["library"] == "google-genai"]
    assert (code, report["version"], report["is_traced"]) == (1, "4.0", False)
    assert "google-genai" in report["reason"]
    others = {
        other["name"]: (other["library"], other["reason"]) for other in found["other_tracers"]
    }
    assert others.keys() == {"openlit", "acme-tracing"}
    assert others["openlit"][0] is None
    assert "@tool" in others["openlit"][1]
    assert others["acme-tracing"][0] == "openai"
    assert "begins none" in others["acme-tracing"][1]


def test_what_a_killed_program_left_is_told_until_it_is_shipped(tmp_path: Path) -> None:
    script = """
        import os
        import spanlore.auto
        from spanlore.instrumentation import run
        with run("assistant"):
            os._exit(0)
    """
    data_dir = tmp_path / "data"
    env = {"SPANLORE_DATA_DIR": str(data_dir), "OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    assert run_script(script, tmp_path, env=env).code == 0
    with collector() as there:
        here = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        _, found = examined(data_dir, here)
        assert found["journal"]["records"] == 1
        assert found["journal"]["bytes"] > 0
        assert found["journal"]["oldest_age_s"] >= 0
        shipped = run_cli("ship", "--endpoint", there.url, "--json", env=env)
        assert shipped.code == 0, shipped.err
        _, found = examined(data_dir, {**here, "SPANLORE_JOURNAL": "off"})
    nothing = {"is_kept": False, "records": 0, "bytes": 0, "oldest_age_s": None}
    assert found["journal"] == nothing


def _pretend(folder: Path, module: str, name: str, version: str, *requires: str) -> None:
    """Lay down what an installer writes of a distribution."""
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    (info / "METADATA").write_text("\n".join([*lines, ""]))


def test_a_person_reads_it_as_a_table(tmp_path: Path) -> None:
    with collector() as there:
        env = {"SPANLORE_DATA_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": there.url}
        ended = run_cli("doctor", env=env)
    assert ended.code == 0, ended.err
    assert "anthropic" in ended.out
    assert "content: sent" in ended.out
    assert f"{there.url}/v1/traces (http/protobuf): takes spans" in ended.out
