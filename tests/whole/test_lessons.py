"""Lessons from proposal to measurement, by commands, on a running spanlore."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.lessons.desk import Proposal
from spanlore.analyzers.lessons.patch import unified_diff
from spanlore.cli import review_door
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import read_run_file
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.lesson_state import content_hash
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson
from tests.deploy.command_line import Ended, run_cli
from tests.deploy.git_repository import git, repository

FREE_PORTS = [f"--{name}-port=0" for name in ("store", "grpc", "http", "review")]
DEADLINE_S = 60.0
POLL_S = 0.05
BEFORE, AFTER = '{"description": "When"}\n', '{"description": "When. RFC 3339."}\n'
PASSED = {
    "verdict": "pass",
    "gate": "held_out_match",
    "reason": "it would have matched 19 of 20 held-out runs",
    "n": 20,
    "match": 0.95,
    "interval": [0.76, 0.99],
}


@dataclass(frozen=True, slots=True)
class Whole:
    """A running spanlore and the commands of one who uses it."""

    folder: Path
    running: Running

    def said(self, *arguments: str) -> Ended:
        return run_cli(*arguments, "--data-dir", self.folder)

    def document(self, *arguments: str) -> Any:
        ended = self.said(*arguments, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def propose(self, lesson: Lesson, evaluation: dict[str, Any] | None = PASSED) -> Lesson:
        proposal = Proposal(lesson=lesson, evaluation=evaluation)
        [kept] = review_door.submit(self.running, [proposal], [], by="spanlore learn")
        return kept.lesson

    def approved(self, lesson: Lesson, *options: str) -> Any:
        self.propose(lesson)
        return self.document(
            "lessons", "approve", lesson.lesson_id, "--by", "Ada Lovelace", *options
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("lessons")
    ended = run_cli("up", "--detach", "--data-dir", folder, *FREE_PORTS)
    assert ended.code == 0, ended.err
    try:
        yield Whole(folder, find_running(folder))
    finally:
        assert run_cli("down", "--data-dir", folder).code == 0


def lesson_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def memory(name: str, **changes: Any) -> Lesson:
    """Return a memory for one user of one tenant; its name makes it its own."""
    fresh = Lesson(
        lesson_id=lesson_id(name),
        layer="context",
        scope="user",
        scope_key=f"user-{name}",
        tenant=f"tenant-{name}",
        kind="memory",
        title=f"Meetings start at ten for {name}",
        body=f"The user of {name} prefers meetings to start at 10:00.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=("f1",),
        evidence=("a" * 32,),
        selector={"agent": "assistant"},
        content={
            "slot": {"tool": "create_event", "field": "/start", "part": "time_of_day"},
            "value": "10:00",
            "instead_of": "09:00",
        },
    )
    return replace(fresh, **changes)


def of_tenant(name: str, **changes: Any) -> Lesson:
    return memory(name, scope="tenant", scope_key=f"tenant-{name}", **changes)


def harness(name: str) -> Lesson:
    return memory(
        name,
        layer="harness",
        scope="global",
        scope_key="",
        tenant="",
        kind="tool_description",
        selector={},
        content={"tool": "create_event", "says": ["RFC 3339."]},
        patch=unified_diff("tools.json", BEFORE, AFTER),
        base_path="tools.json",
        base_hash=hashlib.sha256(BEFORE.encode()).hexdigest(),
    )


def question(name: str, *more: str) -> list[str]:
    who = ["--user", f"user-{name}", "--tenant", f"tenant-{name}", "--agent", "assistant"]
    return ["memory", *who, *more]


def test_an_approved_memory_is_what_an_agent_is_given(whole: Whole) -> None:
    whole.propose(memory("own"))
    assert whole.document(*question("own"))["items"] == []
    ended = whole.said("lessons", "approve", lesson_id("own")[:10], "--by", "Ada Lovelace")
    assert ended.code == 0, ended.err
    assert "approved by Ada Lovelace" in ended.out
    assert "user user-own of tenant-own" in ended.out
    assert "held out" not in ended.out
    assert f"spanlore lessons effect {lesson_id('own')[:8]}" in ended.out
    given = whole.document(*question("own"))
    [item] = given["items"]
    assert item["lesson_id"] == lesson_id("own")
    assert "10:00" in given["text"]
    assert given["tokens"] <= given["budget_tokens"] == 1000
    shown = whole.said(*question("own")).out
    assert "Meetings start at ten for own" in shown
    assert "prefers meetings to start at 10:00" in shown


def test_a_memory_is_for_its_scope_and_its_selector_alone(whole: Whole) -> None:
    whole.approved(memory("alone", selector={"agent": "assistant", "segment.zone": "CET"}))
    assert whole.document(*question("alone"))["items"] == []
    assert len(whole.document(*question("alone", "--segment", "zone=CET"))["items"]) == 1
    other = ["memory", "--user", "user-alone", "--tenant", "other", "--agent", "assistant"]
    assert whole.document(*other, "--segment", "zone=CET")["items"] == []


def test_what_does_not_fit_the_budget_is_named_with_the_reason(whole: Whole) -> None:
    whole.approved(memory("big", body="word " * 200))
    given = whole.document(*question("big", "--budget-tokens", "100"))
    assert (given["items"], given["text"], given["tokens"]) == ([], "", 0)
    assert given["left_out"][0]["lesson_id"] == lesson_id("big")
    shown = whole.said(*question("big", "--budget-tokens", "100")).out
    assert "left out" in shown
    assert given["left_out"][0]["reason"][:20] in shown


def test_a_segment_that_is_no_pair_is_a_usage_error(whole: Whole) -> None:
    ended = whole.said("memory", "--segment", "zone")
    assert ended.code == 2
    assert "NAME=VALUE" in ended.err


def test_the_share_that_is_held_out_is_kept_with_the_approval_and_shown(whole: Whole) -> None:
    document = whole.approved(of_tenant("shared"), "--hold-out", "0.4")
    assert document["approvals"][-1]["hold_out"] == 0.4
    assert document["approvals"][-1]["by"] == "Ada Lovelace"
    shown = whole.said("lessons", "show", lesson_id("shared")).out
    assert "40% held out" in shown
    arms = []
    for number in range(40):
        who = ["--user", f"u{number}", "--tenant", "tenant-shared", "--agent", "assistant"]
        given = review_door.memories(whole.running, dict(zip(_names(who), who[1::2], strict=True)))
        arms.append(bool(given["held_out"]))
    assert 0 < sum(arms) < len(arms)
    first = arms.index(True)
    shown = whole.said(
        "memory", "--user", f"u{first}", "--tenant", "tenant-shared", "--agent", "assistant"
    ).out
    assert "held out" in shown


def _names(options: list[str]) -> list[str]:
    return [option.removeprefix("--") for option in options[::2]]


def test_approving_twice_is_refused_in_the_doors_own_words(whole: Whole) -> None:
    whole.approved(memory("twice"))
    ended = whole.said("lessons", "approve", lesson_id("twice"), "--by", "Ada")
    assert ended.code == 1
    assert "is approved: approve may not follow" in ended.err
    assert "Traceback" not in ended.err


def test_what_failed_its_gate_may_be_rejected_but_not_approved(whole: Whole) -> None:
    failed = {"verdict": "fail", "gate": "held_out_match", "reason": "3 of 20 matched", "n": 20}
    whole.propose(memory("failed"), failed)
    ended = whole.said("lessons", "approve", lesson_id("failed"), "--by", "Ada")
    assert ended.code == 1
    assert "last evaluation says fail" in ended.err
    ended = whole.said("lessons", "reject", lesson_id("failed"), "--by", "Ada", "--reason", "no")
    assert ended.code == 0, ended.err
    assert "rejected by Ada" in ended.out
    [listed] = [
        one
        for one in whole.document("lessons", "list", "--state", "rejected")
        if one["lesson_id"] == lesson_id("failed")
    ]
    assert listed["evaluations"][-1]["reason"] == "3 of 20 matched"


def test_an_approval_needs_a_name(whole: Whole) -> None:
    whole.propose(of_tenant("nameless"))
    assert whole.said("lessons", "approve", lesson_id("nameless")).code == 2
    ended = whole.said("lessons", "approve", lesson_id("nameless"), "--by", " ")
    assert ended.code == 2
    assert "--by" in ended.err


def test_a_revoked_memory_is_given_to_nobody_from_then_on(whole: Whole) -> None:
    whole.approved(memory("gone"))
    assert len(whole.document(*question("gone"))["items"]) == 1
    ended = whole.said("lessons", "revoke", lesson_id("gone"), "--reason", "moved away")
    assert ended.code == 0, ended.err
    assert "given to nobody" in ended.out
    assert whole.document(*question("gone"))["items"] == []
    entries = whole.document("lessons", "log", lesson_id("gone"))["entries"]
    assert entries[-1]["event"] == "revoke"
    assert entries[-1]["by"].strip()


def test_a_lesson_that_is_not_there_is_named(whole: Whole) -> None:
    for command in (["show"], ["approve", "--by", "Ada"], ["effect"], ["log"]):
        ended = whole.said("lessons", command[0], "ffffffffffff", *command[1:])
        assert ended.code == 1, ended
        assert "no lesson begins with ffffffffffff; see `spanlore lessons list`" in ended.err


def test_the_log_tells_who_did_what_and_that_its_chain_is_whole(whole: Whole) -> None:
    whole.approved(memory("logged"))
    document = whole.document("lessons", "log", lesson_id("logged"))
    assert [entry["event"] for entry in document["entries"]] == ["propose", "evaluate", "approve"]
    assert (document["verified"], document["broken_at"]) == (True, None)
    shown = whole.said("lessons", "log").out
    assert "Ada Lovelace" in shown
    assert "the chain of hashes is whole" in shown


def test_a_lesson_is_shown_with_its_gate_its_numbers_and_its_approval(whole: Whole) -> None:
    whole.approved(memory("shown"))
    shown = whole.said("lessons", "show", lesson_id("shown")).out
    assert "19 of 20 held-out runs" in shown
    assert "interval [0.76, 0.99], match 0.95, n 20" in shown
    assert "by Ada Lovelace" in shown
    assert "user user-shown of tenant-shown, agent assistant" in shown
    document = whole.document("lessons", "show", lesson_id("shown"))
    assert document["selector"] == {"agent": "assistant"}
    assert document["effect"] is None


def test_an_effect_without_any_run_is_not_enough_data(whole: Whole) -> None:
    whole.approved(of_tenant("unused"))
    document = whole.document("lessons", "effect", lesson_id("unused"))
    assert document["verdict"] == "not_enough_data"
    assert document["state"] == "approved"
    assert document["arms"]["exposed"]["runs"] == 0
    shown = whole.said("lessons", "effect", lesson_id("unused"))
    assert shown.code == 0
    assert "not enough data" in shown.out


def test_a_lesson_that_nobody_approved_has_no_effect_to_measure(whole: Whole) -> None:
    whole.propose(memory("unapproved"))
    ended = whole.said("lessons", "effect", lesson_id("unapproved"))
    assert ended.code == 1
    assert "is evaluated" in ended.err


def test_an_approved_diff_is_applied_and_a_proposed_one_is_not(
    whole: Whole, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"tools.json": BEFORE.encode()})
    whole.propose(harness("diff"))
    apply = ("lessons", "apply", lesson_id("diff"), "--repo", str(repo))
    refused = whole.said(*apply)
    assert refused.code == 1
    assert "spanlore lessons approve" in refused.err
    ended = whole.said("lessons", "approve", lesson_id("diff"), "--by", "Ada")
    assert f"spanlore lessons apply {lesson_id('diff')[:8]} --repo PATH" in ended.out
    document = whole.document(*apply)
    assert git(repo, "show", f"{document['branch']}:tools.json") == AFTER.strip()
    assert "Approved-by: Ada" in git(repo, "log", "-1", "--format=%B", document["branch"])


def test_status_shows_the_door_and_how_far_the_loop_turned(whole: Whole) -> None:
    whole.approved(memory("counted"))
    row = {
        "TenantId": "tenant-counted", "TraceId": "b" * 32, "UserId": "user-counted",
        "LessonId": lesson_id("counted"), "LessonVersion": 3, "Arm": "exposed",
        "At": datetime.now(UTC),
    }  # fmt: skip
    with Store.connect(whole.running.store_url) as store:
        store.insert(EXPOSURES, [row])
    document = whole.document("status")
    assert document["review"]["problem"] is None
    assert document["review"]["pid"]
    assert document["review"]["counters"]["log_entries"] >= 3
    wheel = document["flywheel"]
    assert sum(wheel["lessons_by_state"].values()) == wheel["lessons"]
    assert wheel["exposures_by_arm"]["exposed"] >= 1
    shown = whole.said("status").out
    assert "review" in shown
    assert "  lessons: " in shown
    assert " exposed" in shown


def test_a_killed_door_comes_back_on_its_port_with_what_it_kept(whole: Whole) -> None:
    whole.approved(memory("kept"))
    before = read_run_file(whole.folder)
    assert before
    os.kill(before["review"]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_S
    while (read_run_file(whole.folder) or before)["review"]["pid"] == before["review"]["pid"]:
        assert time.monotonic() < deadline, "the review door did not come back"
        time.sleep(POLL_S)
    assert (read_run_file(whole.folder) or {})["review"]["port"] == before["review"]["port"]
    assert len(whole.document(*question("kept"))["items"]) == 1
    assert whole.document("lessons", "log")["verified"] is True


def test_the_door_takes_no_decision_without_the_token(whole: Whole) -> None:
    whole.propose(memory("locked"))
    stranger = replace(whole.running, review_token="guess")
    with pytest.raises(Exception, match="SPANLORE_REVIEW_TOKEN") as caught:
        review_door.event(stranger, lesson_id("locked"), "approve", by="Eve", human=True, detail={})
    assert getattr(caught.value, "exit_code", None) == 3


def test_an_approval_of_other_words_than_those_that_stand_is_refused(whole: Whole) -> None:
    stale = content_hash(memory("reworded"))
    whole.propose(memory("reworded", body="Something else altogether."))
    with pytest.raises(Exception, match=r"changed|content") as caught:
        review_door.event(
            whole.running,
            lesson_id("reworded"),
            "approve",
            by="Ada",
            human=True,
            detail={"content_hash": stale},
        )
    assert getattr(caught.value, "exit_code", None) == 1


@pytest.mark.parametrize(
    "command",
    [["memory"], ["learn"], ["lessons", "log"], ["lessons", "approve", "00", "--by", "Ada"]],
)
def test_without_a_door_the_exit_code_is_three_with_the_next_step(
    command: list[str], whole: Whole
) -> None:
    environment = {
        "SPANLORE_STORE_URL": whole.running.store_url,
        "SPANLORE_DATA_DIR": str(whole.folder / "none"),
    }
    with closing(HTTPConnection("127.0.0.1", 4319, timeout=1)) as connection:
        try:
            connection.connect()
        except OSError:
            ended = run_cli(*command, env=environment)
        else:
            pytest.skip("something serves the default port of the review door")
    assert ended.code == 3
    assert "http://127.0.0.1:4319" in ended.err
    assert "spanlore up" in ended.err
