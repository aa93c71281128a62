"""A run as a tree in the terminal: what the agent did, in order, and where it went wrong."""

import sys
from collections.abc import Sequence
from itertools import chain

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from spanlore.cli.output import clean, count
from spanlore.schemas.runs import SpanNode
from spanlore.schemas.types import Run

__all__ = ["print_run", "token_counts"]

_PIPE_WIDTH = 120
_SHOWN_CHARACTERS = 160
# Columns a level is indented by, and the part of the width that indentation may take.
_INDENT = 4
_SHARE_OF_INDENT = 2
_SECOND_NS = 1_000_000_000


def print_run(run: Run, spans: Sequence[SpanNode], *, full: bool) -> None:
    """Print the run's summary and its spans; ``full`` keeps arguments and results whole."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    tree = Tree(_summary(run))
    start_ns = min((span.start_ns for span in spans), default=0)
    levels_max = max(console.width // _SHARE_OF_INDENT // _INDENT, 1)
    left = _grow(tree, spans, start_ns=start_ns, levels_max=levels_max, full=full)
    if left:
        text = f"in a ring of parents, each other's or their own; listed flat: {len(left):,}"
        ring = tree.add(Text(text, style="yellow"))
        for span in left:
            _add(ring, _line(span, start_ns=start_ns), span, full=full)
    console.print(tree)


def _grow(
    tree: Tree, spans: Sequence[SpanNode], *, start_ns: int, levels_max: int, full: bool
) -> list[SpanNode]:
    """Hang every span below its parent, or flat from some depth on; return what no root leads to.

    What is deeper than ``levels_max`` stands there in its order, with its depth said.
    """
    known = {span.span_id for span in spans}
    children: dict[str, list[SpanNode]] = {}
    for span in spans:
        parent = span.parent_span_id if span.parent_span_id in known else ""
        children.setdefault(parent, []).append(span)
    waiting = [(span, tree, 1) for span in reversed(children.pop("", []))]
    while waiting:
        span, above, depth = waiting.pop()
        line = _line(span, start_ns=start_ns)
        if depth > levels_max:
            line = Text().append(f"depth {depth:,}  ", style="dim").append(line)
        branch = _add(above, line, span, full=full)
        below = branch if depth < levels_max else above
        waiting += [(child, below, depth + 1) for child in reversed(children.pop(span.span_id, []))]
    return sorted(chain.from_iterable(children.values()), key=lambda span: span.start_ns)


def token_counts(run: Run) -> str | None:
    """Say how many tokens went in and came out; None where neither is known."""
    if run.input_tokens is None and run.output_tokens is None:
        return None
    return f"{count(run.input_tokens)} in, {count(run.output_tokens)} out"


def _add(above: Tree, line: Text, span: SpanNode, *, full: bool) -> Tree:
    branch = above.add(line)
    for detail in _details(span, full=full):
        branch.add(detail)
    return branch


def _summary(run: Run) -> Text:
    text = Text(clean(f"{run.agent or 'run'} {run.trace_id}"), style="bold")
    colour = {"pass": "green", "fail": "red"}.get(run.outcome or "", "yellow")
    source = f" ({run.outcome_source})" if run.outcome_source else ""
    text.append(f"  {run.outcome or 'not judged'}{source}", style=colour)
    facts = [
        f"state {run.state}",
        f"tenant {run.tenant}",
        f"user {run.user or '–'}",
        f"task {run.task or '–'}/{run.task_id or '–'}",
        f"model {run.model or '–'}",
        f"harness {run.harness or '–'}",
    ]
    if run.started_at is None:
        facts.append("times unknown")
    else:
        facts.append(f"started {run.started_at:%Y-%m-%d %H:%M:%S} UTC")
    if tokens := token_counts(run):
        facts.append(f"tokens {tokens}")
    if run.cost_usd is not None:
        facts.append(f"cost ${run.cost_usd:.4f}")
    text.append(clean("\n" + ", ".join(facts)), style="not bold")
    return text


def _line(span: SpanNode, *, start_ns: int) -> Text:
    failed = span.status == "Error" or bool(span.error_type)
    text = Text(clean(span.name or span.op or "span"), style="red" if failed else "cyan")
    if not span.time_unknown:
        text.append(f"  +{_duration(span.start_ns - start_ns)}", style="dim")
        text.append(f"  {_duration(max(span.end_ns - span.start_ns, 0))}", style="not bold")
    if (span.input_tokens, span.output_tokens) != (None, None):
        tokens = f"  {count(span.input_tokens)} → {count(span.output_tokens)} tokens"
        text.append(tokens, style="dim")
    if span.incomplete:
        text.append("  not ended", style="yellow")
    return text


def _details(span: SpanNode, *, full: bool) -> list[Text]:
    details = []
    if span.tool_arguments:
        details.append(Text("args   ", style="dim").append(_shown(span.tool_arguments, full=full)))
    if span.status == "Error" or span.error_type:
        said = span.status_message or span.tool_result or span.error_type or ""
        details.append(Text("error  ", style="red").append(_shown(said, full=full)))
    elif span.tool_result:
        details.append(Text("result ", style="dim").append(_shown(span.tool_result, full=full)))
    return details


def _shown(text: str, *, full: bool) -> str:
    if full:
        return clean(text)
    line = " ".join(clean(text).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def _duration(nanoseconds: int) -> str:
    if nanoseconds < _SECOND_NS:
        return f"{nanoseconds / 1e6:.0f} ms"
    return f"{nanoseconds / _SECOND_NS:.1f} s"
