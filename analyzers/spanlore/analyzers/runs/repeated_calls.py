"""Which tool calls of a run only said again what was known: the same call, the same answer.

A call is *repeated* when the run made it before, with the same arguments, and the last time it
got the same answer. The same call with another answer is polling, and is none; where arguments
or answer were not recorded nothing is said. Calls that the agent did not make itself
(``Call.asked_by``) are none of its doing.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace

CYCLE_CALLS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What the calls of a run that the agent made itself repeat.

    A call that says nothing new is one of three: ``circling`` where two calls take turns (A B A B,
    each with the answer it had), else ``failed_again`` where it fails as it did before, else
    ``repeated``. ``guesses`` is with how many different arguments each tool met its most frequent
    error text.
    """

    calls: tuple[Call, ...]
    repeated: tuple[Call, ...]
    failed_again: tuple[Call, ...]
    circling: tuple[Call, ...]
    guesses: Mapping[str, int]


def repeats_of(run: RunTrace) -> Repeats:
    """Find the repeats of a run."""
    calls = tuple(call for call in run.calls if not call.asked_by and call.arguments is not None)
    steps = [(_asked(call), _answer(call)) for call in calls]
    circling = {
        at - back
        for at in range(CYCLE_CALLS - 1, len(calls))
        if _turns(steps, at)
        for back in (0, 1)
    }
    repeated, failed_again = list[Call](), list[Call]()
    answered: dict[str, tuple[bool, str]] = {}
    for at, (asked, answer) in enumerate(steps):
        says_nothing_new = answer[1] and answered.get(asked) == answer
        answered[asked] = answer
        if says_nothing_new and at not in circling:
            (failed_again if answer[0] else repeated).append(calls[at])
    return Repeats(
        calls=calls,
        repeated=tuple(repeated),
        failed_again=tuple(failed_again),
        circling=tuple(calls[at] for at in sorted(circling)),
        guesses=_guesses(calls),
    )


def tokens_of(wasted: Iterable[Call], run: RunTrace) -> int:
    """Return the tokens (input and output) of the model calls that asked for nothing but these.

    Ids of calls may come back within a run: each belongs to the first open request of its id.
    """
    ids = {call.span_id for call in wasted}
    requested: dict[str, deque[ModelCall]] = defaultdict(deque)
    for one in run.model_calls:
        for message in one.output:
            for request in message.requests:
                requested[request.call_id].append(one)
    only_wasted: dict[str, bool] = {}
    for call in run.calls:
        if call.call_id and requested[call.call_id]:
            asking = requested[call.call_id].popleft().span_id
            only_wasted[asking] = only_wasted.get(asking, True) and call.span_id in ids
    return sum(spent(one) for one in run.model_calls if only_wasted.get(one.span_id))


def spent(call: ModelCall) -> int:
    """Return the tokens a model call used, 0 where it does not say."""
    return (call.input_tokens or 0) + (call.output_tokens or 0)


def _asked(call: Call) -> str:
    arguments = json.dumps(call.arguments, sort_keys=True, ensure_ascii=False)
    return f"{call.tool}\x00{arguments}"


def _answer(call: Call) -> tuple[bool, str]:
    """Return whether a call failed, and what it said: of an error the words that do not vary."""
    return (True, call.error.text) if call.error is not None else (False, call.result)


def _turns(steps: Sequence[tuple[str, tuple[bool, str]]], at: int) -> bool:
    one, other = steps[at], steps[at - 1]
    answered = one[1][1] and other[1][1]
    return bool(answered) and one != other and (steps[at - 2], steps[at - 3]) == (one, other)


def _guesses(calls: Iterable[Call]) -> dict[str, int]:
    tried: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in calls:
        if call.error is not None:
            tried[call.tool, call.error.text].add(_asked(call))
    most: dict[str, int] = {}
    for (tool, _), arguments in tried.items():
        most[tool] = max(most.get(tool, 0), len(arguments))
    return most
