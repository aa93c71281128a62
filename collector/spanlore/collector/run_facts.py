"""What the spans of one trace add up to. Pure.

Anybody may send spans under a trace id that they saw. So a run that stands stays its tenant's,
for as long as there are spans of that tenant; else it is that of its root, or of the first span
that names a tenant. Spans of other tenants are no part of it; those that name none are.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain, compress
from operator import itemgetter
from typing import Any

from spanlore.collector.duplicates import duplicate_of, told_once
from spanlore.collector.run_spans import NAMES, Columns, Span
from spanlore.schemas import dialects, otlp, prices, semconv

# The run says of itself what its root does, else the earliest span that has a word on it.
_SAID = (
    "ServiceName", "AgentName", "AgentVersion", "UserId", "SessionId", "TaskType", "TaskId",
    "Provider", "Revision",
)  # fmt: skip
# Facts that are no columns: what others are made of.
ASIDE = (
    "root_rank", "root_open", "orphans", "last_received_ns", "instructions_raw", "tools_raw",
)  # fmt: skip
_EPOCH_DAY = date(1970, 1, 1)
_DAY_NS = 86_400_000_000_000
# The store counts tokens so and wraps around; so do we, rather than to fail at its door.
_UINT64_MAX = 2**64 - 1
_NO_SAMPLING = ("", "{}")
_SAMPLED = re.compile(rf'"({"|".join(dialects.SAMPLING_WORDS)})": ?([0-9.]+)')

_by_order = itemgetter(*(NAMES.index(name) for name in ("Rank", "at_ns", "SpanId", "TenantId")))


def run_facts(trace_id: str, spans: list[Span], standing: Mapping[str, Any]) -> dict[str, Any]:
    """Add up the spans of a trace.

    ``spans`` are as ``read_spans`` gives them; ``standing`` is the row that stands of the run, {}
    where none does. Keys are columns of ``agent_runs``, and ``ASIDE``.
    """
    spans.sort(key=_by_order)
    run = _of_owner(_latest(_columns(spans)), standing)
    duplicates = duplicate_of(run)
    run = told_once(run, duplicates)
    ended_ns = max(chain(run["EndUnixNano"], run["StartUnixNano"]))
    inferring = [op in semconv.INFERENCE_OPS for op in run["Op"]]
    counted = [
        infers and span_id not in duplicates
        for infers, span_id in zip(inferring, run["SpanId"], strict=True)
    ]
    calling = [
        op == semconv.OP_EXECUTE_TOOL and span_id not in duplicates
        for op, span_id in zip(run["Op"], run["SpanId"], strict=True)
    ]
    known = {"", *run["SpanId"]}
    return {
        "TenantId": _owner(run["TenantId"], {}),
        "TraceId": trace_id,
        "RootSpanId": run["SpanId"][0],
        **{name: _first(run[name], "") for name in _SAID},
        "Model": _inferences_first(run["Model"], inferring) or "",
        "Sampling": next(
            (one for one in map(_sampling, run["Sampling"]) if one not in _NO_SAMPLING), ""
        ),
        "StartedAt": min(run["at_ns"]),
        "EndedAt": min(ended_ns, otlp.TIME_NS_MAX),
        "DurationMs": float(ended_ns - min(run["StartUnixNano"])) / 1e6,
        "TimeUnknown": max(run["TimeUnknown"]),
        "Spans": len(run["SpanId"]),
        "Steps": sum(counted),
        "ToolCalls": sum(calling),
        "ToolErrors": _failed(run, calling),
        "DuplicateOf": duplicates,
        "InputTokens": _tokens(run["InputTokens"], counted),
        "OutputTokens": _tokens(run["OutputTokens"], counted),
        "CostUsd": _cost_usd(run, counted),
        "root_rank": run["Rank"][0],
        "root_open": run["Incomplete"][0],
        "orphans": len([parent for parent in run["ParentSpanId"] if parent not in known]),
        "last_received_ns": max(run["received_ns"]),
        "instructions_raw": _inferences_first(run["InstructionsHash"], inferring) or 0,
        "tools_raw": _inferences_first(run["ToolDefinitionsHash"], inferring) or 0,
    }


def _sampling(said: str) -> str:
    """Give parameters the conventions' names, where numbers of theirs stand in another's JSON."""
    if dialects.PARAMETERS not in said:
        return said
    named = json.loads(said)
    found = _SAMPLED.findall(named.pop(dialects.PARAMETERS, ""))
    numbers = {dialects.SAMPLING_WORDS[word]: number for word, number in found}
    return json.dumps(numbers | named, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _columns(spans: Iterable[Span]) -> Columns:
    return dict(zip(NAMES, zip(*spans, strict=True), strict=True))


def _picked(spans: Columns, kept: Iterable[int]) -> Columns:
    indices = sorted(kept)
    return {name: [column[index] for index in indices] for name, column in spans.items()}


def _latest(spans: Columns) -> Columns:
    """Leave one of each span: complete before incomplete, then the one received last."""
    if len(set(spans["SpanId"])) == len(spans["SpanId"]):
        return spans
    latest: dict[tuple[str, str], tuple[bool, int, int]] = {}
    versions = zip(spans["Incomplete"], spans["received_ns"], strict=True)
    names = zip(spans["TenantId"], spans["SpanId"], strict=True)
    for index, (name, (incomplete, received_ns)) in enumerate(zip(names, versions, strict=True)):
        version = (not incomplete, received_ns, index)
        latest[name] = max(latest.get(name, version), version)
    return _picked(spans, (index for _, _, index in latest.values()))


def _of_owner(spans: Columns, standing: Mapping[str, Any]) -> Columns:
    """Leave the spans of the run's owner and of nobody by name."""
    tenants = spans["TenantId"]
    if tenants.count(tenants[0]) == len(tenants):
        return spans
    of_run = (_owner(tenants, standing), semconv.DEFAULT_TENANT)
    return _picked(spans, (index for index, one in enumerate(tenants) if one in of_run))


def _owner(tenants: Sequence[str], standing: Mapping[str, Any]) -> str:
    """Say whose run it is, by the tenants of its trace's spans in their order."""
    stood = str(standing.get("TenantId", semconv.DEFAULT_TENANT))
    # What stands open and names no tenant may yet be told whose it is.
    stays = stood != semconv.DEFAULT_TENANT or standing.get("State") == "sealed"
    if stays and stood in tenants:
        return stood
    named = (tenant for tenant in tenants if tenant != semconv.DEFAULT_TENANT)
    return next(named, semconv.DEFAULT_TENANT)


def _first(column: Iterable[Any], default: Any) -> Any:
    return next(filter(None, column), default)


def _inferences_first(column: Sequence[Any], inferring: Sequence[bool]) -> Any:
    """Give the first word of an inference span, else of any span; None where none has one."""
    return _first(compress(column, inferring), None) or _first(column, None)


def _failed(run: Columns, calling: Sequence[bool]) -> int:
    said = zip(run["StatusCode"], run["ErrorType"], strict=True)
    return sum(status == "Error" or error != "" for status, error in compress(said, calling))


def _tokens(column: Sequence[int | None], counted: Sequence[bool]) -> int | None:
    """Add up the tokens of counted inference; else the root's own; None where nobody says any."""
    said = [tokens for tokens in compress(column, counted) if tokens is not None]
    return sum(said) & _UINT64_MAX if said else column[0]


def _cost_usd(run: Columns, counted: Sequence[bool]) -> float | None:
    """Return what the inference of a run cost, None where tokens or the price of any is unknown."""
    used: dict[tuple[str, int], list[int]] = {}
    names = ("Model", "at_ns", "InputTokens", "CacheReadTokens", "OutputTokens")
    calls = zip(*(run[name] for name in names), strict=True)
    for model, at_ns, given, cached, answered in compress(calls, counted):
        if given is None:
            continue
        if answered is None:
            return None
        read = min(cached or 0, given)
        sums = used.setdefault((model, at_ns // _DAY_NS), [0, 0, 0])
        for index, tokens in enumerate((given - read, read, answered)):
            sums[index] += tokens
    total: float | None = None
    for (model, day), sums in sorted(used.items()):
        if any(sums):
            price = prices.price_of(model, _EPOCH_DAY + timedelta(days=day))
            if price is None:
                return None
            total = (total or 0.0) + prices.cost_of(price, prices.Usage(*sums))
    return total
