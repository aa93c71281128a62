"""Which spans tell a call that a span around them tells already. Pure.

Two instrumentations may see one call: an agent framework and the SDK below it, or an agent's tool
and the server that runs it. A model's span within a model's is the same call. A tool's within that
of a tool of the same name is, where another tells it: what one and the same tells twice happened
twice, and so did what was called after a model was asked in between.
"""

from collections.abc import Mapping
from itertools import compress

from spanlore.collector.run_spans import Columns
from spanlore.schemas import semconv

# Who tells one call: a framework, a client, a server, the program's own decorator.
_TELLERS_MAX = 8
_KNOWN_MORE = ("Model", "InputTokens", "OutputTokens", "CacheReadTokens")
_CALLS = (*semconv.INFERENCE_OPS, semconv.OP_EXECUTE_TOOL)


def duplicate_of(spans: Columns) -> dict[str, str]:
    """Return, by their ids, the spans that tell a call again, each with the outermost that does.

    ``spans`` are those of one run in the order of time.
    """
    calls = compress(spans["SpanId"], map(_CALLS.__contains__, spans["Op"]))
    if set(spans["ParentSpanId"]).isdisjoint(calls):  # as most runs are
        return {}
    around = _same_around(spans)
    outermost: dict[int, int] = {}
    tellers: dict[int, frozenset[str]] = {}
    for place in around:
        for inner in reversed(_outwards(place, around, known=outermost)):
            outer, teller = around[inner], spans["Teller"][inner]
            told_by = tellers.get(outer) or frozenset({spans["Teller"][outer]})
            is_model = spans["Op"][inner] in semconv.INFERENCE_OPS
            if is_model or (teller not in told_by and len(told_by) < _TELLERS_MAX):
                outermost[inner] = outermost.get(outer, outer)
                tellers[inner] = told_by | {teller}
            else:
                outermost[inner] = inner
                tellers[inner] = frozenset({teller})
    ids = spans["SpanId"]
    return {ids[inner]: ids[outer] for inner, outer in outermost.items() if inner != outer}


def told_once(spans: Columns, duplicates: Mapping[str, str]) -> Columns:
    """Let calls have what those that tell them again know more; one failed if the last did."""
    if not duplicates:
        return spans
    told = {name: list(column) for name, column in spans.items()}
    places = {span_id: place for place, span_id in enumerate(spans["SpanId"])}
    last: dict[int, int] = {}
    for again, outermost in duplicates.items():
        call = places[outermost]
        last[call] = max(last.get(call, 0), places[again])
        for name in _KNOWN_MORE:
            if told[name][call] in ("", None):
                told[name][call] = spans[name][places[again]]
    for call, inner in last.items():
        if told["StatusCode"][call] != "Error" and not told["ErrorType"][call]:
            for name in ("StatusCode", "ErrorType"):
                told[name][call] = spans[name][inner]
    return told


def _outwards(place: int, around: Mapping[int, int], *, known: Mapping[int, int]) -> list[int]:
    """Return a span and those around it, up to what is known; none twice, if they are a ring."""
    path: dict[int, None] = {}
    while place in around and place not in known and place not in path:
        path[place] = None
        place = around[place]
    return list(path)


def _same_around(spans: Columns) -> dict[int, int]:
    """Return, by their places, the calls around which a span stands that may tell the same."""
    ops, names = spans["Op"], spans["ToolName"]
    nearest = _operations_around(spans)
    heard: dict[int, int] = {}  # the first call of a model within an operation
    for place, outer in nearest.items():
        if ops[place] in semconv.INFERENCE_OPS:
            heard.setdefault(outer, place)
    found: dict[int, int] = {}
    for place, outer in nearest.items():
        if ops[place] in semconv.INFERENCE_OPS:
            is_same = ops[outer] in semconv.INFERENCE_OPS
        else:
            is_tool = ops[outer] == semconv.OP_EXECUTE_TOOL and names[outer] == names[place] != ""
            is_same = is_tool and heard.get(outer, place) >= place
        if is_same:
            found[place] = outer
    return found


def _operations_around(spans: Columns) -> dict[int, int]:
    """Return, by their places, calls of models and tools, each with the nearest operation around.

    Spans without an operation stand between: a step of a framework, a client's request.
    """
    ops, parents = spans["Op"], spans["ParentSpanId"]
    places = {span_id: place for place, span_id in enumerate(spans["SpanId"])}
    nearest: dict[int, int | None] = {}  # of spans without an operation
    found: dict[int, int] = {}
    for place, op in enumerate(ops):
        if op not in _CALLS and (op or not spans["ToolName"][place]):
            continue
        path, outer = list[int](), places.get(parents[place])
        while outer is not None and ops[outer] == "" and outer not in nearest:
            nearest[outer] = None  # a ring ends here
            path.append(outer)
            outer = places.get(parents[outer])
        if outer is not None and ops[outer] == "":
            outer = nearest[outer]
        nearest.update(dict.fromkeys(path, outer))
        if outer is not None:
            found[place] = outer
    return found
