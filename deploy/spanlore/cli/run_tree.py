"""A run as a tree in the terminal: what the agent did, in order, and where it went wrong."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from spanlore.cli.output import clean
from spanlore.schemas.runs import SpanNode
from spanlore.schemas.types import Run

__all__ = ["print_run"]

_PIPE_WIDTH = 120
_SHOWN_CHARACTERS = 160
_DEPTH_MAX = 100
_SECOND_NS = 1_000_000_000


def print_run(run: Run, spans: Sequence[SpanNode], *, full: bool) -> None:
    """Print the run's summary and its spans; ``full`` keeps arguments and results whole."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    tree = Tree(_summary(run))
    known = {span.span_id for span in spans}
    children: dict[str, list[SpanNode]] = {}
    for span in spans:
        parent = span.parent_span_id if span.parent_span_id in known else ""
        children.setdefault(parent, []).append(span)
    _grow(tree, children, "", start_ns=min((s.start_ns for s in spans), default=0), full=full)
    console.print(tree)


def _grow(
    tree: Tree,
    children: dict[str, list[SpanNode]],
    parent: str,
    *,
    start_ns: int,
    full: bool,
    depth: int = 0,
) -> None:
    for span in children.pop(parent, []):
        branch = tree.add(_line(span, start_ns=start_ns))
        for detail in _details(span, full=full):
            branch.add(detail)
        if depth < _DEPTH_MAX:
            _grow(branch, children, span.span_id, start_ns=start_ns, full=full, depth=depth + 1)


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
    if run.input_tokens is not None:
        facts.append(f"tokens {run.input_tokens:,} in, {run.output_tokens or 0:,} out")
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
    if span.input_tokens is not None:
        tokens = f"  {span.input_tokens:,} → {span.output_tokens or 0:,} tokens"
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
