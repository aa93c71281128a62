"""A run as a tree in the terminal: every span is there, however the spans hang together."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spanlore.cli.run_tree import print_run
from spanlore.cli.runs import print_runs
from spanlore.schemas.runs import SpanNode
from spanlore.schemas.types import Run

RUN = Run(
    trace_id="5" * 32,
    agent="assistant",
    tenant="acme",
    user=None,
    task=None,
    task_id=None,
    state="sealed",
    outcome=None,
    outcome_score=None,
    outcome_source=None,
    started_at=None,
    duration_ms=None,
    steps=0,
    tool_calls=0,
    tool_errors=0,
    input_tokens=None,
    output_tokens=None,
    cost_usd=None,
    harness="",
    model=None,
    spans=0,
)


def span(
    span_id: str, parent: str = "", tokens: tuple[int | None, int | None] = (None, None)
) -> SpanNode:
    return SpanNode(
        span_id=span_id,
        parent_span_id=parent,
        name=f"span {span_id}",
        op="",
        start_ns=0,
        end_ns=0,
        status="Unset",
        status_message="",
        error_type="",
        model="",
        tool="",
        tool_arguments="",
        tool_result="",
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        incomplete=False,
        time_unknown=True,
    )


def shown(capsys: pytest.CaptureFixture[str], spans: Sequence[SpanNode], run: Run = RUN) -> str:
    print_run(run, spans, full=False)
    return capsys.readouterr().out


def test_a_chain_of_thousands_is_shown_whole_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chain = [span(f"{n:016x}", f"{n - 1:016x}" if n else "") for n in range(3_000)]
    chain.append(span("last", chain[0].span_id))
    lines = shown(capsys, chain).splitlines()
    of_spans = [line for line in lines if "span " in line]
    assert [line.split()[-1] for line in of_spans] == [each.span_id for each in chain]
    assert max(map(len, of_spans)) <= 120
    assert not [line for line in lines if not line.strip("│ ")]
    deepest = of_spans[-2]
    assert "depth 3,000" in deepest
    assert "depth" not in of_spans[5]


def test_what_is_listed_flat_keeps_what_was_said_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    chain = [span(f"{n:02}", f"{n - 1:02}" if n else "", (1, 2)) for n in range(50)]
    assert shown(capsys, chain).count("1 → 2 tokens") == 50


@pytest.mark.parametrize(
    "ring",
    [
        [span("a", "a")],
        [span("a", "b"), span("b", "a")],
        [span("a", "b"), span("b", "a"), span("c", "a")],
    ],
    ids=["its own parent", "each other's", "with a child"],
)
def test_spans_that_lead_back_to_themselves_are_listed_with_a_word(
    ring: list[SpanNode], capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, [span("root"), *ring])
    assert "span root" in out
    said = out.partition("ring of parents")
    assert said[1], out
    for each in ring:
        assert said[2].count(each.name) == 1


def test_a_count_that_is_not_known_is_a_dash_and_no_nought(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shown(
        capsys,
        [span("a", tokens=(100, None)), span("b", tokens=(None, 7)), span("c", tokens=(1_000, 0))],
    )
    assert "100 → – tokens" in out
    assert "– → 7 tokens" in out
    assert "1,000 → 0 tokens" in out


def test_the_counts_of_a_run_are_told_from_unknown_ones(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(RUN, input_tokens=5)
    assert "tokens 5 in, – out" in shown(capsys, [], run)
    print_runs([run, replace(run, input_tokens=None, output_tokens=1_000)])
    listed = capsys.readouterr().out
    assert "5 in, – out" in listed
    assert "– in, 1,000 out" in listed
    assert "tokens" not in shown(capsys, [])
