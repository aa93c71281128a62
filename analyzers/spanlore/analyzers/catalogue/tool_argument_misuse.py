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

All are compared within task, agent, model and harness, and count the first call of a tool in a
run. Hypotheses that the same failing calls gave rise to are one fault, and become one hypothesis
(``one_fault``): a shape that most good calls do not have says more than the error text it leads
to, a missing key more than a wrong type, an error text more than a shape that good calls have as
well. How many good calls have a shape is counted on the discovery half.

What a run says of its calls is kept (``call_facts``); here the tools that fail are counted from
it, one at a time, all of their calls (``tool_calls``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spanlore.analyzers.arguments.argument_shape import (
    Shape,
    ToolKeys,
    keys_of_successes,
    paths_given,
    shapes_of,
)
from spanlore.analyzers.arguments.called_tools import CalledTools, KeptTools, ToolsAtHand
from spanlore.analyzers.arguments.counted_calls import (
    EVIDENCE_MAX,
    Arm,
    Comparison,
    Counted,
    other_tools,
    trace_ids,
)
from spanlore.analyzers.arguments.error_text import ErrorText, error_texts
from spanlore.analyzers.arguments.good_calls import good_values
from spanlore.analyzers.arguments.lacking_keys import lacking_keys
from spanlore.analyzers.arguments.one_fault import Candidate, one_a_fault
from spanlore.analyzers.arguments.tool_calls import ToolCalls
from spanlore.analyzers.core.cells import Flags
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.runs.calls import Call, calls_of, parsed
from spanlore.analyzers.runs.quoted_text import plain, quoted
from spanlore.analyzers.runs.tool_schema import WantedKeys, wanted_keys
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import HARNESS_PARTS, KIND_TOOL_DEFINITIONS

NAME = "tool_argument_misuse"
VERSION = "4"
FLOOR_RATE = 0.05
SHAPE_CALLS_MIN = 5
CLUSTERS_SHOWN_MAX = 10
TEMPLATES_MAX = 200  # of one tool, the most frequent first
PATHS_MAX = 1_000  # of one tool's arguments, the most frequent first
# A shape explains failures when fewer of the good calls have it: hardly any, or a minority.
HARDLY_ANY = 0.1
MINORITY = 0.5
# Of shapes that explain the same failing calls, the first kind says most.
EXPLAINING_KINDS = ("lacks", "absent", "type", "format", "extra")
_ERROR_TEXT_RANK = 2  # after what explains it

TOOL_DEFINITIONS_SQL = f"""
SELECT argMax(Content, At) AS Definitions
FROM {HARNESS_PARTS}
WHERE Kind = '{KIND_TOOL_DEFINITIONS}'
GROUP BY Hash
"""
Defined = Mapping[str, Mapping[str, WantedKeys]]


def tool_argument_misuse(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the tool calls of all runs of the window that were extracted. Raises StoreError."""
    definitions = [parsed(row["Definitions"]) for row in store.query(TOOL_DEFINITIONS_SQL)]
    tools = KeptTools(store, window)
    yield from tool_argument_misuse_hypotheses(tools, wanted_keys(definitions))


def misuse_hypotheses(
    rows: Iterable[Mapping[str, Any]], definitions: Iterable[Any]
) -> Iterator[Hypothesis]:
    """Form the hypotheses from rows of tool calls (``calls_of``) and lists of tool definitions."""
    yield from hypotheses_of_calls(calls_of(rows), wanted_keys(definitions))


def hypotheses_of_calls(calls: Sequence[Call], defined: Defined) -> Iterator[Hypothesis]:
    """Form the hypotheses from calls ordered by run and time."""
    yield from tool_argument_misuse_hypotheses(ToolsAtHand(calls), defined)


def tool_argument_misuse_hypotheses(tools: CalledTools, defined: Defined) -> Iterator[Hypothesis]:
    """Form the hypotheses tool by tool."""
    for name in tools.failing:
        calls = tools.calls_of(name)
        if not calls.failed.any():
            continue  # it failed in runs that are not counted
        tool = _Tool.of(calls, defined.get(name))
        yield from one_a_fault([*_template_candidates(tool), *_shape_candidates(tool)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    """All calls of one tool, and what belongs to them: its keys, its failing calls, the totals."""

    calls: ToolCalls
    keys: ToolKeys
    failing: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def of(cls, calls: ToolCalls, defined: Mapping[str, WantedKeys] | None) -> "_Tool":
        everything = calls.forms_of(np.ones(len(calls.run), dtype=np.bool_))
        good = calls.forms_of(~calls.failed)
        return cls(
            calls=calls,
            keys=ToolKeys(
                wanted=defined if defined is not None else keys_of_successes(good),
                from_definition=defined is not None,
                paths=paths_given(everything, paths_max=PATHS_MAX),
            ),
            failing=np.flatnonzero(calls.failed),
        )

    @property
    def name(self) -> str:
        return self.calls.name

    def bits(self, happened: Flags) -> int:
        """Return the failing calls in which something happened, a bit each."""
        packed = np.packbits(happened[self.failing], bitorder="little")
        return int.from_bytes(packed.tobytes(), "little")


def _template_candidates(tool: _Tool) -> Iterator[Candidate]:
    calls = tool.calls
    clusters = _clusters(calls, calls.failed)
    numbers = {text: error for error, text in enumerate(calls.errors)}
    told = {numbers[text]: k for text, k in clusters[:TEMPLATES_MAX]}
    texts = error_texts(calls, told)
    whole = Arm(calls, np.ones(len(calls.run), dtype=np.bool_))
    beside = Comparison(whole, other_tools(calls))
    for error, k in told.items():
        failing = calls.error == error
        template, text = calls.errors[error], texts[error]
        counted = beside.count(failing)
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
                "compared_with": "any failure of the agent's other tools, same task and agent"
                if counted.strata.other_n.any()
                else f"a tolerable rate of {FLOOR_RATE:.0%} of calls: no other tools were called",
                "clusters": _shown(clusters),
                "arguments": list(text.arguments),
                "rule": text.rule.detail() if text.rule else None,
                "derivable": text.derivable(k),
            },
        )
        rank = (_ERROR_TEXT_RANK, 0)
        yield Candidate(hypothesis=hypothesis, happened=tool.bits(failing), rank=rank)
        if text.total is not None:
            yield _total_candidate(tool, template, text)


def _total_candidate(tool: _Tool, template: str, text: ErrorText) -> Candidate:
    calls, total = tool.calls, text.total
    if total is None or text.broken is None or text.kept is None:
        message = "a total that was not checked"
        raise ValueError(message)
    formula, happened = total.formula, calls.error == text.error
    broken, kept = Arm(calls, text.broken), Arm(calls, text.kept)
    held_out = ~calls.discovers
    hypothesis = _hypothesis(
        tool,
        Comparison(broken, kept.looks(happened)).count(happened),
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
            "checked": _replayed(calls, text.broken, text.kept),
            "checked_on_other_tasks": _replayed(
                calls, text.broken & held_out, text.kept & held_out
            ),
            "not_checkable": int((~(text.broken | text.kept)).sum()),
        },
    )
    return Candidate(
        hypothesis=hypothesis,
        happened=tool.bits(happened & text.broken),
        rank=(_ERROR_TEXT_RANK, 1),
    )


def _shape_candidates(tool: _Tool) -> Iterator[Candidate]:
    calls = tool.calls
    shapes = _Shapes(calls, tool.keys)
    good = calls.discovers & ~calls.failed
    goods = int(good.sum())
    for shape in shapes.all():
        with_shape = shapes.having(shape)
        number = int(with_shape.sum())
        about_keys = shape.kind in ("lacks", "extra")
        smaller = min(number, len(with_shape) - number, len(tool.failing))
        if smaller < (1 if about_keys else SHAPE_CALLS_MIN):
            continue
        if about_keys and not (with_shape & calls.failed).any():
            continue
        yield Candidate(
            hypothesis=_shape_hypothesis(tool, shape, with_shape),
            happened=tool.bits(with_shape),
            rank=_shape_rank(shape, int((with_shape & good).sum()) / max(goods, 1)),
        )


class _Shapes:
    """The shapes of a tool's calls, worked out once for each form of arguments."""

    def __init__(self, calls: ToolCalls, keys: ToolKeys) -> None:
        self._calls = calls
        self._forms: dict[Shape, list[int]] = {}
        for form, value in enumerate(calls.forms):
            for shape in shapes_of(value, keys):
                self._forms.setdefault(shape, []).append(form)
        self._words: dict[Shape, int] = {}  # the bits of words that read alike when they are cut
        for path, seen in calls.words.items():
            for number, word in enumerate(seen.words):
                if word is not None:
                    shape = Shape(path, "value", word)
                    self._words[shape] = self._words.get(shape, 0) | 1 << number

    def all(self) -> list[Shape]:
        """Return the shapes in order, but for values that are the same wherever there is any."""
        shapes = sorted([*self._forms, *self._words])
        choices: dict[tuple[str, str], int] = {}
        for shape in shapes:
            choices[shape.path, shape.kind] = choices.get((shape.path, shape.kind), 0) + 1
        # One that is the same wherever the path is there at all: "absent" says that better.
        return [one for one in shapes if not one.value or choices[one.path, one.kind] > 1]

    def having(self, shape: Shape) -> Flags:
        """Return which calls have a shape."""
        if shape in self._words:
            return (self._calls.words[shape.path].given & self._words[shape]).astype(np.bool_)
        has = np.zeros(len(self._calls.forms) + 1, dtype=np.bool_)
        has[self._forms[shape]] = True
        return has[self._calls.form]  # the last one is that of calls without a form


def _shape_hypothesis(tool: _Tool, shape: Shape, with_shape: Flags) -> Hypothesis:
    calls, failed = tool.calls, tool.calls.failed
    mine, other = Arm(calls, with_shape), Arm(calls, ~with_shape)
    counted = Comparison(mine, other.looks(failed)).count(failed)
    keys = lacking_keys(calls, shape.path, tool.keys) if shape.kind == "lacks" else None
    named = ", ".join(f"`{key}`" for key in (keys or {}).get("missing", ()))
    everything = np.ones(len(failed), dtype=np.bool_)
    return _hypothesis(
        tool,
        counted,
        key=f"shape|{tool.name}|{shape.path}|{shape.kind}|{shape.value}",
        title=f"{tool.name} fails on calls where {shape.words}{': ' if named else ''}{named}",
        floor=None,
        counter_evidence=_elsewhere(counted, mine, ~with_shape & failed),
        detail={
            "kind": "shape",
            "n_counts": f"calls of {tool.name} where {shape.words}",
            "k_counts": "of these, those that failed in any way",
            "shape": {"path": shape.path, "kind": shape.kind, "value": shape.value},
            "compared_with": "calls of the same tool without the shape, same task and agent",
            "clusters": _shown(_clusters(calls, with_shape & failed)),
            "keys": keys,
            "good_calls": _good_calls(tool, shape.path, with_shape, among=everything),
            # What a constraint is chosen by: its gate scores it on the other half.
            "good_calls_to_choose_by": _good_calls(
                tool, shape.path, with_shape, among=calls.discovers
            ),
        },
    )


def _elsewhere(counted: Counted, mine: Arm, failed_without: Flags) -> tuple[str, ...]:
    """Return the counter-evidence, with runs that failed without the shape after it."""
    calls = mine.tool
    more = np.setdiff1d(calls.run[failed_without], mine.runs)
    both = (*counted.counter_evidence, *trace_ids(calls.runs.trace_ids, more))
    return both[:EVIDENCE_MAX]


def _good_calls(tool: _Tool, path: str, with_shape: Flags, *, among: Flags) -> dict[str, Any]:
    good = among & ~tool.calls.failed
    return {
        "calls": int(good.sum()),
        "calls_with_shape": int((good & with_shape).sum()),
        **good_values(tool.calls.forms_of(good), path, tool.keys),
    }


def _shape_rank(shape: Shape, good_share: float) -> tuple[int, int]:
    """Rank a shape by how well it tells failing calls from good ones, then by its kind."""
    if shape.kind not in EXPLAINING_KINDS or good_share >= MINORITY:
        return _ERROR_TEXT_RANK + 1, len(EXPLAINING_KINDS)
    return int(good_share >= HARDLY_ANY), EXPLAINING_KINDS.index(shape.kind)


def _replayed(calls: ToolCalls, broken: Flags, kept: Flags) -> dict[str, int]:
    """Count what a check before the call would have caught and blocked."""
    return {
        "failing_caught": int((broken & calls.failed).sum()),
        "failing_missed": int((kept & calls.failed).sum()),
        "good_blocked": int((broken & ~calls.failed).sum()),
        "good_passed": int((kept & ~calls.failed).sum()),
    }


def _hypothesis(  # noqa: PLR0913 - one argument a part of it
    tool: _Tool,
    counted: Counted,
    *,
    key: str,
    title: str,
    floor: float | None,
    detail: Mapping[str, Any],
    counter_evidence: tuple[str, ...] | None = None,
) -> Hypothesis:
    runs = tool.calls.runs
    common = {
        "tool": tool.name,
        "calls": len(tool.calls.run),
        "failing_calls": len(tool.failing),
        "looks_are": "first calls of a tool in a run",
    }
    return Hypothesis(
        analyzer=NAME,
        key=key,
        title=plain(title),
        support=counted.support,
        strata=counted.strata,
        adjusted_for=runs.adjusted_for,
        evidence=counted.evidence,
        counter_evidence=(
            counted.counter_evidence if counter_evidence is None else counter_evidence
        ),
        units_noun=runs.units_noun,
        floor=floor,
        detail={**common, **detail, "scope": _scope(tool.calls, counted)},
    )


def _scope(calls: ToolCalls, counted: Counted) -> dict[str, Any]:
    """Say where it happens: how many tenants and users, and the only tenant if there is one."""
    runs = calls.runs
    tenants = np.unique(runs.tenants[counted.runs])
    callers = np.unique(runs.tenants[np.unique(calls.run)])
    users = np.unique(runs.users[counted.runs])
    return {
        "tenant": runs.tenant_names[tenants[0]] if len(tenants) == 1 else None,
        "only_tenant_affected": len(tenants) == 1 and len(callers) > 1,
        "tenants": len(tenants),
        "users": int((users >= 0).sum()),
    }


def _clusters(calls: ToolCalls, among: Flags) -> list[tuple[str, int]]:
    """Return (error text, how often it comes) of these calls, the most frequent first."""
    errors = calls.error[among]
    counts = np.bincount(errors[errors >= 0], minlength=len(calls.errors))
    found = [(text, int(k)) for text, k in zip(calls.errors, counts, strict=True) if k]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _shown(clusters: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"template": text, "k": k} for text, k in clusters[:CLUSTERS_SHOWN_MAX]]
