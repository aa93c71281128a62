"""Time, memory and disk of learning, at sizes that one machine sees.

Spans are made in the store by SQL: runs of 20 spans (a root, 10 model calls, 9 tool calls), model
calls of about 3.8 KB, of which the last one of a run carries the conversation; a twentieth of the
tool calls fail, and a few thousand tasks and users share the runs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from learning.shop import INSTRUCTIONS, TOOLS
from proc import cpu_s, rss_peak_bytes
from spanlore.analyzers.dream import NEW_SHARE_MIN
from spanlore.schemas import tables
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.migrate import migrate
from spanlore.schemas.store import Store
from systems import store_process

SPANS_A_RUN = 20
"""A root, then a model call and a tool call by turns; the last is the answer."""
_INSERT_SPANS_MAX = 200_000
_TOOLS = (*(tool["name"] for tool in TOOLS), "open_ticket")
# Of which customers' questions and tools' notes are made: text that does not compress to nothing.
_WORDS = " ".join(
    sorted({*__doc__.replace("'", "").replace("(", "").split(), *INSTRUCTIONS.split()})
)
_DEFINITIONS = [{"type": "function", **tool} for tool in TOOLS]
_FORGET_PEAK = "5"  # to proc(5)'s clear_refs
_STARTED = 1_767_225_600  # 2026-01-01

# n is the number of the run, s of the span within it: 0 the root, odd a model call, even a tool.
_SPANS_SQL = f"""
INSERT INTO {tables.TRACES} (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind,
    ServiceName, SpanAttributes, Duration, StatusCode, StatusMessage, ReceivedAt)
WITH intDiv(number, {SPANS_A_RUN}) AS n, number % {SPANS_A_RUN} AS s,
    cityHash64(n, s) AS h, s > 0 AND s % 2 = 0 AS is_tool,
    is_tool AND h % 20 = 0 AS is_error,
    concat('Error: the order is locked by session ', toString(h % 10000)) AS said,
    {list(_TOOLS)} AS names, splitByChar(' ', '{_WORDS}') AS words,
    names[1 + intDiv(s, 2) % 9] AS tool,
    concat('A', toString(1000000 + h % 9000000)) AS order_id,
    concat('{{"order_id": "', order_id, '", "status": "sent", "note": "',
        arrayStringConcat(arrayMap(i -> words[1 + cityHash64(n, s, i) % length(words)], range(24)),
        ' '), '"}}') AS answer,
    concat('[{{"role":"user","parts":[{{"type":"text","content":"Please look after ', order_id,
        '. ', arrayStringConcat(arrayMap(i -> words[1 + cityHash64(n, i) % length(words)],
        range(100)), ' '), '"}}]}}') AS asked,
    arrayStringConcat(arrayMap(i -> concat(
        ',{{"role":"assistant","parts":[{{"type":"tool_call","id":"c', toString(i), '","name":"',
        names[1 + i % 9], '","arguments":{{"order_id":"', order_id, '"}}}}]}},',
        '{{"role":"tool","parts":[{{"type":"tool_call_response","id":"c', toString(i),
        '","response":"', replaceAll(answer, '"', '\\\\"'), '"}}]}}'
    ), range(1, 10)), '') AS talk,
    map('gen_ai.operation.name', multiIf(s = 0, 'invoke_agent', is_tool, 'execute_tool', 'chat'),
        'gen_ai.agent.name', 'order-desk', 'gen_ai.agent.version', toString(1 + n % 2),
        'spanlore.tenant.id', concat('tenant-', toString(n % 7)),
        'user.id', concat('user-', toString(cityHash64(n) % 2000)),
        'spanlore.task.type', concat('type-', toString(n % 8)),
        'spanlore.task.id', concat('task-', toString(cityHash64(n, 1) % 3000))) AS common,
    map('gen_ai.request.model', 'model-a',
        'gen_ai.usage.input_tokens', toString(600 + 150 * s),
        'gen_ai.usage.output_tokens', toString(40 + h % 60),
        'gen_ai.response.finish_reasons', if(s = 19, '["stop"]', '["tool_call"]'),
        'gen_ai.system_instructions', concat('[{{"type":"text","content":"',
            repeat('You help the customers of a shop. ', 56), '"}}]'),
        'gen_ai.input.messages', if(s = 19, concat(asked, talk, ']'), concat(asked, ']')),
        'gen_ai.output.messages', if(s = 19,
            concat('[{{"role":"assistant","parts":[{{"type":"text","content":"Order ', order_id,
                   ' is settled."}}]}}]'),
            concat('[{{"role":"assistant","parts":[{{"type":"tool_call","id":"c',
                   toString(intDiv(s, 2)), '","name":"', tool, '","arguments":{{"order_id":"',
                   order_id, '"}}}}]}}]'))) AS model_call,
    map('gen_ai.tool.name', tool, 'gen_ai.tool.call.id', concat('c', toString(intDiv(s, 2))),
        'gen_ai.tool.call.arguments', concat('{{"order_id": "', order_id, '"}}'),
        'gen_ai.tool.call.result', if(is_error, said, answer)) AS tool_call
SELECT
    fromUnixTimestamp64Nano(toInt64(({_STARTED} + n * 60) * 1000000000 + s * 700000000)),
    lower(hex(MD5(concat('run ', toString(n))))), lower(hex(toUInt64(h))),
    if(s = 0, '', lower(hex(cityHash64(n, toUInt64(0))))),
    multiIf(s = 0, 'invoke_agent order-desk', is_tool, concat('execute_tool ', tool), 'chat'),
    'Internal', 'order-desk',
    multiIf(s = 0, mapConcat(common, map('gen_ai.tool.definitions', {{definitions:String}})),
        is_tool, mapConcat(common, tool_call), mapConcat(common, model_call)),
    if(s = 0, 15000000000, 400000000 + h % 300000000),
    if(is_error, 'Error', 'Ok'), if(is_error, said, ''),
    now64(9)
FROM numbers({{first:UInt64}}, {{spans:UInt64}})
"""
_RUNS_SQL = f"""
INSERT INTO {tables.RUNS} (TenantId, TraceId, RootSpanId, State, ServiceName, AgentName,
    AgentVersion, UserId, TaskType, TaskId, Model, StartedAt, EndedAt, DurationMs, Spans, Steps,
    ToolCalls, ToolErrors, InputTokens, OutputTokens, Outcome, OutcomeScore, OutcomeSource,
    HarnessHash, LastReceivedAt, SealedAt, Version)
WITH number AS n, cityHash64(n, 7) % 100 < 30 + cityHash64(cityHash64(n, 1) % 3000) % 40 AS failed
SELECT concat('tenant-', toString(n % 7)), lower(hex(MD5(concat('run ', toString(n))))),
    lower(hex(cityHash64(n, toUInt64(0)))), 'sealed', 'order-desk', 'order-desk',
    toString(1 + n % 2), concat('user-', toString(cityHash64(n) % 2000)),
    concat('type-', toString(n % 8)), concat('task-', toString(cityHash64(n, 1) % 3000)), 'model-a',
    fromUnixTimestamp64Nano(toInt64(({_STARTED} + n * 60) * 1000000000)),
    fromUnixTimestamp64Nano(toInt64(({_STARTED} + n * 60 + 15) * 1000000000)), 15000,
    {SPANS_A_RUN}, 10, 9, 0, 20000, 700, if(failed, 'fail', 'pass'), if(failed, 0, 1),
    'environment', concat('harness-', toString(1 + n % 2)), now64(9), now64(9),
    toUnixTimestamp64Nano(now64(9))
FROM numbers({{first:UInt64}}, {{runs:UInt64}})
"""
_DISK_SQL = """SELECT table, sum(bytes_on_disk) AS bytes FROM system.parts
WHERE active AND database = currentDatabase() GROUP BY table"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one round of learning took.

    Peaks are of the learning process with its workers and, meanwhile, of the store's process;
    ``cpu_s`` is of all of them together.
    """

    spans: int
    new_runs: int
    extracting_s: float
    counting_s: float
    cpu_s: float
    learner_peak_bytes: int
    store_peak_bytes: int
    facts_bytes: int
    spans_bytes: int
    findings: int
    failed: int


def make_runs(store: Store, *, first: int, runs: int) -> None:
    """Put runs with their spans into the store, numbered from ``first``."""
    wanted = {"definitions": json.dumps(_DEFINITIONS)}
    left, at = runs * SPANS_A_RUN, first * SPANS_A_RUN
    while left:
        spans = min(left, _INSERT_SPANS_MAX)
        store.command(_SPANS_SQL, {**wanted, "first": at, "spans": spans})
        left, at = left - spans, at + spans
    store.command(_RUNS_SQL, {"first": first, "runs": runs})


def learned(store: Store, url: str, *, store_pid: int, new_runs: int) -> Cost:
    """Learn once in a process of its own; give what it cost for that many new runs."""
    Path(f"/proc/{store_pid}/clear_refs").write_text(_FORGET_PEAK, encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("learn_once.py")), url]
    before_s = cpu_s([store_pid])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(done.stdout)
    said["cpu_s"] += cpu_s([store_pid]) - before_s
    disk = {row["table"]: int(row["bytes"]) for row in store.query(_DISK_SQL)}
    return Cost(
        new_runs=new_runs,
        spans=int(store.query(f"SELECT count() AS n FROM {tables.TRACES}")[0]["n"]),
        store_peak_bytes=rss_peak_bytes(store_pid),
        facts_bytes=disk.get(RUN_FACTS, 0),
        spans_bytes=disk.get(tables.TRACES, 0),
        **said,
    )


def costs(
    sizes: Sequence[int], *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[str, Cost]]:
    """Yield what learning costs at each size (spans), and in the round that is due next."""
    for spans in sizes:
        with (
            tempfile.TemporaryDirectory(prefix="spanlore-learning-") as folder,
            store_process(Path(folder)) as (process, url),
        ):
            migrate(url)
            with Store.connect(url) as store:
                runs = spans // SPANS_A_RUN
                make_runs(store, first=0, runs=runs)
                progress(f"{spans:,} spans made")
                yield "all", learned(store, url, store_pid=process.pid, new_runs=runs)
                more = ceil(runs * NEW_SHARE_MIN)
                make_runs(store, first=runs, runs=more)
                yield (
                    "after a tenth more",
                    learned(store, url, store_pid=process.pid, new_runs=more),
                )
                progress(f"{spans:,} spans learned from, twice")
