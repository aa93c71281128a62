"""A store with runs of several users and what was learned of them, one of whom is to be erased."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from spanlore.review.change import Caller
from spanlore.review.desk import Desk
from spanlore.review.erasing import Eraser
from spanlore.review.exposures import Exposure, ExposureQueue
from spanlore.schemas import tables
from spanlore.schemas.learning_tables import (
    EXPOSURES,
    FINDINGS,
    LESSON_NOTES,
    OVERRIDES,
    REVOKED_TRACES,
    RUN_FACTS,
)
from spanlore.schemas.metric_tables import SUM
from spanlore.schemas.semconv import ARM_EXPOSED
from spanlore.schemas.store import Store
from tests.empty_store import empty
from tests.review.lessons import HARNESS, MEMORY, approved, effect, memory_lesson

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
BY = Caller(by="the operator", peer="127.0.0.1", human=True)
USER = "Kanarienvogel-7"
TENANT = "acme"
# Runs: of the user, of another, of another tenant's user of the same name, and one of another user
# in which a span names the user.
MINE, OTHERS, ELSEWHERE, SHARED = (letter * 32 for letter in "abcd")


class Scene:
    """A store in which several users' runs stand, and a desk with lessons of them."""

    def __init__(self, url: str) -> None:
        connect = partial(Store.connect, url)
        self.url = url
        self.store = connect()
        empty(self.store)
        self.desk = Desk(connect)
        self.desk.open()
        self.queue = ExposureQueue(connect, on_exposed=self.desk.exposed)
        self.queue.start()
        self.eraser = Eraser(self.desk, self.queue, connect)
        fill(self.store)
        learn(self.desk, self.store)

    def close(self) -> None:
        self.queue.stop(drain_s_max=1)
        self.desk.close()
        self.store.close()

    def another_desk(self) -> Desk:
        """What another door, or this one after a start, knows."""
        opened = Desk(partial(Store.connect, self.url))
        opened.open()
        return opened

    def erase(self, user: str = USER, tenant: str = TENANT) -> dict[str, Any]:
        return self.eraser.erase(user, tenant, caller=BY)

    def named(self, needle: str = USER) -> dict[str, int]:
        """Count, by table, the rows that hold a text anywhere."""
        found = {}
        for table in tables.ALL:
            [row] = self.store.query(
                f"SELECT count() AS n FROM {table.name} "
                f"WHERE position(toString(tuple(*)), {{needle:String}}) > 0",
                {"needle": needle},
            )
            if row["n"]:
                found[table.name] = row["n"]
        return found

    def rows(self) -> dict[str, int]:
        return {
            table.name: self.store.query(f"SELECT count() AS n FROM {table.name}")[0]["n"]
            for table in tables.ALL
        }


def span(trace_id: str, span_id: str, *, tenant: str, user: str, **more: str) -> dict[str, Any]:
    attributes = {"gen_ai.operation.name": "chat", "user.id": user, "spanlore.tenant.id": tenant}
    return {
        "Timestamp": AT,
        "TraceId": trace_id,
        "SpanId": span_id,
        "SpanAttributes": {key: one for key, one in {**attributes, **more}.items() if one},
    }


def run(trace_id: str, *, tenant: str, user: str) -> dict[str, Any]:
    return {
        "TenantId": tenant,
        "TraceId": trace_id,
        "UserId": user,
        "SessionId": f"session-{trace_id[:2]}",
        "StartedAt": AT,
        "EndedAt": AT,
        "Version": 1,
    }


def fill(store: Store) -> None:
    said = {"gen_ai.input.messages": f"I am {USER}, remember me"}
    instructions = {
        "gen_ai.system_instructions": f"You serve {USER}",
        "gen_ai.response.id": "answer",
    }
    store.insert(
        tables.TRACES,
        [
            span(MINE, "1", tenant=TENANT, user=USER, **said, **instructions),
            # A child that names neither tenant nor user.
            span(MINE, "2", tenant="", user="", **{"gen_ai.tool.call.arguments": USER}),
            span(
                OTHERS,
                "3",
                tenant=TENANT,
                user="bob",
                **{"gen_ai.system_instructions": "You serve all"},
            ),
            span(ELSEWHERE, "4", tenant="hooli", user=USER),
            # Another tenant's span under the user's trace id is that tenant's.
            span(MINE, "5", tenant="hooli", user="eve"),
            span(SHARED, "6", tenant=TENANT, user="bob"),
            span(SHARED, "7", tenant=TENANT, user=USER),
        ],
    )
    store.insert(
        tables.RUNS,
        [
            run(MINE, tenant=TENANT, user=USER),
            run(OTHERS, tenant=TENANT, user="bob"),
            run(ELSEWHERE, tenant="hooli", user=USER),
            run(SHARED, tenant=TENANT, user="bob"),
        ],
    )
    parts = store.query(
        f"SELECT TraceId, InstructionsHash FROM {tables.TRACES} WHERE SpanId IN ('1', '3') "
        "ORDER BY SpanId"
    )
    store.insert(
        tables.HARNESS_PARTS,
        [
            {
                "Kind": tables.KIND_INSTRUCTIONS,
                "RawHash": row["InstructionsHash"],
                "Content": row["TraceId"],
                "At": AT,
            }
            for row in parts
        ],
    )
    fill_logs(store)
    fill_learned(store)


def fill_logs(store: Store) -> None:
    evaluation = {
        "spanlore.tenant.id": TENANT,
        "gen_ai.evaluation.name": "task_success",
        "gen_ai.evaluation.explanation": f"{USER} was not content",
    }
    event = {"Timestamp": AT, "EventName": "gen_ai.evaluation.result"}
    store.insert(
        tables.LOGS,
        [
            {**event, "TraceId": MINE, "LogAttributes": evaluation},
            {**event, "TraceId": OTHERS, "LogAttributes": {"spanlore.tenant.id": TENANT}},
            {**event, "TraceId": "", "LogAttributes": {"gen_ai.response.id": "answer"}},
            {**event, "TraceId": "", "LogAttributes": {"gen_ai.response.id": "another"}},
            {
                **event,
                "TraceId": "",
                "LogAttributes": {"gen_ai.conversation.id": f"session-{MINE[:2]}"},
            },
            {
                **event,
                "TraceId": "",
                "LogAttributes": {"enduser.id": USER, "spanlore.tenant.id": TENANT},
            },
            {
                **event,
                "TraceId": "",
                "LogAttributes": {"user.id": USER, "spanlore.tenant.id": "hooli"},
            },
        ],
    )
    point = {"MetricName": "tokens", "TimeUnix": AT}
    exemplars = {
        "Exemplars.TraceId": [MINE, OTHERS],
        "Exemplars.SpanId": ["1", "3"],
        "Exemplars.FilteredAttributes": [{"said": USER}, {"said": "bob"}],
        "Exemplars.TimeUnix": [AT, AT],
        "Exemplars.Value": [1.0, 2.0],
    }
    nothing: dict[str, Any] = {name: [] for name in exemplars}
    theirs = {"user.id": USER, "spanlore.tenant.id": TENANT}
    of_all = {"spanlore.tenant.id": TENANT}
    store.insert(
        SUM,
        [
            {**point, "Attributes": theirs, **nothing},
            {**point, "Attributes": of_all, **exemplars},
            {**point, "Attributes": {**theirs, "spanlore.tenant.id": "hooli"}, **nothing},
        ],
    )


def fill_learned(store: Store) -> None:
    fact = {"Extractor": "tools", "Key": "k", "N": 1, "K": 0}
    facts = ((MINE, TENANT), (OTHERS, TENANT), (ELSEWHERE, "hooli"), (SHARED, TENANT))
    store.insert(
        RUN_FACTS,
        [{**fact, "TenantId": tenant, "TraceId": one, "Detail": one} for one, tenant in facts],
    )
    store.insert(
        OVERRIDES,
        [
            {"TenantId": TENANT, "TraceId": MINE, "UserId": USER, "Original": f"{USER} at 9"},
            {"TenantId": TENANT, "TraceId": OTHERS, "UserId": "bob", "Original": "9"},
        ],
    )
    store.insert(
        REVOKED_TRACES, [{"TraceId": ELSEWHERE, "By": "ada", "Reason": "poisoned", "At": AT}]
    )
    finding = {"Analyzer": "a", "N": 9, "K": 3, "At": AT, "Reason": ""}
    own = {"scope": {"level": "user", "key": USER, "tenant": TENANT}}
    users = [{"user": USER, "tenant": TENANT, "n": 4}, {"user": "bob", "tenant": TENANT, "n": 5}]
    store.insert(
        FINDINGS,
        [
            {
                **finding,
                "FindingId": "own",
                "Title": f"user {USER} of acme end with 10:00",
                "Evidence": [MINE],
                "CounterEvidence": [],
                "Detail": json.dumps(own),
            },
            {
                **finding,
                "FindingId": "wide",
                "Title": "all end with 10:00",
                "Evidence": [MINE, OTHERS],
                "CounterEvidence": [SHARED],
                "Detail": json.dumps(
                    {"examples": ["10:00 for the bird"], "by_user": users, "n": 9}
                ),
            },
            {
                **finding,
                "FindingId": "others",
                "Title": "bob",
                "Evidence": [OTHERS],
                "CounterEvidence": [],
                "Detail": json.dumps({"examples": ["kept"]}),
            },
        ],
    )


OWN = memory_lesson("own", scope_key=USER, body=f"{USER} starts at 10:00.", evidence=(MINE,))
WIDE = memory_lesson(
    "wide",
    "tenant",
    evidence=(MINE, OTHERS),
    content={**MEMORY.content, "examples": ["at ten, says the bird"], "promoted_from": ["own"]},
)


def learn(desk: Desk, store: Store) -> None:
    approved(desk, OWN)
    approved(desk, WIDE)
    approved(desk, replace(HARNESS, evidence=(OTHERS,)))
    exposed = Exposure(
        tenant=TENANT,
        user=USER,
        trace_id=MINE,
        lesson_id="own",
        version=3,
        arm=ARM_EXPOSED,
        at=AT,
    )
    others = replace(exposed, user="bob", trace_id=OTHERS, lesson_id="wide")
    store.insert(EXPOSURES, [exposed.row(), replace(exposed, lesson_id="wide").row(), others.row()])
    desk.measure(effect("own"), caller=BY)
    desk.measure(effect("wide"), caller=BY)
    store.insert(
        LESSON_NOTES,
        [{"At": AT, "LessonId": "own", "Kind": "k", "OtherId": "wide", "Reason": f"as {USER}"}],
    )
