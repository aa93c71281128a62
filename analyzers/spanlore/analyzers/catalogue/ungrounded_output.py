"""What an agent states or passes on that nothing it was given holds: made up, or worked out.

Sees, in each run, amounts, dates, e-mail addresses and codes (``typed_values``) of every text the
agent gave the user, and codes and e-mail addresses that it passed to tools. Each is looked for in
what the run had been told before: instructions, tool definitions, the user's messages, results of
tools (``known_values``, which errs on the side of "known"). The agent's own words tell it nothing.

A single value is never called wrong. Said are three kinds of things, by rates over runs:

* ``states``: an agent's answers hold ungrounded values of a kind in more than a tolerable share
  of the runs that state any;
* ``fails``: runs with ungrounded values fail more often than others of the same task;
* ``passes`` and ``made_up_fails``: a tool's argument is ungrounded more often than is tolerable,
  and such calls fail more often than calls of the same tool whose argument was known.

Cannot see: a value that is known and wrong, what has no form of its own (names, words), numbers
below 100 and percentages, results that were cut from the trace, arithmetic beyond sums,
differences and small multiples: that is why the tolerable share is not zero. Codes and addresses
are looked at only where the trace holds the tool definitions.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.fact_counts import Counted, presence, rates
from spanlore.analyzers.runs.calls import Call, parsed
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.json_paths import scalars
from spanlore.analyzers.runs.known_values import KnownValues
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import Message, RunTrace, ToolRequest
from spanlore.analyzers.runs.typed_values import Kind, TypedValue, typed_values, whole_value
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "ungrounded_output"
VERSION = "1"
FLOOR_RATE = 0.05
FLOOR_RATE_AMOUNTS = 0.1  # totals that are right, and not recognised
VALUES_SHOWN_MAX = 3
VALUE_CHARS_MAX = 60
PATHS_MAX = 50  # of one call
_SEPARATOR = "|"
# What a caller is expected to make up.
_OWN_IDS = re.compile(
    r"idempoten|nonce|request_?id|client_?(?:token|id)|trace|correlation|uuid|password|filename",
    re.IGNORECASE,
)
_KINDS: dict[Kind, str] = {
    "amount": "amounts",
    "date": "dates",
    "email": "e-mail addresses",
    "code": "codes and ids",
}


@dataclass(slots=True)
class _Looked:
    """What was looked at under one key: was any of it ungrounded, and which."""

    ungrounded: dict[str, None] = field(default_factory=dict)
    failed: bool = False
    span_id: str = ""


def ungrounded_output_facts(run: RunTrace) -> Iterator[Fact]:
    """Yield, for each kind of value and each tool's argument, whether the run made any up."""
    known = KnownValues()
    known.hear_often(run.instructions)
    known.hear_often(json.dumps(list(run.defined_tools.values()), ensure_ascii=False))
    calls = {call.call_id: call for call in reversed(run.calls)}  # ids may repeat: the first
    looked: dict[str, _Looked] = {}
    agent = run.agent.partition("/")[0]
    codes_known = bool(run.defined_tools) or not run.calls
    for position, message in enumerate(run.messages):
        if message.role == "assistant":
            if message.text and not message.requests:
                _look_at_answer(message.text, known, looked, agent=agent)
            if len(message.requests) > 1:
                _hear_answers(run.messages[position + 1 :], known)
            for request in message.requests:
                _look_at_request(request, known, looked, call=calls.get(request.call_id))
        else:
            _hear(message, known)
    for key, one in looked.items():
        # Definitions hold examples of ids, so that without them nobody knows what was made up.
        if codes_known or key.startswith(_key("answer", "amount")):
            yield from _facts(key, one)


def ungrounded_output(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at the values of all runs of the window. Raises StoreError."""
    yield from ungrounded_output_hypotheses(
        stated=rates(store, window, NAME, prefix="answer|"),
        failing=presence(store, window, NAME, prefix="answer|"),
        passed=rates(store, window, NAME, prefix="argument|"),
        made_up=rates(store, window, NAME, prefix="call|", group=_GROUP_SQL),
    )


# call|yes|tool|path and call|no|tool|path are compared with each other.
_GROUP_SQL = "replaceRegexpOne(Key, '^call[|](yes|no)[|]', '')"


def ungrounded_output_hypotheses(
    *,
    stated: Iterable[Counted],
    failing: Iterable[Counted],
    passed: Iterable[Counted],
    made_up: Iterable[Counted],
) -> Iterator[Hypothesis]:
    """Form the hypotheses from what was counted."""
    yield from (_states(one) for one in stated if _is_above(one, _floor_of(one.key)))
    yield from (_fails(one) for one in failing)
    yield from (_passes(one) for one in passed if _is_above(one, FLOOR_RATE))
    yield from (_made_up_fails(one) for one in made_up if one.key.startswith("call|yes|"))


def _hear(message: Message, known: KnownValues) -> None:
    known.hear(message.text)
    for answer in message.answers:
        known.hear(answer.text)


def _hear_answers(messages: Sequence[Message], known: KnownValues) -> None:
    """Hear what tools asked together answered: some recordings join steps that followed another."""
    for message in takewhile(lambda one: one.role == "tool", messages):
        _hear(message, known)


def _look_at_answer(
    text: str, known: KnownValues, looked: dict[str, _Looked], *, agent: str
) -> None:
    before: list[TypedValue] = []
    for value in typed_values(text):
        one = looked.setdefault(_key("answer", value.kind, agent), _Looked())
        if not known.holds(value, before):
            one.ungrounded[value.text] = None
        before.append(value)


def _look_at_request(
    request: ToolRequest, known: KnownValues, looked: dict[str, _Looked], *, call: Call | None
) -> None:
    """Look at the codes and addresses of a tool's first call: later ones repeat its mistakes."""
    for path, text in list(scalars(request.arguments))[:PATHS_MAX]:
        value = whole_value(text) if isinstance(text, str) else None
        if value is None or value.kind not in ("code", "email") or _OWN_IDS.search(path):
            continue
        key = _key("argument", request.name, path)
        if key in looked:
            continue
        one = looked[key] = _Looked(
            failed=call is not None and call.error is not None,
            span_id=call.span_id if call else "",
        )
        if not known.holds(value):
            one.ungrounded[value.text] = None


def _facts(key: str, one: _Looked) -> Iterator[Fact]:
    shown = [text[:VALUE_CHARS_MAX] for text in list(one.ungrounded)[:VALUES_SHOWN_MAX]]
    detail = json.dumps(shown, ensure_ascii=False) if shown else ""
    is_ungrounded = int(bool(one.ungrounded))
    yield Fact(key=key, k=is_ungrounded, detail=detail, span_id=one.span_id)
    what, _, rest = key.partition(_SEPARATOR)
    if what == "argument":
        arm = "yes" if one.ungrounded else "no"
        yield Fact(
            key=_key("call", arm, rest), k=int(one.failed), detail=detail, span_id=one.span_id
        )


def _key(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def _is_above(one: Counted, floor: float) -> bool:
    """Leave out what is below: far below is a small two-sided p, which would make room for others.

    (Benjamini-Hochberg allows the more, the more small p values there are.)
    """
    return one.support.k > floor * one.support.n


def _floor_of(key: str) -> float:
    return FLOOR_RATE_AMOUNTS if _answer_of(key)[0] == "amount" else FLOOR_RATE


def _states(one: Counted) -> Hypothesis:
    kind, agent = _answer_of(one.key)
    floor = _floor_of(one.key)
    return _hypothesis(
        one,
        key=one.key,
        title=f"{agent} states {_KINDS[kind]} that nothing in the run holds",
        floor=floor,
        kind="ungrounded_answer",
        n_counts=f"runs in which the agent's answers state {_KINDS[kind]}",
        k_counts="of these, those with one that follows from nothing the run was told before",
        compared_with=f"a tolerable share of {floor:.0%}: sums that are not recognised",
    )


def _fails(one: Counted) -> Hypothesis:
    kind, agent = _answer_of(one.key)
    return _hypothesis(
        one,
        key=f"fails|{one.key}",
        title=f"runs in which {agent} states {_KINDS[kind]} that nothing holds fail more often",
        floor=None,
        kind="ungrounded_answer_outcome",
        n_counts=f"judged runs whose answers state ungrounded {_KINDS[kind]}",
        k_counts="of these, those that failed",
        compared_with="other judged runs of the same task, agent, model and harness",
    )


def _passes(one: Counted) -> Hypothesis:
    _, tool, path = one.key.split(_SEPARATOR, 2)
    return _hypothesis(
        one,
        key=one.key,
        title=f"{tool} is given a `{path}` that nothing in the run holds",
        floor=FLOOR_RATE,
        kind="ungrounded_argument",
        n_counts="runs in which the tool's first such argument was a code or an e-mail address",
        k_counts="of these, those where nothing the run was told before holds it",
        compared_with=f"a tolerable share of {FLOOR_RATE:.0%}",
    )


def _made_up_fails(one: Counted) -> Hypothesis:
    _, _, tool, path = one.key.split(_SEPARATOR, 3)
    return _hypothesis(
        one,
        key=one.key,
        title=f"{tool} fails on a `{path}` that nothing in the run holds",
        floor=None,
        kind="ungrounded_argument_error",
        n_counts="first calls whose argument nothing holds that the run was told before",
        k_counts="of these, those that failed",
        compared_with="first calls of the tool whose argument was known",
    )


def _answer_of(key: str) -> tuple[Kind, str]:
    _, kind, agent = key.split(_SEPARATOR, 2)
    known: Kind = next(one for one in _KINDS if one == kind)
    return known, f"agent {agent}" if agent else "the agent"


def _hypothesis(  # noqa: PLR0913 - one hypothesis, each part by its name
    one: Counted,
    *,
    key: str,
    title: str,
    floor: float | None,
    kind: str,
    n_counts: str,
    k_counts: str,
    compared_with: str,
) -> Hypothesis:
    what = one.key.split(_SEPARATOR)
    tool = {"argument": 1, "call": 2}.get(what[0])
    return one.hypothesis(
        analyzer=NAME,
        key=key,
        title=plain(title),
        floor=floor,
        counted="run",
        detail={
            "kind": kind,
            "n_counts": n_counts,
            "k_counts": k_counts,
            "compared_with": compared_with,
            "examples": [plain(text) for text in _examples(one.details)],
            **({"tool": what[tool], "path": what[tool + 1]} if tool else {"agent": what[-1]}),
        },
    )


def _examples(details: Iterable[str]) -> list[str]:
    """Return the first ungrounded value of each run shown, for a person to look up."""
    listed = (parsed(text) for text in details)
    return [str(values[0]) for values in listed if isinstance(values, list) and values]
