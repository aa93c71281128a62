"""A small world behind the dashboard: two tenants' runs of which every number is known."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spanlore.analyzers.records import finding_row
from spanlore.schemas import learning_tables, metric_tables, semconv
from spanlore.schemas.effect_records import effect_row
from spanlore.schemas.lesson_records import lesson_row
from spanlore.schemas.store import Store
from spanlore.schemas.tables import TRACES
from spanlore.schemas.types import Arm, Effect
from tests.analyzers.standing_lessons import finding, memory
from tests.loaded_runs import load_lines, load_requests
from tests.schemas import segments

# Around the time at which the spans are received, so that one time range holds everything.
RECEIVED = datetime.fromtimestamp(segments.RECEIVED_NS / 1e9, tz=UTC)
START = RECEIVED - timedelta(days=2)
END = RECEIVED + timedelta(days=1)
QUOTED_USER = "o'neil\\"
ACME_RUNS = 20
GLOBEX_RUNS = 4
LEARNED = RECEIVED - timedelta(hours=1)

# The tools of globex's agent are run by a server, which tells their calls too, and what fails.
_SERVED_SQL = f"""INSERT INTO {TRACES}
SELECT * REPLACE (reverse(SpanId) AS SpanId, SpanId AS ParentSpanId, 'server' AS ScopeName)
FROM {TRACES} WHERE TenantId = 'globex' AND Op = '{semconv.OP_EXECUTE_TOOL}'"""


def lines() -> Iterator[dict[str, Any]]:
    """Acme: 20 runs, every fourth failed, every fifth with one tool error, one without times.

    Globex: 4 runs of another agent and of a model without a price, nobody judged them.
    """
    for number in range(ACME_RUNS):
        begun = None if number == 0 else START + timedelta(hours=2 * number + 1)
        passed = number % 4 != 0
        yield {
            **_line(number, tenant="acme", agent="booking", user=f"user{number % 3}", begun=begun),
            "model": "gpt-4o",
            "outcome": {"label": "pass" if passed else "fail", "source": "environment"},
        }
    for number in range(GLOBEX_RUNS):
        begun = START + timedelta(hours=number + 1)
        yield {
            **_line(number, tenant="globex", agent="triage", user=QUOTED_USER, begun=begun),
            "model": "house-model",
        }


def _line(
    number: int, *, tenant: str, agent: str, user: str, begun: datetime | None
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "run_id": f"{tenant}-{number}",
        "tenant_id": tenant,
        "task": {"type": agent, "id": str(number % 2)},
        "agent": {"name": agent, "version": "1"},
        "user_id": user,
        "messages": _messages(number),
    }
    if begun is None:
        return line
    for second, message in enumerate(line["messages"]):
        message["timestamp"] = (begun + timedelta(seconds=second)).isoformat()
    line["started_at"] = begun.isoformat()
    line["ended_at"] = (begun + timedelta(seconds=10 + number)).isoformat()
    return line


def _messages(number: int) -> list[dict[str, Any]]:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "book_room", "arguments": '{"nights": 2}'},
    }
    failed = number % 5 == 0
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return [
        {"role": "system", "content": "You book rooms."},
        {"role": "user", "content": "A room for two nights."},
        {"role": "assistant", "content": None, "tool_calls": [call], "usage": usage},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": "Error: no such hotel" if failed else "booked",
            "is_error": failed,
        },
        {"role": "assistant", "content": "Done.", "usage": usage},
    ]


def seed(store: Store, folder: Path) -> None:
    """Store the runs, and three lessons: proposed, given to runs, and measured."""
    load_lines(store, folder, lines())
    store.command(_SERVED_SQL)
    load_requests(store, folder)
    seed_self_metrics(store)
    found = finding_row(
        finding("f1"), analyzer_version="1", analysis_id="a1", at=LEARNED, version=1
    )
    store.insert(learning_tables.FINDINGS, [found])
    lessons = [
        (memory("m1"), 1),
        (memory("m2", "11:00", scope="tenant", state="approved by ada"), 1),
        (memory("m2", "11:00", scope="tenant", state="verified"), 2),
        (memory("m3", "12:00", tenant="globex", state="approved"), 1),
    ]
    rows = [lesson_row(one, at=LEARNED, version=n, by="a test") for one, n in lessons]
    store.insert(learning_tables.LESSONS, rows)
    traces = store.query("SELECT TraceId FROM agent_runs WHERE TenantId = 'acme' ORDER BY TraceId")
    store.insert(
        learning_tables.EXPOSURES,
        [
            {
                "TenantId": "acme",
                "TraceId": row["TraceId"],
                "UserId": "user1",
                "LessonId": "m2",
                "LessonVersion": 1,
                "Arm": "exposed" if number % 2 else "held_out",
                "At": LEARNED,
            }
            for number, row in enumerate(traces)
        ],
    )
    effect = Effect(
        lesson_id="m2",
        lesson_version=1,
        metric="overrides",
        compared_with="held_out",
        exposed=Arm(runs=10, users=3, clusters=3, events=1),
        other=Arm(runs=10, users=3, clusters=3, events=6),
        difference=-0.5,
        interval=(-0.8, -0.2),
        verdict="improved",
        reason="r",
    )
    store.insert(learning_tables.EFFECTS, [effect_row(effect, at=LEARNED)])


def seed_self_metrics(store: Store) -> None:
    """Store what two processes of a collector exported, one after the other, twice each.

    Either acknowledged 10 requests of 100 spans between its two exports, 9 within 5 ms.
    """
    minute = timedelta(minutes=1)
    for process in ("first", "second"):
        for export in (1, 2):
            at = RECEIVED + (export if process == "first" else export + 2) * minute
            for metric, value in {
                "spanlore.collector.receiver.accepted_spans": 100 * export,
                "process.memory.usage": export << 26,
            }.items():
                _point(store, metric_tables.SUM, process, at, MetricName=metric, Value=value)
            for metric in (
                "spanlore.collector.log.oldest_age",
                "spanlore.collector.sealer.oldest_age",
            ):
                _point(store, metric_tables.GAUGE, process, at, MetricName=metric, Value=export)
            _point(
                store,
                metric_tables.HISTOGRAM,
                process,
                at,
                MetricName="spanlore.collector.receiver.ack.duration",
                ExplicitBounds=[0.005, 0.05],
                BucketCounts=[9 * export, export, 0],
            )


def _point(store: Store, table: str, process: str, at: datetime, **columns: Any) -> None:
    stands = {
        "ServiceName": semconv.COLLECTOR_SERVICE,
        "ResourceAttributes": {semconv.SERVICE_INSTANCE_ID: process},
        "TimeUnix": at,
        "TimeUnixNano": int(at.timestamp()) * 1_000_000_000,
    }
    store.insert(table, [{**stands, **columns}])
