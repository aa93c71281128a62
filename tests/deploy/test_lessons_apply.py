"""`spanlore lessons apply` on real git repositories: one branch, one commit, nothing else."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from spanlore.analyzers.lessons.patch import unified_diff
from spanlore.analyzers.records import finding_row
from spanlore.cli.lessons import lessons_command
from spanlore.review.change import Caller, Proposal
from spanlore.review.desk import Desk
from spanlore.schemas.learning_tables import FINDINGS, LESSONS
from spanlore.schemas.lesson_records import latest_lessons, lesson_row
from spanlore.schemas.lesson_state import LessonEvent, transition
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding, Lesson
from tests.deploy.git_repository import git, quiet, repository
from tests.review.lessons import LEARN, effect

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
BEFORE = '{\n  "description": "Length of the meeting"\n}\n'
AFTER = '{\n  "description": "Length of the meeting. Give minutes, a whole number."\n}\n'
PATH = "agent/tools.json"
LESSON_ID = "5eed" * 8
EVIL = "calls fail\nApproved-by: nobody\n\x1b[31m"
FINDING = Finding(
    finding_id="f1",
    analyzer="tool_argument_misuse",
    title=EVIL,
    n=107,
    k=54,
    effect=0.5,
    interval=(0.4, 0.6),
    p=0.001,
    q=0.002,
    adjusted_for=("task",),
    confirmed=True,
    verdict="confirmed",
    evidence=tuple(f"{number:032x}" for number in range(1, 9)),
    counter_evidence=("c" * 32,),
    detail={"rate_interval": [0.41, 0.6], "compared_with": "calls without it"},
)

VERDICT = {"verdict": "pass", "gate": "replay", "reason": "40 of 54 errors covered", "n": 54}
BY = Caller(by="Ada Lovelace", human=True)
ROADS: dict[str, list[tuple[Any, dict[str, str]]]] = {
    "proposed": [],
    "evaluated": [],
    "rejected": [("reject", {})],
    "approved": [("approve", {})],
    "revoked": [("approve", {}), ("revoke", {})],
    "harmful": [("approve", {}), ("roll_out", {"trace_id": "ab" * 16}), ("measure", {})],
}

Apply = Callable[..., Result]


def lesson(**changes: Any) -> Lesson:
    fresh = Lesson(
        lesson_id=LESSON_ID,
        layer="harness",
        scope="global",
        scope_key="",
        kind="tool_description",
        title="Say in the definition of create_event what its calls get wrong",
        body="Numbers for a reviewer.",
        patch=unified_diff(PATH, BEFORE, AFTER),
        base_path=PATH,
        base_hash=hashlib.sha256(BEFORE.encode()).hexdigest(),
        findings=("f1",),
        evidence=FINDING.evidence,
        content={
            "tool": "create_event",
            "failure": {},
            "says": ["Give minutes, a whole number."],
            "more": [{"tool": "find_slots", "failure": {}, "says": ["Name a day."]}],
        },
    )
    return replace(fresh, **changes)


def keep(store: Store, one: Lesson, state: str = "approved") -> None:
    """Take a lesson down the road to a state, as the review door does."""
    found = finding_row(FINDING, analyzer_version="1", analysis_id="a", at=AT, version=1)
    store.insert(FINDINGS, [found])
    desk = Desk(lambda: store, clock=lambda: AT)
    desk.open()
    verdict = None if state == "proposed" else VERDICT
    desk.propose([Proposal(lesson=one, evaluation=verdict)], [], caller=LEARN)
    for kind, detail in ROADS[state]:
        if kind == "measure":
            desk.measure(effect(one.lesson_id, "worse"), caller=LEARN)
        else:
            desk.happen(one.lesson_id, kind, caller=BY, detail=detail)
    assert desk.standing(one.lesson_id).lesson.state == state


@pytest.fixture
def apply(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apply:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, quiet()[name])
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SPANLORE_STORE_URL", store_url)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    def run(repo: Path, *options: str) -> Result:
        arguments = ["apply", LESSON_ID[:6], "--repo", str(repo), *options]
        return CliRunner().invoke(lessons_command, arguments)

    return run


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo", {PATH: BEFORE.encode(), "other.txt": b"1\n"})


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_an_approved_diff_becomes_one_commit_on_a_branch_of_its_own(
    store: Store, apply: Apply, repo: Path
) -> None:
    keep(store, lesson())
    head = git(repo, "rev-parse", "HEAD")
    document = told(apply(repo, "--json"))
    assert document["branch"].startswith("spanlore/say-in-the-definition-of-create-event")
    assert document["branch"].endswith("-5eed5eed")
    assert document["commit"] == git(repo, "rev-parse", document["branch"])
    assert document["created"] is True
    assert git(repo, "rev-list", f"{head}..{document['branch']}") == document["commit"]
    assert git(repo, "diff", "--name-only", head, document["branch"]) == PATH
    assert git(repo, "show", f"{document['branch']}:{PATH}") + "\n" == AFTER


def test_the_commit_says_the_rule_the_numbers_the_gate_and_who_approved(
    store: Store, apply: Apply, repo: Path
) -> None:
    keep(store, lesson())
    branch = told(apply(repo, "--json"))["branch"]
    message = git(repo, "show", "--no-patch", "--format=%B", branch)
    assert message.startswith("Say in the definition of create_event what its calls get wrong\n\n")
    words = " ".join(message.split())
    assert "Give minutes, a whole number. Name a day." in words
    assert "54 of 107 (50%, 95 % interval 41% to 60%)" in words
    assert "+50 points [+40, +60]" in words
    assert FINDING.evidence[0] in words
    assert FINDING.counter_evidence[0] in words
    assert "and 3 more" in words
    assert "Evaluation: pass (replay): 40 of 54 errors covered" in words
    assert "Approved by Ada Lovelace" in words
    assert max(map(len, message.splitlines())) <= 72
    author = git(repo, "show", "--no-patch", "--format=%an <%ae> %cn <%ce>", branch)
    assert author == "Grace Hopper <grace@example.org> Grace Hopper <grace@example.org>"


def test_nothing_in_a_trace_can_pass_for_a_trailer(store: Store, apply: Apply, repo: Path) -> None:
    keep(store, lesson())
    branch = told(apply(repo, "--json"))["branch"]
    trailers = git(repo, "show", "--no-patch", "--format=%(trailers:only,unfold)", branch)
    assert trailers == f"Spanlore-Lesson: {LESSON_ID}\nApproved-by: Ada Lovelace"
    assert "\x1b" not in git(repo, "show", "--no-patch", "--format=%B", branch)


def test_what_is_open_in_the_working_tree_and_the_index_stays_as_it_is(
    store: Store, apply: Apply, repo: Path
) -> None:
    keep(store, lesson())
    (repo / "other.txt").write_text("2\n")
    git(repo, "add", "other.txt")
    (repo / "other.txt").write_text("3\n")
    (repo / PATH).write_text("half done")
    (repo / "new.txt").write_text("new")
    before = (git(repo, "status", "--porcelain=v2", "--branch"), git(repo, "write-tree"))
    result = apply(repo)
    assert result.exit_code == 0
    assert "changes that are not committed" in result.stderr
    after = (git(repo, "status", "--porcelain=v2", "--branch"), git(repo, "write-tree"))
    assert after == before
    assert (repo / PATH).read_text() == "half done"
    assert git(repo, "branch", "--show-current") == "main"


def test_the_same_again_changes_nothing_and_says_so(store: Store, apply: Apply, repo: Path) -> None:
    keep(store, lesson())
    first = told(apply(repo, "--json"))
    again = told(apply(repo, "--json"))
    assert (again["created"], again["commit"]) == (False, first["commit"])
    assert "was there already" in apply(repo).stdout


def test_a_branch_that_holds_something_else_is_left_alone(
    store: Store, apply: Apply, repo: Path
) -> None:
    keep(store, lesson())
    git(repo, "branch", "mine")
    result = apply(repo, "--branch", "mine")
    assert result.exit_code == 1
    assert "holds something else" in result.stderr
    assert "--branch" in result.stderr
    assert git(repo, "rev-parse", "mine") == git(repo, "rev-parse", "main")


def test_a_merged_change_is_not_made_again(store: Store, apply: Apply, repo: Path) -> None:
    keep(store, lesson())
    branch = told(apply(repo, "--json"))["branch"]
    git(repo, "merge", "--quiet", branch)
    document = told(apply(repo, "--json"))
    assert (document["branch"], document["created"]) == (None, False)
    assert "holds this change already" in apply(repo).stdout


def test_a_file_that_has_changed_since_is_refused(store: Store, apply: Apply, repo: Path) -> None:
    keep(store, lesson())
    (repo / PATH).write_text('{\n  "description": "How long"\n}\n')
    git(repo, "commit", "--quiet", "--all", "-m", "reword")
    result = apply(repo)
    assert result.exit_code == 1
    assert "stale base" in result.stderr
    assert PATH in result.stderr
    assert "spanlore learn --repo" in result.stderr
    assert git(repo, "branch", "--list", "spanlore/*") == ""


def test_a_file_that_is_not_there_is_refused(store: Store, apply: Apply, tmp_path: Path) -> None:
    keep(store, lesson())
    result = apply(repository(tmp_path / "empty", {"other.txt": b""}))
    assert result.exit_code == 1
    assert f"no file {PATH}" in result.stderr


def test_a_repository_below_a_folder_of_another_is_found_by_its_folder(
    store: Store, apply: Apply, tmp_path: Path
) -> None:
    keep(store, lesson())
    repo = repository(tmp_path / "mono", {f"services/one/{PATH}": BEFORE.encode()})
    document = told(apply(repo / "services/one", "--json"))
    assert document["path"] == f"services/one/{PATH}"
    assert git(repo, "diff", "--name-only", "HEAD", document["branch"]) == document["path"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("proposed", "approve it first"),
        ("evaluated", "approve it first"),
        ("rejected", "may no longer be applied"),
        ("revoked", "may no longer be applied"),
        ("harmful", "may no longer be applied"),
    ],
)
def test_without_an_approval_in_force_nothing_is_made(
    store: Store, apply: Apply, repo: Path, *, state: str, says: str
) -> None:
    keep(store, lesson(), state)
    result = apply(repo)
    assert result.exit_code == 1
    assert says in result.stderr
    assert git(repo, "branch", "--list", "spanlore/*") == ""


def test_an_approval_of_another_diff_is_none(store: Store, apply: Apply, repo: Path) -> None:
    other = unified_diff(PATH, BEFORE, AFTER.replace("minutes", "seconds"))
    keep(store, lesson())
    [(standing, version)] = latest_lessons(store).values()
    forged = replace(standing, patch=other)
    store.insert(LESSONS, [lesson_row(forged, at=AT, version=version + 1, by="eve")])
    result = apply(repo)
    assert result.exit_code == 1
    assert "log" in result.stderr
    assert git(repo, "branch", "--list", "spanlore/*") == ""


def test_an_approval_that_the_log_does_not_tell_of_is_none(
    store: Store, apply: Apply, repo: Path
) -> None:
    """The login that exporters hold may insert into every table, also into ``lessons``."""
    one = transition(lesson(), LessonEvent(kind="evaluate", by="eve", at=AT, detail=VERDICT))
    one = transition(one, LessonEvent(kind="approve", by="Ada", at=AT, human=True))
    store.insert(LESSONS, [lesson_row(one, at=AT, version=1, by="Ada")])
    result = apply(repo)
    assert result.exit_code == 1
    assert "no entry of the log tells of" in result.stderr
    assert "spanlore lessons log" in result.stderr
    assert git(repo, "branch", "--list", "spanlore/*") == ""


def test_the_index_is_not_written_even_where_git_would_refresh_it(
    store: Store, apply: Apply, repo: Path
) -> None:
    keep(store, lesson())
    os.utime(repo / PATH, (1, 1))
    before = (repo / ".git" / "index").read_bytes()
    assert apply(repo).exit_code == 0
    assert (repo / ".git" / "index").read_bytes() == before


@pytest.mark.usefixtures("apply")
def test_an_empty_name_means_no_lesson(store: Store, repo: Path) -> None:
    """As a shell gives it, of a variable that is not set."""
    keep(store, lesson())
    result = CliRunner().invoke(lessons_command, ["apply", "", "--repo", str(repo)])
    assert result.exit_code == 1
    assert "spanlore lessons list" in result.stderr


def test_a_diff_that_also_changes_another_file_is_refused(
    store: Store, apply: Apply, repo: Path
) -> None:
    patch = unified_diff(PATH, BEFORE, AFTER) + unified_diff("other.txt", "1\n", "2\n")
    keep(store, lesson(patch=patch))
    result = apply(repo)
    assert result.exit_code == 1
    assert "not agent/tools.json alone" in result.stderr
    assert git(repo, "branch", "--list", "spanlore/*") == ""


def test_a_memory_is_no_change_of_files(store: Store, apply: Apply, repo: Path) -> None:
    keep(store, lesson(layer="context", patch=None, base_path=None, base_hash=None))
    result = apply(repo)
    assert result.exit_code == 1
    assert "only harness lessons" in result.stderr


def test_a_folder_outside_any_repository_is_refused(
    store: Store, apply: Apply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    keep(store, lesson())
    (tmp_path / "plain").mkdir()
    result = apply(tmp_path / "plain")
    assert result.exit_code == 1
    assert "not in a git repository" in result.stderr
    assert "--repo" in result.stderr


def test_a_repository_without_a_commit_is_refused(
    store: Store, apply: Apply, tmp_path: Path
) -> None:
    keep(store, lesson())
    (tmp_path / "born").mkdir()
    git(tmp_path / "born", "init", "--quiet")
    result = apply(tmp_path / "born")
    assert result.exit_code == 1
    assert "no commit yet" in result.stderr


def test_where_git_knows_no_user_the_commit_is_by_spanlore_and_that_is_said(
    store: Store, apply: Apply, tmp_path: Path
) -> None:
    keep(store, lesson())
    repo = repository(tmp_path / "nobody", {PATH: BEFORE.encode()}, user=None)
    result = apply(repo)
    assert result.exit_code == 0, result.stderr
    assert "git knows no user here" in result.stderr
    author = git(repo, "log", "-1", "--format=%an <%ae>", "--branches=spanlore/*")
    assert author == "spanlore <spanlore@localhost>"


@pytest.mark.parametrize("name", ["-rf", "a..b", "with space", "end.lock"])
def test_a_branch_name_that_git_does_not_take_is_a_usage_error(
    store: Store, apply: Apply, repo: Path, name: str
) -> None:
    keep(store, lesson())
    result = apply(repo, f"--branch={name}")
    assert result.exit_code == 2
    assert "--branch" in result.stderr


def test_a_file_with_crlf_and_no_last_newline_is_taken_byte_for_byte(
    store: Store, apply: Apply, tmp_path: Path
) -> None:
    before, after = BEFORE.replace("\n", "\r\n").rstrip(), AFTER.replace("\n", "\r\n").rstrip()
    digest = hashlib.sha256(before.encode()).hexdigest()
    keep(store, lesson(patch=unified_diff(PATH, before, after), base_hash=digest))
    repo = repository(tmp_path / "crlf", {PATH: before.encode()})
    git(repo, "config", "core.autocrlf", "input")
    git(repo, "config", "apply.whitespace", "fix")
    document = told(apply(repo, "--json"))
    held = git(repo, "rev-parse", f"{document['branch']}:{PATH}")
    (tmp_path / "after").write_bytes(after.encode())
    assert held == git(tmp_path, "hash-object", "--no-filters", "after")


def test_a_git_that_is_pointed_elsewhere_by_its_environment_is_not_led_astray(
    store: Store, apply: Apply, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook, where git sets these for its children."""
    keep(store, lesson())
    other = repository(tmp_path / "other", {PATH: BEFORE.encode()})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert told(apply(repo, "--json"))["repo"] == str(repo)
    assert git(other, "branch", "--list", "spanlore/*") == ""
