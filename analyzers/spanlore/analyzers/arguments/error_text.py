"""What the error texts of a tool say of its arguments: echoes, rules, totals that were known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spanlore.analyzers.arguments.argument_echo import echoes_of
from spanlore.analyzers.arguments.call_particulars import Particulars
from spanlore.analyzers.arguments.derived_total import FormulaVotes, TotalRule
from spanlore.analyzers.arguments.error_rule import NumberRule, number_rule
from spanlore.analyzers.arguments.tool_calls import ToolCalls
from spanlore.analyzers.core.cells import Flags

# Of one error text, to read its rule off: what nine of ten say, five hundred say as surely.
CALLS_READ_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorText:
    """An error text of a tool: its number, the arguments it names, and the rule it states.

    ``total`` is the rule as a formula over earlier outputs, ``broken`` and ``kept`` the calls that
    it could be computed for, ``computed`` and ``right`` how many of the failing calls it was
    computed for, and gave the number that the error text wants.
    """

    error: int
    arguments: Sequence[str]
    rule: NumberRule | None
    total: TotalRule | None = None
    broken: Flags | None = None
    kept: Flags | None = None
    computed: int = 0
    right: int = 0

    def derivable(self, failing: int) -> dict[str, Any] | None:
        """Say in how many failing calls the wanted number stood in earlier outputs already."""
        if self.total is None:
            return None
        return {
            "formula": self.total.formula.words,
            "total": {"path": self.total.path, "formula": asdict(self.total.formula)},
            "failing": failing,
            "computable": self.computed,
            "right": self.right,
        }


def error_texts(tool: ToolCalls, errors: Iterable[int]) -> dict[int, ErrorText]:
    """Read what these error texts say, by their numbers.

    A rule is read off the first ``CALLS_READ_MAX`` failing calls; what a rule then holds for is
    counted over all calls.
    """
    read = _failing(tool, errors)
    texts: dict[int, ErrorText] = {}
    for error, failing in read.items():
        echoes = echoes_of([one.repeats for one in failing])
        texts[error] = ErrorText(
            error=error,
            arguments=sorted({echo.path for echo in echoes}),
            rule=number_rule(tool.errors[error], failing, echoes),
        )
    rules = {
        error: text.rule
        for error, text in texts.items()
        if text.rule is not None and text.rule.relation == "equal"
    }
    totals = _total_rules(tool, rules) if rules else {}
    return {**texts, **_checked(tool, texts, totals)} if totals else texts


def _failing(tool: ToolCalls, errors: Iterable[int]) -> dict[int, list[Particulars]]:
    """Return the particulars of the first failing calls of each error text."""
    calls = {error: np.flatnonzero(tool.error == error)[:CALLS_READ_MAX] for error in errors}
    wanted = {int(call) for several in calls.values() for call in several}
    found = {call: one for call, one in tool.particulars("error", failing=True) if call in wanted}
    nothing = Particulars()
    return {
        error: [found.get(int(call), nothing) for call in several]
        for error, several in calls.items()
    }


def _total_rules(tool: ToolCalls, rules: Mapping[int, NumberRule]) -> dict[int, TotalRule]:
    """Choose the formula for each wanted number on the discovery half's calls alone."""
    votes = {error: FormulaVotes() for error in rules}
    discovers = tool.discovers
    for call, one in tool.particulars("total", failing=False):
        if not discovers[call]:
            continue
        for error, rule in rules.items():
            right = None
            if tool.error[call] == error:
                right = one.number_in(rule.wanted_slot)
            elif tool.error[call] < 0:
                right = one.sums.get(rule.path)
            if right is not None:
                votes[error].add(one.totals, right)
    chosen = {error: one.best() for error, one in votes.items()}
    return {
        error: TotalRule(rules[error].path, formula)
        for error, formula in chosen.items()
        if formula is not None
    }


def _checked(
    tool: ToolCalls, texts: Mapping[int, ErrorText], totals: Mapping[int, TotalRule]
) -> dict[int, ErrorText]:
    """Hold every call that it can be computed for against each total."""
    marks = {error: np.zeros((2, len(tool.run)), dtype=np.bool_) for error in totals}
    computed, right = dict.fromkeys(totals, 0), dict.fromkeys(totals, 0)
    for call, one in tool.particulars("total", failing=False):
        for error, total in totals.items():
            expected = one.totals.of(total.formula)
            verdict = total.breaks(expected, one.sums.get(total.path))
            if verdict is not None:
                marks[error][int(not verdict), call] = True
            rule = texts[error].rule
            if tool.error[call] == error and expected is not None and rule is not None:
                computed[error] += 1
                right[error] += expected == one.number_in(rule.wanted_slot)
    return {
        error: ErrorText(
            error=error,
            arguments=texts[error].arguments,
            rule=texts[error].rule,
            total=total,
            broken=marks[error][0],
            kept=marks[error][1],
            computed=computed[error],
            right=right[error],
        )
        for error, total in totals.items()
    }
