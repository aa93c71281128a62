"""Which tool is called wrongly, with what arguments, and what the tool says to it.

Three kinds of hypotheses, per tool:

* ``template``: calls of the tool end in one error text (ids and numbers masked). They are
  compared with the agent's *other* tools in the same task by the same agent and model, and
  there any failure at all counts. So it says: "this one error of this tool alone is more
  frequent than all errors of the other tools together", which is harder than to say that the
  tool's own error text appears at that tool more often than elsewhere (it always does). A
  harness with one tool has nothing to compare with: then the rate is tested against 5 %.
* ``shape``: calls of the tool whose arguments have a shape, against its calls without it.
* ``total``: calls whose number is not the total that earlier outputs imply, against calls whose
  number is (see ``derived_total``); the formula is chosen on the discovery half alone.

All are compared within task and agent, and count the first call of a tool in a run. Hypotheses
that the same failing calls gave rise to are one fault, and become one hypothesis (``one_fault``):
a shape that most good calls do not have says more than the error text it leads to, a missing key
more than a wrong type, an error text more than a shape that good calls have as well. How many
good calls have a shape is counted on the discovery half.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from spanlore.analyzers.argument_echo import echoes_of, slot_number
from spanlore.analyzers.argument_shape import Shape, ToolKeys, shapes_of, tool_keys
from spanlore.analyzers.calls import Call, calls_of, parsed, with_earlier
from spanlore.analyzers.counted_calls import Arm, Counted, adjustments, count, looks, units_noun
from spanlore.analyzers.derived_total import Formula, TotalRule, candidates, choose_formula
from spanlore.analyzers.error_rule import NumberRule, number_rule
from spanlore.analyzers.good_calls import good_values
from spanlore.analyzers.halves import in_discovery_half
from spanlore.analyzers.hypothesis import Hypothesis
from spanlore.analyzers.json_paths import sums
from spanlore.analyzers.lacking_keys import lacking_keys
from spanlore.analyzers.one_fault import Candidate, one_a_fault
from spanlore.analyzers.quoted_text import plain, quoted
from spanlore.analyzers.tool_schema import WantedKeys, wanted_keys
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import (
    HARNESS_PARTS,
    KIND_TOOL_DEFINITIONS,
    LATEST_RUN,
    LATEST_SPAN,
    RUNS,
    TRACES,
)

NAME = "tool_argument_misuse"
VERSION = "3"
FLOOR_RATE = 0.05
SHAPE_CALLS_MIN = 5
CLUSTERS_SHOWN_MAX = 10
TEMPLATES_MAX = 200  # of one tool, the most frequent first
# A shape explains failures when fewer of the good calls have it: hardly any, or a minority.
HARDLY_ANY = 0.1
MINORITY = 0.5
# Of shapes that explain the same failing calls, the first kind says most.
EXPLAINING_KINDS = ("lacks", "absent", "type", "format", "extra")
_ERROR_TEXT_RANK = 2  # after what explains it

TOOL_CALLS_SQL = f"""
SELECT call.TenantId AS TenantId, call.TraceId AS TraceId, call.SpanId AS SpanId,
       call.StartUnixNano AS StartUnixNano, call.ToolName AS ToolName,
       call.ToolArguments AS ToolArguments, call.ToolResult AS ToolResult,
       call.StatusCode = 'Error' OR call.ErrorType != '' AS Failed,
       call.StatusMessage AS StatusMessage, call.ErrorType AS ErrorType,
       run.TaskType AS TaskType, run.TaskId AS TaskId, run.UserId AS UserId,
       run.AgentName AS AgentName, run.AgentVersion AS AgentVersion, run.Model AS Model
FROM (
    SELECT TenantId, TraceId, SpanId, StartUnixNano, ToolName, ToolArguments, ToolResult,
           StatusCode, StatusMessage, ErrorType
    FROM {TRACES}
    WHERE ToolName != '' AND Op IN ('execute_tool', '') AND Incomplete = 0
    {LATEST_SPAN}
) AS call
INNER JOIN (
    SELECT TraceId, TaskType, TaskId, UserId, AgentName, AgentVersion, Model
    FROM {RUNS}
    WHERE LastReceivedAt >= {{since:DateTime64(9)}}
    {LATEST_RUN}
) AS run ON run.TraceId = call.TraceId
"""

TOOL_DEFINITIONS_SQL = f"""
SELECT argMax(Content, At) AS Definitions
FROM {HARNESS_PARTS}
WHERE Kind = '{KIND_TOOL_DEFINITIONS}'
GROUP BY Hash
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    """All calls of one tool, the calls of the others, and what belongs to both."""

    name: str
    calls: list[Call]
    others: list[Call]
    earlier: Mapping[str, list[Call]]
    keys: ToolKeys
    adjusted_for: tuple[str, ...]
    units_noun: str


def tool_argument_misuse(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the tool calls of all runs of the window. Raises StoreError."""
    rows = store.query(TOOL_CALLS_SQL, {"since": window.since_text})
    definitions = [parsed(row["Definitions"]) for row in store.query(TOOL_DEFINITIONS_SQL)]
    yield from misuse_hypotheses(rows, definitions)


def misuse_hypotheses(
    rows: Iterable[Mapping[str, Any]], definitions: Iterable[Any]
) -> Iterator[Hypothesis]:
    """Form the hypotheses from the rows of ``TOOL_CALLS_SQL`` and lists of tool definitions."""
    yield from hypotheses_of_calls(calls_of(rows), wanted_keys(definitions))


def hypotheses_of_calls(
    calls: Sequence[Call], defined: Mapping[str, Mapping[str, WantedKeys]]
) -> Iterator[Hypothesis]:
    """Form the hypotheses from calls ordered by run and time."""
    by_tool: dict[str, list[Call]] = {}
    for call in calls:
        by_tool.setdefault(call.tool, []).append(call)
    failing_tools = {call.tool for call in calls if call.error is not None}
    earlier: dict[str, list[Call]] = {}
    for call, before in with_earlier(calls):
        if call.tool in failing_tools:
            earlier[call.span_id] = list(before)
    for name in sorted(failing_tools):
        tool = _Tool(
            name=name,
            calls=by_tool[name],
            others=[call for call in calls if call.tool != name],
            earlier=earlier,
            keys=tool_keys(by_tool[name], defined.get(name)),
            adjusted_for=adjustments(calls),
            units_noun=units_noun(calls),
        )
        yield from one_a_fault([*_template_candidates(tool), *_shape_candidates(tool)])


def _template_candidates(tool: _Tool) -> Iterator[Candidate]:
    clusters = Counter(call.error.text for call in tool.calls if call.error is not None)
    others = looks(Arm(calls=tool.others, happened=_failed))
    for template in sorted(clusters, key=lambda text: (-clusters[text], text))[:TEMPLATES_MAX]:
        failing = [call for call in tool.calls if _ends_in(template, call)]
        echoes = echoes_of(failing)
        rule = number_rule(failing, echoes)
        total = _total_rule(tool, failing, rule)
        counted = count(
            Arm(calls=tool.calls, happened=partial(_ends_in, template)),
            others,
        )
        hypothesis = _hypothesis(
            tool,
            counted,
            key=f"template|{tool.name}|{template}",
            title=f"{tool.name} fails with {quoted(template)}",
            floor=FLOOR_RATE,
            detail={
                "kind": "template",
                "n_counts": f"calls of {tool.name}",
                "k_counts": "of these, those that failed with the error text of the title",
                "template": template,
                "compared_with": "any failure of the agent's other tools, same task and agent",
                "clusters": [
                    {"template": text, "k": k}
                    for text, k in sorted(clusters.items(), key=lambda one: (-one[1], one[0]))
                ][:CLUSTERS_SHOWN_MAX],
                "arguments": sorted({echo.path for echo in echoes}),
                "rule": rule.detail() if rule else None,
                "derivable": _derivable(tool, failing, total=total, rule=rule),
            },
        )
        yield Candidate(hypothesis=hypothesis, happened=_ids(failing), rank=(_ERROR_TEXT_RANK, 0))
        if total is not None:
            yield _total_candidate(tool, template, total)


def _shape_candidates(tool: _Tool) -> Iterator[Candidate]:
    shapes = {call.span_id: shapes_of(call.arguments, tool.keys) for call in tool.calls}
    shaped = Counter(shape for found in shapes.values() for shape in found)
    choices = Counter((shape.path, shape.kind) for shape in shaped)
    good = Counter(shape for call in _good(tool) for shape in shapes[call.span_id])
    failing = sum(map(_failed, tool.calls))
    for shape in sorted(shaped):
        about_keys = shape.kind in ("lacks", "extra")
        smaller = min(shaped[shape], len(tool.calls) - shaped[shape], failing)
        if smaller < (1 if about_keys else SHAPE_CALLS_MIN):
            continue
        if shape.value and choices[shape.path, shape.kind] == 1:
            continue  # the same wherever the path is there at all: "absent" says that better
        with_shape = [call for call in tool.calls if shape in shapes[call.span_id]]
        without = [call for call in tool.calls if shape not in shapes[call.span_id]]
        if about_keys and not any(map(_failed, with_shape)):
            continue
        yield Candidate(
            hypothesis=_shape_hypothesis(tool, shape, with_shape=with_shape, without=without),
            happened=_ids(filter(_failed, with_shape)),
            rank=_shape_rank(shape, good[shape] / max(len(_good(tool)), 1)),
        )


def _shape_hypothesis(
    tool: _Tool, shape: Shape, *, with_shape: Sequence[Call], without: Sequence[Call]
) -> Hypothesis:
    counted = count(
        Arm(calls=with_shape, happened=_failed), looks(Arm(calls=without, happened=_failed))
    )
    failed_without = {call.trace_id for call in without if _failed(call)}
    elsewhere = sorted(failed_without - {*counted.evidence, *counted.counter_evidence})
    keys = None
    if shape.kind == "lacks":
        keys = lacking_keys(tool.calls, shape.path, keys=tool.keys, earlier=tool.earlier)
    named = ", ".join(f"`{key}`" for key in (keys or {}).get("missing", ()))
    return _hypothesis(
        tool,
        replace(counted, counter_evidence=(*counted.counter_evidence, *elsewhere)),
        key=f"shape|{tool.name}|{shape.path}|{shape.kind}|{shape.value}",
        title=f"{tool.name} fails on calls where {shape.words}{': ' if named else ''}{named}",
        floor=None,
        detail={
            "kind": "shape",
            "n_counts": f"calls of {tool.name} where {shape.words}",
            "k_counts": "of these, those that failed in any way",
            "shape": {"path": shape.path, "kind": shape.kind, "value": shape.value},
            "compared_with": "calls of the same tool without the shape, same task and agent",
            "clusters": _clusters(with_shape),
            "keys": keys,
            "good_calls": _good_calls(tool.calls, with_shape, path=shape.path, keys=tool.keys),
            # What a constraint is chosen by: its gate scores it on the other half.
            "good_calls_to_choose_by": _good_calls(
                *map(_discovered, (tool.calls, with_shape)), path=shape.path, keys=tool.keys
            ),
        },
    )


def _good_calls(
    calls: Sequence[Call], with_shape: Sequence[Call], *, path: str, keys: ToolKeys
) -> dict[str, Any]:
    return {
        "calls": sum(call.error is None for call in calls),
        "calls_with_shape": sum(call.error is None for call in with_shape),
        **good_values(calls, path, keys),
    }


def _discovered(calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if in_discovery_half(call.unit)]


def _shape_rank(shape: Shape, good_share: float) -> tuple[int, int]:
    """Rank a shape by how well it tells failing calls from good ones, then by its kind."""
    if shape.kind not in EXPLAINING_KINDS or good_share >= MINORITY:
        return _ERROR_TEXT_RANK + 1, len(EXPLAINING_KINDS)
    return int(good_share >= HARDLY_ANY), EXPLAINING_KINDS.index(shape.kind)


def _good(tool: _Tool) -> list[Call]:
    return [call for call in _discovered(tool.calls) if not _failed(call)]


def _ids(calls: Iterable[Call]) -> frozenset[str]:
    return frozenset(f"{call.trace_id}{call.span_id}" for call in calls)


def _total_candidate(tool: _Tool, template: str, total: TotalRule) -> Candidate:
    broken: list[Call] = []
    kept: list[Call] = []
    for call in tool.calls:
        verdict = total.broken(call, tool.earlier[call.span_id])
        if verdict is not None:
            (broken if verdict else kept).append(call)

    happened = partial(_ends_in, template)
    formula = total.formula
    hypothesis = _hypothesis(
        tool,
        count(Arm(calls=broken, happened=happened), looks(Arm(calls=kept, happened=happened))),
        key=f"total|{tool.name}|{template}|{total.path}"
        f"|{formula.array}|{formula.number_key}|{formula.times}",
        title=f"{tool.name} fails when `{total.path}` is not {formula.words}",
        floor=None,
        detail={
            "kind": "total",
            "n_counts": f"calls of {tool.name} whose number is not the one of the title",
            "k_counts": "of these, those that failed with the error text",
            "template": template,
            "compared_with": "calls of the same tool whose number agrees, same task and agent",
            "path": total.path,
            "formula": formula.words,
            "checked": _replayed(broken, kept),
            "checked_on_other_tasks": _replayed(
                [call for call in broken if not in_discovery_half(call.unit)],
                [call for call in kept if not in_discovery_half(call.unit)],
            ),
            "not_checkable": len(tool.calls) - len(broken) - len(kept),
        },
    )
    return Candidate(
        hypothesis=hypothesis,
        happened=_ids(filter(happened, broken)),
        rank=(_ERROR_TEXT_RANK, 1),
    )


def _total_rule(tool: _Tool, failing: Sequence[Call], rule: NumberRule | None) -> TotalRule | None:
    """Choose the formula for the wanted number on the discovery half's calls alone."""
    if rule is None or rule.relation != "equal":
        return None
    wanted: list[tuple[Mapping[Formula, float], float]] = []
    for call in tool.calls:
        if not in_discovery_half(call.unit):
            continue
        right = None
        if call in failing:
            right = slot_number(call, rule.wanted_slot)
        elif call.error is None:
            right = sums(call.arguments).get(rule.path)
        if right is not None:
            wanted.append((candidates(call, tool.earlier[call.span_id]), right))
    formula = choose_formula(wanted)
    return TotalRule(rule.path, formula) if formula else None


def _derivable(
    tool: _Tool, failing: Sequence[Call], *, total: TotalRule | None, rule: NumberRule | None
) -> dict[str, Any] | None:
    """Say in how many failing calls the wanted number stood in earlier outputs already."""
    if total is None or rule is None:
        return None
    computed = agreed = 0
    for call in failing:
        expected = total.expected(call, tool.earlier[call.span_id])
        computed += expected is not None
        agreed += expected is not None and expected == slot_number(call, rule.wanted_slot)
    return {
        "formula": total.formula.words,
        "total": {"path": total.path, "formula": asdict(total.formula)},
        "failing": len(failing),
        "computable": computed,
        "right": agreed,
    }


def _replayed(broken: Sequence[Call], kept: Sequence[Call]) -> dict[str, int]:
    """Count what a check before the call would have caught and blocked."""
    return {
        "failing_caught": sum(map(_failed, broken)),
        "failing_missed": sum(map(_failed, kept)),
        "good_blocked": len(broken) - sum(map(_failed, broken)),
        "good_passed": len(kept) - sum(map(_failed, kept)),
    }


def _hypothesis(
    tool: _Tool,
    counted: Counted,
    *,
    key: str,
    title: str,
    floor: float | None,
    detail: Mapping[str, Any],
) -> Hypothesis:
    failing = sum(map(_failed, tool.calls))
    common = {
        "tool": tool.name,
        "calls": len(tool.calls),
        "failing_calls": failing,
        "looks_are": "first calls of a tool in a run",
    }
    return Hypothesis(
        analyzer=NAME,
        key=key,
        title=plain(title),
        support=counted.support,
        strata=counted.strata,
        adjusted_for=tool.adjusted_for,
        evidence=counted.evidence,
        counter_evidence=counted.counter_evidence,
        units_noun=tool.units_noun,
        floor=floor,
        detail={**common, **detail, "scope": _scope(tool.calls, counted.evidence)},
    )


def _scope(calls: Sequence[Call], traces: Sequence[str]) -> dict[str, Any]:
    """Say where it happens: how many tenants and users, and the only tenant if there is one."""
    seen = [call for call in calls if call.trace_id in set(traces)]
    tenants = sorted({call.tenant for call in seen})
    callers = {call.tenant for call in calls}
    return {
        "tenant": tenants[0] if len(tenants) == 1 else None,
        "only_tenant_affected": len(tenants) == 1 and len(callers) > 1,
        "tenants": len(tenants),
        "users": len({call.user for call in seen if call.user}),
    }


def _clusters(calls: Iterable[Call]) -> list[dict[str, Any]]:
    found = Counter(call.error.text for call in calls if call.error is not None)
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [{"template": text, "k": k} for text, k in ordered[:CLUSTERS_SHOWN_MAX]]


def _failed(call: Call) -> bool:
    return call.error is not None


def _ends_in(template: str, call: Call) -> bool:
    return call.error is not None and call.error.text == template
