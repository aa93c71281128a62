"""Tokens paid for and never used: tools that no run calls, and results of which nothing is used.

A tool's definition is sent with every model call of a run, its result with every model call after
it. Two things are counted, by agent:

* ``tool``: runs in which a tool was defined; it happened where the run never called it;
* ``result``: runs in which a tool gave a result with words in it; it happened where none of them,
  whatever the spelling, came up again in a later argument or text of the agent.

Tokens are estimated at four characters each (JSON as sent), times the model calls that carry them.
Told is what is unused in at least 99 % of runs and surely in more than 98 %: some 150 runs in each
half in which it was never used. The runs that did use it are the counter-evidence: a tool that is
needed once in a thousand runs is still needed, so this is advice with a price on it.

Cannot see: what a model got from a tool's being there (it may say "I can also ..."), a result that
was worth having because it said nothing, instructions and memories (whether a model followed a
sentence cannot be read off its words).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, Counted, rates
from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.json_paths import scalars
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "unused_tools_and_context"
VERSION = "1"
FLOOR_RATE = 0.98
CHARS_A_TOKEN = 4
WORD_CHARS_MIN = 3
_WORD = re.compile(rf"[^\W_]{{{WORD_CHARS_MIN},}}")
_SAYS_NOTHING = frozenset({"true", "false", "null", "none", "success", "done"})
_Z_95 = 1.96

_TOKENS_SQL = f"""
SELECT Key, count() AS Runs, avg(Tokens) AS Mean, stddevSamp(Tokens) AS Deviation,
       sum(Tokens) AS Total, uniqExact(TaskType) AS TaskTypes
FROM (
    SELECT Key, TaskType, if(K > 0, Value, 0) AS Tokens
    FROM ({FACTS_OF_RUNS_SQL})
)
GROUP BY Key
"""


def unused_tools_and_context_facts(run: RunTrace) -> Iterator[Fact]:
    """Yield each defined tool, and each tool that gave a result: was it used, and its tokens."""
    if not run.model_calls:
        return
    agent = run.agent.partition("/")[0]
    called = {call.tool for call in run.calls}
    called |= {request.name for message in run.messages for request in message.requests}
    for name, definition in run.defined_tools.items():
        tokens = tokens_of(definition) * len(run.model_calls)
        yield Fact(key=f"tool|{agent}|{name}", k=int(name not in called), value=float(tokens))
    yield from _results(run, agent)


def tokens_of(value: Any) -> int:
    """Return the estimated tokens of a text, or of a JSON value as it is sent."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return -(-len(text) // CHARS_A_TOKEN)


def unused_tools_and_context(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at the tools and tool results of all runs of the window. Raises StoreError."""
    counted = list(rates(store, window, NAME))
    params = {**window.params, "extractor": NAME, "version": VERSION, "prefix": ""}
    tokens = {row["Key"]: row for row in store.query(_TOKENS_SQL, params)} if counted else {}
    yield from unused_tools_and_context_hypotheses(counted, tokens)


def unused_tools_and_context_hypotheses(
    counted: Iterable[Counted], tokens: Mapping[str, Mapping[str, Any]]
) -> Iterator[Hypothesis]:
    """Form the hypotheses; ``tokens`` holds, by key, what being unused cost a run."""
    for one in counted:
        # Far below the floor is a small two-sided p: Benjamini-Hochberg would make room for it.
        if one.support.k <= FLOOR_RATE * one.support.n:
            continue
        what, agent, tool = one.key.split("|", 2)
        is_tool = what == "tool"
        yield one.hypothesis(
            analyzer=NAME,
            key=one.key,
            title=plain(
                f"{tool} is defined for agent {agent} and not called"
                if is_tool
                else f"agent {agent} uses nothing of what {tool} answers"
            ),
            floor=FLOOR_RATE,
            family=NAME,
            counted="run",
            detail={
                "kind": "unused_tool" if is_tool else "unused_result",
                "agent": agent,
                "tool": tool,
                "n_counts": "runs in which the tool was defined"
                if is_tool
                else "runs in which the tool's result held words",
                "k_counts": "of these, those that never called it"
                if is_tool
                else "of these, those where no later argument or text of the agent holds any",
                "compared_with": f"a share of {FLOOR_RATE:.0%}",
                "saved": _saved(tokens.get(one.key)),
                "used_in": one.support.n - one.support.k,
                "warning": _warning(one, is_tool=is_tool),
            },
        )


def _results(run: RunTrace, agent: str) -> Iterator[Fact]:
    """Yield a fact for each tool that answered; ``value`` are the tokens its answers cost."""
    names = {
        request.call_id: request.name for message in run.messages for request in message.requests
    }
    later, carried = set[str](), 0
    unused: dict[str, bool] = {}
    tokens: dict[str, int] = {}
    for message in reversed(run.messages):
        for answer in message.answers:
            words = words_of(answer.text) - _SAYS_NOTHING
            tool = names.get(answer.call_id, "")
            if tool and words and carried:
                unused[tool] = unused.get(tool, True) and not words & later
                tokens[tool] = tokens.get(tool, 0) + tokens_of(answer.text) * carried
        if message.role == "assistant":
            later |= _said(message)
            carried += 1
    for tool, is_unused in unused.items():
        yield Fact(key=f"result|{agent}|{tool}", k=int(is_unused), value=float(tokens[tool]))


def _said(message: Message) -> set[str]:
    words = words_of(message.text)
    for request in message.requests:
        words |= words_of(json.dumps(request.arguments, ensure_ascii=False))
    return words


def words_of(text: str) -> set[str]:
    """Return the words of a text, or of the values of a JSON text, without regard to case."""
    value = parsed(text) if text.lstrip()[:1] in ("{", "[") else None
    if value is not None:
        text = " ".join(str(one) for _, one in scalars(value) if one is not None)
    return set(_WORD.findall(text.casefold()))


def _saved(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what leaving it out would have saved: input tokens a run, with the 95 % interval."""
    if row is None or row["Runs"] < 2:  # noqa: PLR2004 - a deviation takes two
        return None
    half = _Z_95 * float(row["Deviation"]) / float(np.sqrt(row["Runs"]))
    mean = float(row["Mean"])
    return {
        "tokens_a_run": round(mean, 1),
        "interval": [round(max(mean - half, 0.0), 1), round(mean + half, 1)],
        "tokens_in_all": round(float(row["Total"])),
        "tokens_are": f"estimated: {CHARS_A_TOKEN} characters each, before any prompt cache",
        "task_types": row["TaskTypes"],
    }


def _warning(one: Counted, *, is_tool: bool) -> str:
    used = one.support.n - one.support.k
    if used:
        return f"{used} runs did use it (see counter-evidence): keep it for tasks like theirs"
    if is_tool:
        return "no run has used it; a task rarer than one in these runs may still need it"
    return "the call may be needed for what it does: it is its answer that could be shorter"
