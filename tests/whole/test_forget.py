"""`spanlore forget` on a running spanlore, down to the bytes on its disk."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from spanlore.analyzers.lessons.desk import Proposal
from spanlore.cli import collector_door, review_door
from spanlore.cli.connection import Running, find_running
from spanlore.schemas import tables
from spanlore.schemas.learning_tables import EXPOSURES, LEARNING_LOG, LESSONS, RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson
from tests.collector.otlp_requests import new_ids, spans_of, traces
from tests.deploy.command_line import Ended, environment, run_cli
from tests.waiting import wait_until
from tests.whole.stored_bytes import files_holding
from tests.whole.test_lessons import FREE_PORTS, PASSED, memory

pytestmark = pytest.mark.slow

PROTOBUF = {"content-type": "application/x-protobuf"}
USER = "canary-user-5f31"
OTHER = "canary-user-5f31-b"  # the name is a part of another's
TENANT, ELSEWHERE = "acme", "hooli"
# Said in a prompt, a tool's arguments, a tool's answer, a judgement and a memory.
PROMPT, ARGUMENT, ANSWER, REASON, REMEMBERED = WORDS = (
    "canaryprompt8d2",
    "canaryargument8d2",
    "canaryanswer8d2",
    "canaryreason8d2",
    "canarymemory8d2",
)


def trajectory(number: int, *, user: str, tenant: str, words: tuple[str, ...]) -> dict[str, Any]:
    prompt, argument, answer = words
    arguments = json.dumps({"q": argument})
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": arguments}}
    return {
        "run_id": f"run-{tenant}-{user}-{number}",
        "task": {"type": "search", "id": f"t{number % 3}"},
        "agent": {"name": "assistant", "version": "1"},
        "model": "gpt-4o",
        "user_id": user,
        "tenant_id": tenant,
        "started_at": f"2026-05-01T10:{number:02d}:00Z",
        "ended_at": f"2026-05-01T10:{number:02d}:30Z",
        "outcome": {"label": "fail" if number % 2 else "pass", "source": "environment"},
        "messages": [
            {"role": "system", "content": f"You serve {user}."},
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": answer, "is_error": number % 2 == 1},
            {"role": "assistant", "content": "done"},
        ],
    }


def write_runs(path: Path) -> Path:
    theirs = (PROMPT, ARGUMENT, ANSWER)
    plain = ("find it", "it", "found it")
    runs = [
        *(trajectory(n, user=USER, tenant=TENANT, words=theirs) for n in range(6)),
        *(trajectory(n, user=OTHER, tenant=TENANT, words=plain) for n in range(5)),
        *(trajectory(n, user=USER, tenant=ELSEWHERE, words=plain) for n in range(4)),
    ]
    path.write_text("".join(f"{json.dumps(one)}\n" for one in runs), encoding="utf-8")
    return path


COUNTS = {
    tables.TRACES: "uniqExact(TraceId, SpanId)",
    tables.RUNS: "uniqExact(TraceId)",
    tables.JUDGEMENTS: "uniqExact(TraceId, Name, Source, Evaluator)",
    tables.LOGS: "count()",
    EXPOSURES: "uniqExact(TraceId, LessonId)",
    RUN_FACTS: "uniqExact(TraceId, Extractor, Key)",
}


class Place:
    """A running spanlore with runs of three users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.running: Running = find_running(self.data_dir)

    def said(self, *arguments: str) -> Ended:
        return run_cli(*arguments, "--data-dir", self.data_dir)

    def document(self, *arguments: str) -> Any:
        ended = self.said(*arguments, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def query(self, sql: str) -> list[dict[str, Any]]:
        with Store.connect(self.running.store_url) as store:
            return store.query(sql)

    def of(self, user: str, tenant: str) -> dict[str, int]:
        """Count what stands of a user, by table; the store folds copies when it likes."""
        return {
            table: self.query(
                f"SELECT {counts} AS n FROM {table} WHERE TenantId = '{tenant}' AND TraceId IN ("
                f"SELECT TraceId FROM {tables.TRACES} "
                f"WHERE UserId = '{user}' AND TenantId = '{tenant}')"
            )[0]["n"]
            for table, counts in COUNTS.items()
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("forget")
    data_dir = folder / "data"
    ended = run_cli("up", "--detach", "--data-dir", data_dir, *FREE_PORTS)
    assert ended.code == 0, ended.err
    try:
        made = Place(folder)
        fill(made)
        yield made
    finally:
        assert run_cli("down", "--data-dir", data_dir).code == 0


def fill(place: Place) -> None:
    ended = place.said("import", str(write_runs(place.folder / "runs.jsonl")))
    assert ended.code == 0, ended.err
    runs = place.document("runs", "--user", USER, "--tenant", TENANT)
    trace_ids = [one["trace_id"] for one in runs]
    assert len(trace_ids) == 6
    ended = place.said("judge", trace_ids[0], "fail", "--reason", REASON)
    assert ended.code == 0, ended.err
    others = place.document("runs", "--user", OTHER, "--tenant", TENANT)
    own = memory("own", scope_key=USER, tenant=TENANT, body=f"Say {REMEMBERED} to {USER}.")
    approve(place, replace(own, evidence=tuple(trace_ids)))
    wide = memory("wide", scope="tenant", scope_key=TENANT, tenant=TENANT)
    approve(place, replace(wide, evidence=(trace_ids[0], others[0]["trace_id"])))
    for user, trace_id in ((USER, trace_ids[1]), (OTHER, others[1]["trace_id"])):
        question = {"user": user, "tenant": TENANT, "agent": "assistant", "trace_id": trace_id}
        review_door.memories(place.running, question)
    assert place.said("learn").code == 0


def approve(place: Place, lesson: Lesson) -> None:
    review_door.submit(
        place.running, [Proposal(lesson=lesson, evaluation=PASSED)], [], by="spanlore learn"
    )
    place.document("lessons", "approve", lesson.lesson_id, "--by", "Ada Lovelace")


def test_a_user_is_erased_down_to_the_bytes_and_nobody_else(place: Place) -> None:
    needles = [USER, *WORDS]
    before = files_holding(place.data_dir, needles)
    # What is looked for is found as long as it is there: in the store's compressed files.
    for needle in needles:
        assert any(name.startswith("store/") for name in before[needle]), needle
    stays = {who: place.of(*who) for who in ((OTHER, TENANT), (USER, ELSEWHERE))}
    assert all(stays[OTHER, TENANT].values())
    ended = place.said("forget", "--user", USER)
    assert (ended.code, f"tenants {TENANT}, {ELSEWHERE}" in ended.err) == (2, True)
    dry = place.document("forget", "--user", USER, "--tenant", TENANT, "--dry-run")
    assert dry["rows"][tables.RUNS] >= 6  # a run that was judged was summed up twice
    assert place.of(USER, TENANT)[tables.RUNS] == 6

    gone = place.document("forget", "--user", USER, "--tenant", TENANT)
    assert gone["rows"][tables.RUNS] >= 6
    assert gone["old_parts_left"] == 0
    assert any("journals" in one for one in gone["not_reached"])
    assert not any(str(place.data_dir) in one for one in gone["not_reached"])
    assert place.of(USER, TENANT) == dict.fromkeys(stays[OTHER, TENANT], 0)
    assert {who: place.of(*who) for who in stays} == stays
    assert place.document("runs", "--user", USER, "--tenant", TENANT) == []

    left = files_holding(place.data_dir, WORDS)
    assert left == {needle: [] for needle in WORDS}
    # The name itself is still another tenant's user's, and a part of another name.
    [rows] = place.query(
        f"SELECT countIf(TenantId = '{TENANT}' AND UserId = '{USER}') AS n FROM {tables.TRACES}"
    )
    assert rows["n"] == 0
    ended = place.said("forget", "--user", USER, "--tenant", ELSEWHERE)
    assert ended.code == 0, ended.err
    ended = place.said("forget", "--user", OTHER)
    assert ended.code == 0, ended.err
    assert files_holding(place.data_dir, [USER]) == {USER: []}
    assert_the_log_holds_and_says_what_was_erased(place)


def assert_the_log_holds_and_says_what_was_erased(place: Place) -> None:
    found = place.document("lessons", "log")
    assert found["verified"]
    assert {one["event"] for one in found["entries"]} >= {"erase", "erased"}
    assert found["erased_entries"] > 0
    assert f"{found['erased_entries']} entries were erased" in place.said("lessons", "log").out
    [copies] = place.query(
        f"SELECT (SELECT count() FROM {LESSONS} WHERE position(Body, '{REMEMBERED}') > 0) AS a, "
        f"(SELECT count() FROM {LEARNING_LOG} WHERE position(Lesson, '{REMEMBERED}') > 0) AS b"
    )
    assert copies == {"a": 0, "b": 0}


def test_on_a_terminal_it_asks_first_and_no_means_no(place: Place) -> None:
    trace_id, body = run_of("canary-asked")
    send(place, body)
    command = [sys.executable, "-m", "spanlore.cli", "forget", "--user", "canary-asked"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--data-dir", str(place.data_dir)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(),
    ) as asking:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"n\n")
        assert asking.wait(60) == 1
    os.close(ours)
    assert tables.TRACES.encode() in shown
    assert place.query(f"SELECT TraceId FROM {tables.RUNS} WHERE TraceId = '{trace_id}'")


def test_who_is_not_there_is_an_error_that_says_so(place: Place) -> None:
    ended = place.said("forget", "--user", "nobody-at-all", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "nothing here names a user nobody-at-all" in ended.err


def send(place: Place, body: bytes) -> None:
    url = f"{place.running.http_url}/v1/traces"
    sent = httpx.post(url, content=body, headers=PROTOBUF, trust_env=False, timeout=60)
    assert sent.status_code == 200, sent.text


def run_of(user: str) -> tuple[str, bytes]:
    """Give a run of two spans, of which the root alone names the user, as one request."""
    [(trace_id, root), (_, child)] = new_ids(2)
    request = traces([(trace_id, root), (trace_id, child)], text=f"I am {user}")
    spans = spans_of(request)
    spans[1].parent_span_id = root
    for span in spans:
        span.attributes.add(key="gen_ai.operation.name").value.string_value = "invoke_agent"
    spans[0].attributes.add(key="user.id").value.string_value = user
    return trace_id.hex(), request.SerializeToString()


class Sending(Thread):
    """Sends runs of a user until it is told to stop; ``acknowledged`` are their trace ids."""

    def __init__(self, http_url: str, user: str) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self.stopping = Event()
        self._url = f"{http_url}/v1/traces"
        self._user = user

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not self.stopping.is_set():
                trace_id, body = run_of(self._user)
                sent = client.post(self._url, content=body, headers=PROTOBUF)
                if sent.status_code == 200:
                    self.acknowledged.append(trace_id)


def test_what_comes_while_a_user_is_erased_goes_or_stays_whole(place: Place) -> None:
    user = "canary-runs-on"
    sending = Sending(place.running.http_url, user)
    sending.start()
    try:
        wait_until(lambda: len(sending.acknowledged) >= 50, deadline_s=60)
        before = set(sending.acknowledged)
        ended = place.said("forget", "--user", user)
        assert ended.code == 0, ended.err
    finally:
        sending.stopping.set()
        sending.join()
    collector_door.flush(place.running)
    spans = {
        row["TraceId"]: row["n"]
        for row in place.query(
            f"SELECT TraceId, uniqExact(SpanId) AS n FROM {tables.TRACES} "
            f"WHERE position(SpanAttributes['text'], '{user}') > 0 GROUP BY TraceId"
        )
    }
    assert set(spans.values()) <= {2}
    assert not before & spans.keys()
    runs = place.query(f"SELECT DISTINCT TraceId FROM {tables.RUNS} WHERE UserId = '{user}'")
    assert {row["TraceId"] for row in runs} == spans.keys()
