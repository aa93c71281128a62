"""The tools that runs called, one at a time: from kept facts, or from calls at hand."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Protocol

from spanlore.analyzers.arguments.argument_form import form_of, texts_of
from spanlore.analyzers.arguments.call_facts import CALL, NAME, POSITION_DIGITS, VERSION
from spanlore.analyzers.arguments.call_particulars import (
    Kind,
    Particulars,
    error_particulars,
    particulars_in,
    particulars_of_run,
)
from spanlore.analyzers.arguments.calling_runs import Run, Runs, RunsBuilder
from spanlore.analyzers.arguments.tool_calls import ToolCalls, ToolCallsBuilder
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.counting.fact_counts import RUNS_SQL
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.store import Store

_END = POSITION_DIGITS + 1  # of a key, after the tool's name
_TOOL = f"substring(Key, {len(CALL) + 2}, length(Key) - {len(CALL) + 1 + _END})"
# Of each call one row, also before the store has merged them.
_FACTS = f"{RUN_FACTS} FINAL WHERE Extractor = '{NAME}' AND ExtractorVersion = '{VERSION}'"
_CALLS = f"{_FACTS} AND startsWith(Key, '{CALL}|')"

CALLING_RUNS_SQL = f"""
SELECT run.TraceId, run.Version, run.TenantId, if(run.UserId != '', sipHash64(concat(
    run.TenantId, '/', run.UserId)), 0), sipHash64(run.Unit), run.TaskId != '', run.Task, run.Agent,
    run.ModelCode, run.Harness, run.Discovers, called.Looks, called.Failed
FROM (
    SELECT TraceId, RunVersion, count() AS Looks, sum(FirstFailed) AS Failed
    FROM (
        SELECT TraceId, RunVersion, {_TOOL} AS Tool, argMin(K, Value) AS FirstFailed
        FROM {_CALLS} GROUP BY TraceId, RunVersion, Tool
    )
    GROUP BY TraceId, RunVersion
) AS called
INNER JOIN ({RUNS_SQL}) AS run
ON run.TraceId = called.TraceId AND run.Version = called.RunVersion
ORDER BY run.TraceId
"""

FAILING_TOOLS_SQL = f"""
SELECT {_TOOL} AS Tool FROM {_CALLS} GROUP BY Tool HAVING sum(K) > 0 ORDER BY Tool
"""

_OF_TOOL = f"""startsWith(Key, concat({{kind:String}}, '|', {{tool:String}}, '|'))
    AND length(Key) = length({{kind:String}}) + length({{tool:String}}) + {_END + 1}"""

CALLS_OF_TOOL_SQL = f"""
SELECT TraceId, RunVersion, toUInt32(Value), K, JSONExtractString(Detail, 'error'),
    JSONExtractRaw(Detail, 'form'), JSONExtractRaw(Detail, 'texts')
FROM {_FACTS} AND {_OF_TOOL}
"""

PARTICULARS_SQL = f"""
SELECT TraceId, RunVersion, toUInt32(Value), Detail
FROM {_FACTS} AND {_OF_TOOL} AND K >= {{failed:UInt8}}
"""


class CalledTools(Protocol):
    """The runs, the tools of which a call failed, and the calls of each."""

    runs: Runs
    failing: Sequence[str]

    def calls_of(self, tool: str) -> ToolCalls:
        """Return all calls of a tool."""
        ...


class KeptTools:
    """The tools as kept facts tell of them. Raises StoreError."""

    def __init__(self, store: Store, window: Window) -> None:
        self._store = store
        self._numbers: dict[tuple[str, int], int] = {}
        runs = RunsBuilder()
        for row in store.stream(CALLING_RUNS_SQL, window.params):
            trace_id, version, tenant, user, unit, named_task, *factors, looks, failed = row
            task, agent, model, harness, discovers = factors
            self._numbers[trace_id, version] = runs.add(
                Run(
                    trace_id=trace_id,
                    tenant=tenant,
                    user=user,
                    unit=unit,
                    named_task=bool(named_task),
                    factors=(task, agent, model, harness),
                    discovers=bool(discovers),
                    looks=looks,
                    failed=failed,
                )
            )
        self.runs = runs.built()
        self.failing: Sequence[str] = [str(row["Tool"]) for row in store.query(FAILING_TOOLS_SQL)]

    def calls_of(self, tool: str) -> ToolCalls:
        """Return all calls of a tool. Raises StoreError."""
        calls = ToolCallsBuilder(tool, self.runs, partial(self._read, tool))
        asked = {"tool": tool, "kind": CALL}
        for row in self._store.stream(CALLS_OF_TOOL_SQL, asked):
            trace_id, version, position, failed, error, form, texts = row
            run = self._numbers.get((trace_id, version))
            if run is not None:
                calls.add(
                    run,
                    position,
                    error=error if failed else None,
                    form=form,
                    texts=json.loads(texts) if texts else {},
                )
        return calls.built()

    def _read(
        self,
        tool: str,
        kind: Kind,
        failing: bool,  # noqa: FBT001 - as ReadParticulars has it
    ) -> Iterator[tuple[int, int, Particulars]]:
        asked = {"tool": tool, "kind": kind, "failed": int(failing)}
        for trace_id, version, position, detail in self._store.stream(PARTICULARS_SQL, asked):
            run = self._numbers.get((trace_id, version))
            if run is not None:
                yield run, position, particulars_in(detail)


class ToolsAtHand:
    """The tools of calls at hand, which are ordered by run and time."""

    def __init__(self, calls: Sequence[Call]) -> None:
        by_run = groupby(calls, key=lambda call: call.trace_id)
        self._by_run = [list(made) for _, made in by_run]
        runs = RunsBuilder()
        for made in self._by_run:
            runs.add(_run(made))
        self.runs = runs.built()
        self.failing: Sequence[str] = sorted(
            {call.tool for call in calls if call.error is not None}
        )

    def calls_of(self, tool: str) -> ToolCalls:
        """Return all calls of a tool."""
        columns = ToolCallsBuilder(tool, self.runs, partial(self._read, tool))
        for run, position, call in self._calls(tool):
            is_object = isinstance(call.arguments, dict)
            columns.add(
                run,
                position,
                error=call.error.text if call.error is not None else None,
                form=json.dumps(form_of(call.arguments)) if is_object else "",
                texts=texts_of(call.arguments) if is_object else {},
            )
        return columns.built()

    def _calls(self, tool: str) -> Iterator[tuple[int, int, Call]]:
        for run, made in enumerate(self._by_run):
            for position, call in enumerate(made):
                if call.tool == tool:
                    yield run, position, call

    def _read(
        self,
        tool: str,
        kind: Kind,
        failing: bool,  # noqa: FBT001 - as ReadParticulars has it
    ) -> Iterator[tuple[int, int, Particulars]]:
        asked = {
            (run, position): call
            for run, position, call in self._calls(tool)
            if call.error is not None or not failing
        }
        if kind == "error":
            for (run, position), call in asked.items():
                if call.error is not None:
                    yield run, position, error_particulars(call)
            return
        for run in {run for run, _ in asked}:
            for position, its_kind, one in particulars_of_run(self._by_run[run]):
                if its_kind == kind and (run, position) in asked:
                    yield run, position, one


def _run(calls: Sequence[Call]) -> Run:
    first = calls[0]
    began: dict[str, bool] = {}
    for call in calls:
        began.setdefault(call.tool, call.error is not None)
    return Run(
        trace_id=first.trace_id,
        tenant=first.tenant,
        user=first.user,
        unit=first.unit,
        named_task=bool(first.task),
        factors=(first.task or first.user, *first.model.rpartition("/")[::2], ""),
        discovers=in_discovery_half(first.unit),
        looks=len(began),
        failed=sum(began.values()),
    )
