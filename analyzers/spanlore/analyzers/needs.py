"""What each analyzer must find on a service's runs to learn anything: the one place for that.

`spanlore doctor` tells a service which analyzers stay silent, and which attribute is missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any

from spanlore.schemas import semconv
from spanlore.schemas.dialect_messages import (
    FINISH_REASONS_SQL,
    INPUT_MESSAGES_SQL,
    OUTPUT_MESSAGES_SQL,
    TOOL_DEFINITIONS_SQL,
)
from spanlore.schemas.learning_tables import EXPOSURES, OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS, LATEST_RUN, LATEST_SPAN, RUNS, TRACES
from spanlore.schemas.views import SPANS_OF_TRACES

# The latest runs of a service: enough to see what it sends, and bounded in what is read.
RUNS_LOOKED_AT_MAX = 50


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing a service may send: the attribute or event that carries it, and how to send it.

    ``sql`` is a condition over a span, or with ``of_runs`` over a run.
    """

    attribute: str
    how: str
    sql: str
    _: KW_ONLY
    of_runs: bool = False


def _on_calls(attribute: str, how: str, text: str) -> Signal:
    """Return a signal that model calls carry, where ``text`` (SQL) is not empty."""
    return Signal(attribute, how, f"Op IN {semconv.INFERENCE_OPS} AND {text} != ''")


def _judged(*sources: str) -> str:
    said = f"SELECT TraceId FROM {JUDGEMENTS} WHERE Source IN ({', '.join(map(repr, sources))})"
    return f"TraceId IN ({said})"


_CONTENT = "let content be sent: SPANLORE_CAPTURE_CONTENT=true"
_TOOL = "decorate the agent's functions with @tool"

MODEL_CALLS = Signal(
    f"{semconv.OPERATION_NAME} = {semconv.OP_CHAT}",
    "call models through a library that is traced (the list above)",
    f"Op IN {semconv.INFERENCE_OPS}",
)
INPUT = _on_calls(semconv.INPUT_MESSAGES, _CONTENT, INPUT_MESSAGES_SQL)
OUTPUT = _on_calls(semconv.OUTPUT_MESSAGES, _CONTENT, OUTPUT_MESSAGES_SQL)
FINISH = _on_calls(semconv.RESPONSE_FINISH_REASONS, "use an SDK that tells it", FINISH_REASONS_SQL)
DEFINITIONS = _on_calls(
    semconv.TOOL_DEFINITIONS, f"give the model tools; {_CONTENT}", TOOL_DEFINITIONS_SQL
)
TOKENS = Signal(
    semconv.USAGE_INPUT_TOKENS,
    'ask for them in streams: stream_options={"include_usage": True}',
    "InputTokens IS NOT NULL",
)
TOOL_CALLS = Signal(
    f"{semconv.TOOL_NAME} with {semconv.OPERATION_NAME} = {semconv.OP_EXECUTE_TOOL}",
    _TOOL,
    f"ToolName != '' AND Op IN ('{semconv.OP_EXECUTE_TOOL}', '')",
)
ARGUMENTS = Signal(semconv.TOOL_CALL_ARGUMENTS, f"{_TOOL}; {_CONTENT}", "ToolArguments != ''")
RESULTS = Signal(semconv.TOOL_CALL_RESULT, f"{_TOOL}; {_CONTENT}", "ToolResult != ''")
TIMES = Signal(
    f"{semconv.TIME_UNKNOWN} absent", "import runs with times", "TimeUnknown = 0", of_runs=True
)
USER = Signal(semconv.USER_ID, 'say it: run("agent", user=…)', "UserId != ''", of_runs=True)
TASK = Signal(
    semconv.TASK_ID, 'say the case: run("agent", task=…, task_id=…)', "TaskId != ''", of_runs=True
)
OUTCOME = Signal(
    f"{semconv.EVENT_EVALUATION} ({semconv.EVALUATION_TASK_SUCCESS})",
    "judge runs: judge('pass'), feedback(score=1), or `spanlore judges`",
    "Outcome IN ('pass', 'fail')",
    of_runs=True,
)
OF_MODEL = Signal(
    f"{semconv.JUDGEMENT_SOURCE} = llm", "let `spanlore judges` judge", _judged("llm"), of_runs=True
)
GOLD = Signal(
    f"{semconv.JUDGEMENT_SOURCE} = human, environment or code",
    "let people or checks judge some runs: `spanlore judge`, judge('pass')",
    _judged("human", "environment", "code"),
    of_runs=True,
)
OVERRIDE = Signal(
    semconv.EVENT_OVERRIDE,
    "say what was changed in the end: override(…)",
    f"TraceId IN (SELECT TraceId FROM {OVERRIDES})",
    of_runs=True,
)
EXPOSURE = Signal(
    semconv.EVENT_EXPOSURE,
    "give the agent what was learned: lessons_for()",
    f"TraceId IN (SELECT TraceId FROM {EXPOSURES})",
    of_runs=True,
)

# Every need must be met, by one of its signals.
NEEDS: Mapping[str, tuple[tuple[Signal, ...], ...]] = {
    "change_point": ((TIMES,), (OUTCOME, TOOL_CALLS, OVERRIDE, TOKENS)),
    "error_clusters": ((TOOL_CALLS, MODEL_CALLS),),
    "failure_localisation": ((OUTCOME,), (TOOL_CALLS, MODEL_CALLS)),
    "judge_calibration": ((OF_MODEL,), (GOLD,)),
    "latency_and_cost_outliers": ((TOOL_CALLS, MODEL_CALLS), (TIMES, TOKENS)),
    "outcome_contrast": ((OUTCOME,), (TOOL_CALLS,)),
    "output_parser_failures": ((OUTPUT,), (ARGUMENTS, DEFINITIONS)),
    "policy_violation_actions": ((TOOL_CALLS,), (OUTCOME, DEFINITIONS)),
    "preference_override": ((USER,), (TOOL_CALLS,), (ARGUMENTS,)),
    "repeated_correction": ((USER,), (TIMES,), (TOOL_CALLS,), (ARGUMENTS,), (INPUT,)),
    "retry_storm_and_loops": ((TOOL_CALLS,), (ARGUMENTS,)),
    "routing": ((OUTCOME,), (TASK,), (MODEL_CALLS,)),
    "stale_memory": ((EXPOSURE,),),
    "success_workflow_mining": ((OUTCOME,), (TOOL_CALLS,)),
    "tool_argument_misuse": ((TOOL_CALLS,), (ARGUMENTS,)),
    "truncation_and_context_overflow": ((FINISH, TOKENS, RESULTS),),
    "ungrounded_output": ((OUTPUT,), (INPUT, RESULTS)),
    "unused_tools_and_context": ((DEFINITIONS, RESULTS), (MODEL_CALLS,)),
}

_SIGNALS = tuple(dict.fromkeys(one for needs in NEEDS.values() for need in needs for one in need))

_LAST_SQL = f"SELECT ServiceName, max(ReceivedAt) AS LastAt FROM {TRACES} GROUP BY ServiceName"
_RUNS_SQL = f"""
SELECT * FROM (SELECT * FROM {RUNS} {LATEST_RUN})
ORDER BY LastReceivedAt DESC, TraceId LIMIT {RUNS_LOOKED_AT_MAX} BY ServiceName
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """An analyzer that is given too little, and for each need the signals that would meet it."""

    analyzer: str
    missing: tuple[tuple[Signal, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a service sends: when last, how many runs were looked at, who cannot learn from them."""

    name: str
    last_span_at: datetime
    runs: int
    silent: tuple[Silent, ...]


def services(store: Store) -> Iterator[Service]:
    """Look at the latest runs of every service. Raises StoreError."""
    last = {row["ServiceName"]: row["LastAt"] for row in store.query(_LAST_SQL)}
    runs: dict[str, list[str]] = {}
    for row in store.query(f"SELECT ServiceName, TraceId FROM ({_RUNS_SQL})"):
        runs.setdefault(row["ServiceName"], []).append(row["TraceId"])
    for name in sorted(last):
        ids = runs.get(name, [])
        sent = _sent(store, ids) if ids else frozenset()
        yield Service(name=name, last_span_at=last[name], runs=len(ids), silent=tuple(silent(sent)))


def silent(sent: frozenset[Signal]) -> Iterator[Silent]:
    """Say which analyzers cannot learn from what is sent."""
    for analyzer, needs in sorted(NEEDS.items()):
        missing = tuple(need for need in needs if sent.isdisjoint(need))
        if missing:
            yield Silent(analyzer=analyzer, missing=missing)


def _sent(store: Store, trace_ids: list[str]) -> frozenset[Signal]:
    ids = {"ids": tuple(trace_ids)}
    spans = f"(SELECT * FROM {TRACES} WHERE {SPANS_OF_TRACES} {LATEST_SPAN})"
    runs = f"(SELECT * FROM {RUNS} WHERE TraceId IN %(ids)s {LATEST_RUN})"
    found: set[Signal] = set()
    for source, signals in (
        (spans, [one for one in _SIGNALS if not one.of_runs]),
        (runs, [one for one in _SIGNALS if one.of_runs]),
    ):
        found.update(_seen(store.query(_count_sql(source, signals), ids), signals))
    return frozenset(found)


def _count_sql(source: str, signals: list[Signal]) -> str:
    counts = (f"countIf({one.sql}) AS n{number}" for number, one in enumerate(signals))
    return f"SELECT {', '.join(counts)} FROM {source}"


def _seen(rows: list[dict[str, Any]], signals: list[Signal]) -> Iterator[Signal]:
    [row] = rows
    return (one for number, one in enumerate(signals) if row[f"n{number}"])
