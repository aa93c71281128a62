"""How lessons look to a person: within the terminal's width, whatever a trace said."""

import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from spanlore.cli.output import clean
from spanlore.cli.show_lessons import (
    holds_for,
    next_step,
    print_effect,
    print_lesson,
    print_lessons,
    print_verdicts,
)
from spanlore.schemas.types import Arm, Effect, Finding, Lesson

EVIL = "\x1b[31mred\x1b[0m \u202eesrever\u202c \x07bell"
EVALUATION = {
    "verdict": "inconclusive",
    "gate": "held_out_match",
    "reason": f"it would have matched 19 of 20 held-out runs, {EVIL} " + "and so on " * 20,
    "n": 20,
    "match": {"share": 0.95, "interval": [0.76, 0.99], "k": 19, "n": 20},
    "by": "spanlore learn",
    "at": "2026-03-04T05:06:07+00:00",
}
LESSON = Lesson(
    lesson_id="5eed" * 8,
    layer="context",
    scope="user",
    scope_key=f"ada {EVIL}",
    tenant="acme",
    kind="memory",
    title=f"Meetings start at ten {EVIL} " + "for everybody who works there " * 4,
    body="Meetings start at 10:00.",
    patch=None,
    base_path=None,
    base_hash=None,
    findings=("f1",),
    evidence=("a" * 32,),
    selector={"segment.time_zone": "Europe/Berlin", "agent": "assistant"},
    state="evaluated",
    evaluations=(EVALUATION,),
)
FINDING = Finding(
    finding_id="f1",
    analyzer="preference_override",
    title=f"users replace 09:00 {EVIL}",
    n=10,
    k=9,
    effect=None,
    interval=None,
    p=None,
    q=None,
    adjusted_for=(),
    confirmed=True,
    verdict="confirmed",
    evidence=("a" * 32,) * 9,
    counter_evidence=("b" * 32,),
)
EFFECT = Effect(
    lesson_id=LESSON.lesson_id,
    lesson_version=3,
    metric="override",
    compared_with="held_out",
    exposed=Arm(runs=120, users=30, clusters=30, events=6),
    other=Arm(runs=40, users=8, clusters=8, events=30),
    difference=-0.7,
    interval=(-0.8, -0.6),
    verdict="improved",
    reason=f"overridden in 5 % {EVIL} " + "of the runs that were given it " * 5,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[80, 120])
def columns_wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("TERM", "dumb")
    return int(request.param)


def shown(print_it: Callable[[], None]) -> str:
    """Return what is printed to a terminal."""
    with redirect_stdout(Terminal()) as terminal:
        print_it()
    return terminal.getvalue()


def words(text: str) -> str:
    """Return the words of a text, however it was wrapped."""
    return " ".join(text.split())


def test_an_effect_of_one_user_says_how_many_sessions_it_rests_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    given, before = (Arm(runs=20, users=1, clusters=18, events=n) for n in (1, 15))
    own = replace(EFFECT, exposed=given, other=before, clusters_are="sessions of the user")
    said = words(re.sub(r"\x1b\[\d*m|[┃│]", " ", shown(lambda: print_effect(own))))
    assert "runs users sessions of the user runs whose proposal was overridden rate" in said
    assert "given the lesson 20 1 18 1 5.0%" in said
    assert "sessions of the user as clusters" in said


def print_whole() -> None:
    print_lesson(LESSON, findings=[FINDING], effect=EFFECT)


def test_a_list_and_an_effect_fit_the_terminal(columns_wide: int) -> None:
    text = shown(lambda: print_lessons([LESSON] * 3)) + shown(lambda: print_effect(EFFECT))
    assert max(map(len, clean(text).splitlines())) <= columns_wide
    assert "5eed5eed" in text
    assert "95 % interval -80.0% to -60.0%" in words(text)
    assert "75.0%" in text


@pytest.mark.usefixtures("columns_wide")
def test_no_trace_text_drives_the_terminal() -> None:
    text = shown(print_whole) + shown(lambda: print_verdicts([LESSON]))
    text = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "esrever" in text
    assert not {"\x1b", "\u202e", "\u202c", "\x07"} & set(text)


@pytest.mark.usefixtures("columns_wide")
def test_a_lesson_is_shown_with_whom_it_holds_for_and_both_kinds_of_evidence() -> None:
    text = words(shown(print_whole))
    assert "of acme, agent assistant, time_zone Europe/Berlin" in text
    assert "n 20, match 0.95 [0.76, 0.99] (19 of 20)" in text
    assert "for aaaaaaaaaaaa" in text
    assert "and 6 more" in text
    assert "against bbbbbbbbbbbb" in text


@pytest.mark.parametrize(
    ("changes", "whom"),
    [
        ({"scope": "user", "scope_key": "ada", "tenant": "acme"}, "user ada of acme"),
        ({"scope": "tenant", "scope_key": "acme", "tenant": "acme"}, "tenant acme"),
        ({"scope": "global", "scope_key": "", "tenant": ""}, "everyone"),
        ({"scope": "global", "scope_key": "", "tenant": "acme"}, "all of acme"),
    ],
)
def test_a_lesson_says_whom_it_holds_for(changes: dict[str, str], whom: str) -> None:
    assert holds_for(replace(LESSON, selector={}, **changes)) == whom  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "layer", "verdict", "command"),
    [
        ("evaluated", "context", "pass", "approve"),
        ("evaluated", "harness", "fail", "reject"),
        ("approved", "harness", "pass", "apply"),
        ("approved", "context", "pass", "effect"),
        ("rolled_out", "harness", "pass", "effect"),
        ("harmful", "harness", "pass", "revoke"),
        ("quarantined", "harness", "pass", "show"),
    ],
)
def test_what_follows_depends_on_the_state_and_the_verdict(
    state: str, layer: str, verdict: str, command: str
) -> None:
    one = replace(LESSON, state=state, layer=layer, evaluations=({"verdict": verdict},))  # type: ignore[arg-type]
    assert f"spanlore lessons {command} 5eed5eed" in next_step(one)
