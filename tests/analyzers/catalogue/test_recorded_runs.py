"""The recorded runs hold a finding; here it is counted twice, the first time without spanlore."""

import json
import re
import shutil
import subprocess
from collections import Counter
from functools import lru_cache
from pathlib import Path
from random import Random

from spanlore.analyzers.catalogue.tool_argument_misuse import hypotheses_of_calls, misuse_hypotheses
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.lessons.harness_lesson import harness_lessons
from spanlore.analyzers.runs.calls import calls_of
from spanlore.analyzers.runs.tool_schema import wanted_keys
from spanlore.schemas.types import Finding
from tests.analyzers import recorded

TOOL = "book_reservation"


@lru_cache(maxsize=1)
def findings() -> tuple[Finding, ...]:
    rows, definitions = recorded.recorded_rows(), recorded.recorded_definitions()
    return tuple(findings_of(list(misuse_hypotheses(rows, definitions))))


def the_finding() -> Finding:
    [found] = [one for one in findings() if one.confirmed and one.detail["tool"] == TOOL]
    return found


def test_the_lines_alone_say_how_often_the_tool_fails() -> None:
    counted: Counter[str] = Counter()
    for run in recorded.trajectories():
        for call, answer in recorded.answered_calls(run):
            if call["function"]["name"] != TOOL or answer is None:
                continue
            said = answer["content"]
            counted["calls"] += 1
            counted["errors"] += bool(answer.get("is_error"))
            counted["amounts"] += bool(
                re.fullmatch(
                    r"error: payment amount does not add up, total price is \d+, but paid \d+",
                    said.strip(),
                    re.IGNORECASE,
                )
            )
            counted["lacking"] += "Field required" in said and "for Payment" in said
    assert counted == {"calls": 102, "errors": 56, "amounts": 35, "lacking": 3}


def test_the_amounts_that_do_not_add_up_are_a_confirmed_finding() -> None:
    found = the_finding()
    assert (found.n, found.k, found.detail["failing_calls"]) == (102, 35, 56)
    assert "payment amount does not add up" in found.title
    assert found.detail["clusters"][0] == {"template": found.detail["template"], "k": 35}
    assert found.interval is not None
    assert found.effect is not None
    assert 0 < found.interval[0] < found.effect < found.interval[1]
    assert found.detail["rate_interval"] == [0.223952, 0.486026]
    assert found.q is not None
    assert found.q <= 0.1
    assert found.detail["p_confirmation"] <= 0.05
    assert found.adjusted_for == ("task", "agent", "model")


def test_the_effect_is_the_mantel_haenszel_difference_over_tasks_counted_by_hand() -> None:
    """Count the first calls of each tool in each run straight from the lines."""
    strata: dict[tuple[object, ...], Counter[str]] = {}
    for run in recorded.trajectories():
        task, agent = run["task"], run["agent"]
        place = (task["type"], task["id"], agent["name"], agent.get("version"), run.get("model"))
        counts, called = strata.setdefault(place, Counter()), set()
        for call, answer in recorded.answered_calls(run):
            name = call["function"]["name"]
            if name in called:
                continue
            called.add(name)
            said = (answer or {}).get("content") or ""
            failed = bool((answer or {}).get("is_error"))
            arm = "mine" if name == TOOL else "other"
            counts[f"{arm} n"] += 1
            counts[f"{arm} k"] += "does not add up" in said if name == TOOL else failed
    weighted = weights = 0.0
    for counts in strata.values():
        n, other_n = counts["mine n"], counts["other n"]
        if n and other_n:
            weight = n * other_n / (n + other_n)
            weighted += weight * (counts["mine k"] / n - counts["other k"] / other_n)
            weights += weight
    found = the_finding()
    assert found.effect == round(weighted / weights, 6) == 0.407622
    assert found.interval == (0.26612, 0.54685)


def test_evidence_and_counter_evidence_are_the_runs_they_claim_to_be() -> None:
    found = the_finding()
    failing, calling = set(), set()
    for run in recorded.trajectories():
        for call, answer in recorded.answered_calls(run):
            if call["function"]["name"] == TOOL and answer is not None:
                calling.add(run["trace_id"])
                if "does not add up" in answer["content"]:
                    failing.add(run["trace_id"])
    assert found.evidence
    assert set(found.evidence) <= failing
    assert set(found.counter_evidence) <= calling - failing


def test_the_rule_is_read_off_the_error_and_the_arguments() -> None:
    rule = the_finding().detail["rule"]
    assert rule["path"] == "payment_methods[].amount"
    assert (rule["how"], rule["relation"], rule["wanted"]) == ("sum", "equal", "total price")


def test_the_wanted_total_often_stood_in_earlier_outputs() -> None:
    derivable = the_finding().detail["derivable"]
    assert derivable["failing"] == 35
    assert derivable["computable"] >= derivable["right"] >= 15


def test_the_calls_that_lack_a_required_key_are_held_back_as_too_few() -> None:
    [held] = [
        one
        for one in findings()
        if one.detail["tool"] == TOOL and one.detail.get("shape", {}).get("kind") == "lacks"
    ]
    assert (held.n, held.k, held.confirmed) == (3, 3, False)
    assert held.reason == "too few: 3 calls in 3 tasks; needs 5 calls in 3 tasks"
    assert held.detail["shape"]["path"] == "payment_methods[]"
    assert held.detail["keys"]["missing"] == {"amount": 2, "payment_id": 2}
    assert held.detail["keys"]["instead"]["id"] == {
        "calls": 2,
        "returned_by": ["get_user_details"],
    }


def test_good_calls_show_where_the_value_under_the_wrong_key_belongs() -> None:
    [held] = [
        one
        for one in findings()
        if one.detail["tool"] == TOOL and one.detail.get("shape", {}).get("kind") == "lacks"
    ]
    place = held.detail["keys"]["belongs_in"]["id"]
    assert place == {"key": "payment_id", "good_calls": 46, "good_calls_with_key": 46}


def test_every_finding_that_is_held_back_says_why() -> None:
    assert all((one.reason is None) == one.confirmed for one in findings())


def test_counting_does_not_depend_on_the_order_of_rows() -> None:
    rows = list(recorded.recorded_rows())
    Random(7).shuffle(rows)
    again = findings_of(list(misuse_hypotheses(rows, recorded.recorded_definitions())))
    assert tuple(again) == findings()


def test_without_definitions_required_keys_are_learned_from_calls_that_succeed() -> None:
    calls = calls_of(recorded.recorded_rows())
    keys = [
        one.support
        for one in hypotheses_of_calls(calls, {})
        if one.key == f"shape|{TOOL}|payment_methods[]|lacks|"
    ]
    assert [(support.n, support.k) for support in keys] == [(3, 3)]


def test_the_lessons_diff_applies_to_the_recorded_harness(tmp_path: Path) -> None:
    base = recorded.data_dir() / "airline_harness" / "tools.json"
    shutil.copyfile(base, tmp_path / "tools.json")
    [lesson] = harness_lessons(findings(), tmp_path)
    assert lesson.findings == (the_finding().finding_id,)
    assert lesson.patch is not None
    assert (lesson.layer, lesson.scope, lesson.state) == ("harness", "global", "proposed")
    assert lesson.base_path == "tools.json"
    assert "35 of 102 calls" in lesson.body
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, check=True, input=lesson.patch.encode())
    before, after = json.loads(base.read_text()), json.loads((tmp_path / "tools.json").read_text())
    changed = [
        (one["function"]["name"], name, was["description"], now["description"])
        for one, two in zip(before, after, strict=True)
        for name, was in one["function"]["parameters"]["properties"].items()
        if (now := two["function"]["parameters"]["properties"][name]) != was
    ]
    [(tool, argument, was, now)] = changed
    assert (tool, argument) == (TOOL, "payment_methods")
    assert now == (
        f"{was} The sum of payment_methods[].amount must equal the 'total price'; work it out "
        "before the call, which otherwise fails with 'payment amount does not add up, total price "
        "is ..., but paid ...'."
    )
    assert wanted_keys([before]) == wanted_keys([after])


def test_the_definition_itself_gets_no_counts() -> None:
    [lesson] = harness_lessons([the_finding()], recorded.data_dir() / "airline_harness")
    assert lesson.patch is not None
    added = [line for line in lesson.patch.splitlines() if line.startswith("+ ")]
    assert len(added) == 1
    assert not re.search(r"\d", added[0])
