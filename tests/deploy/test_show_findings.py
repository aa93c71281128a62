"""How a finding's numbers read: an effect in points, and what its looks are."""

from dataclasses import replace

import pytest

from spanlore.cli.show_findings import (
    chance_text,
    effect_text,
    guard_text,
    print_findings,
    seen_text,
    verdict_text,
)
from spanlore.schemas.types import Finding

BY = {"agent": 0.39, "all": 0.41, "harness": 0.004, "task": 0.38}
FINDING = Finding(
    finding_id="ab" * 16,
    analyzer="test",
    title="a thing",
    n=102,
    k=35,
    effect=0.4076,
    interval=(0.0012, 0.5468),
    p=0.0,
    q=0.0,
    adjusted_for=("task", "agent"),
    confirmed=True,
    evidence=("aa",),
    counter_evidence=("bb",),
    detail={
        "rate_interval": [0.224, 0.486],
        "compared_with": "other tools",
        "looks": {"calls": 47, "failing_calls": 19},
        "looks_are": "first calls of a tool in a run",
        "expected_by_chance": 3.5,
        "guard": {
            "crude": 0.39,
            "by": {name: {"effect": effect, "interval": None} for name, effect in BY.items()},
            "says": None,
        },
    },
)


def test_an_effect_is_told_in_points_and_a_rate_in_percent() -> None:
    assert seen_text(FINDING) == "35 of 102 (34%, 95 % interval 22% to 49%)"
    assert effect_text(FINDING) == (
        "+41 points [+0.1, +55] against other tools, adjusted for task, agent, "
        "q < 1e-300, confirmed on the other half"
    )


def test_looks_are_named() -> None:
    assert chance_text(FINDING) == (
        "3.5 of 19 were to be expected by chance, in 47 looks (first calls of a tool in a run)"
    )


def test_factors_are_told_in_the_order_in_which_they_are_held_fixed() -> None:
    said = "+39 points over everything, +38 by task, +39 by agent, +0.4 by harness, +41 by all"
    assert guard_text(FINDING) == said
    turned = {
        **FINDING.detail["guard"],
        "by": dict(reversed(FINDING.detail["guard"]["by"].items())),
    }
    assert guard_text(replace(FINDING, detail={**FINDING.detail, "guard": turned})) == said


def test_whose_a_rate_is_stands_under_the_finding(capsys: pytest.CaptureFixture[str]) -> None:
    guard = {"carried_by": "model", "says": "only under one model of 7: 21 of 28 looks"}
    print_findings([replace(FINDING, detail={**FINDING.detail, "guard": guard})])
    assert "  note      only under one model of 7: 21 of 28 looks\n" in capsys.readouterr().out


def test_without_a_number_of_looks_the_verdict_is_the_word_alone() -> None:
    unknown = replace(FINDING, confirmed=False, verdict="underpowered", reason="few")
    assert verdict_text(unknown) == "underpowered"
    assert verdict_text(replace(unknown, n_needed=1200)) == "underpowered: needs 1,200 looks"
