"""A user who says the same thing in session after session."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from spanlore.analyzers.catalogue.preference_override import preference_override
from spanlore.analyzers.catalogue.repeated_correction import (
    Session,
    User,
    not_repeated,
    repeated_correction,
    repeated_correction_facts,
    repeated_correction_hypotheses,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.lessons.memory_lesson import memory_lessons
from spanlore.analyzers.preferences.said_corrections import is_correction
from spanlore.analyzers.preferences.slot_values import Slot
from spanlore.analyzers.runs.run_trace import Message
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.traced_runs import answers, asks, run_trace, says, user
from tests.loaded_runs import load_lines

SLOT = Slot("book", "/at", "time_of_day")
MEETING = {"title": "sync", "room": "blue", "at": "2026-01-05T09:00"}
LATER = {**MEETING, "at": "2026-01-05T10:30"}


@pytest.mark.parametrize(
    "text",
    [
        "No, I meant the 5th.",
        "not the 4th but the 5th",
        "As I said before, in the afternoon",
        "That's wrong.",
        "Nein, nicht heute.",
        "Nicht Montag, sondern Dienstag",
        "Non, je voulais dire mardi",
        "No, quise decir el martes",
        "Como ya dije, por la tarde",
        "Não, mas à tarde",
    ],
)
def test_a_correction_is_heard_in_several_languages(text: str) -> None:
    assert is_correction(text)


@pytest.mark.parametrize(
    "text",
    ["No, thanks!", "No problem.", "Nein, danke", "Yes, please.", "Notify me", "I know", "None"],
)
def test_politeness_and_other_words_are_none(text: str) -> None:
    assert not is_correction(text)


def facts(*messages: Message) -> dict[str, Any]:
    found = repeated_correction_facts(run_trace(messages))
    return {one.key: json.loads(one.detail) if one.detail else one.k for one in found}


def test_a_changed_call_after_a_correction_is_a_slot_with_both_values() -> None:
    seen = facts(
        user("Book a sync."), asks("book", MEETING), answers("ok"), says("Booked."),
        user("No, I meant half past ten."), asks("book", LATER), answers("ok"),
    )  # fmt: skip
    assert seen == {
        "chance|book": 0,
        "slot|book|time_of_day|/at": {
            "slot": SLOT.json(),
            "proposed": "09:00",
            "final": "10:30",
        },
        "words": 0,
    }


def test_a_changed_call_without_a_correction_in_words_is_none() -> None:
    seen = facts(
        user("Book a sync."), asks("book", MEETING), answers("ok"),
        user("Thanks. Half past ten is free too?"), asks("book", LATER),
    )  # fmt: skip
    assert seen == {"chance|book": 0, "words": 0}


def test_a_correction_that_no_call_follows_is_in_words_alone() -> None:
    seen = facts(user("Book."), asks("book", MEETING), user("No, that's wrong."), says("Sorry."))
    assert seen == {"chance|book": 0, "words": 1}


def test_what_users_wrote_is_in_no_fact() -> None:
    found = repeated_correction_facts(
        run_trace((user("Book."), asks("book", MEETING), user("No! SECRET"), asks("book", LATER)))
    )
    assert not any("SECRET" in one.key + one.detail for one in found)


def sessions(rate: float, number: int, random: Random, values: int = 1) -> list[Session]:
    made = []
    for session in range(number):
        corrected = random.random() < rate
        final = f"10:{random.randrange(values):02}"
        made.append(
            Session(
                name=f"s{session}",
                start_ns=session,
                trace_id=f"{random.randrange(10**9):032x}",
                is_corrected=corrected,
                proposed="09:00",
                final=final if corrected else "",
            )
        )
    return made


def world(
    seed: int, *, rate: float, others: float = 0.03, values: int = 1
) -> Mapping[User, Mapping[Slot, list[Session]]]:
    random = Random(seed)
    users = {("acme", "ana"): {SLOT: sessions(rate, 12, random, values)}}
    for number in range(30):
        users["acme", f"u{number}"] = {SLOT: sessions(others, 8, random)}
    return users


def confirmed(seed: int, **world_is: Any) -> list[Finding]:
    formed = list(repeated_correction_hypotheses(world(seed, **world_is)))
    return [one for one in findings_of(formed) if one.confirmed]


@pytest.mark.parametrize("seed", range(5))
def test_a_user_who_always_says_the_same_gets_a_memory(seed: int) -> None:
    found = confirmed(seed, rate=0.8)
    assert [one.title for one in found] == [
        "user ana of acme corrects book /at (time of day) again and again"
    ]
    [lesson] = memory_lessons(found)
    assert (lesson.scope, lesson.scope_key, lesson.tenant) == ("user", "ana", "acme")
    assert lesson.content == {"slot": SLOT.json(), "value": "10:00", "instead_of": "09:00"}
    assert lesson.state == "proposed"


@pytest.mark.parametrize("seed", range(5))
def test_ever_other_values_are_a_finding_without_a_lesson(seed: int) -> None:
    found = confirmed(seed, rate=0.8, values=50)
    assert [one.detail["kind"] for one in found] == ["repeated_correction"]
    assert memory_lessons(found) == []


def test_where_everybody_corrects_now_and_then_nobody_is_named() -> None:
    wrong = [seed for seed in range(40) if confirmed(seed, rate=0.1, others=0.1)]
    assert len(wrong) <= 1, wrong


def lines(
    users: int, sessions_each: int, *, after_an_error: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield sessions in which one user corrects the time, and others nothing."""
    begin = datetime(2026, 1, 5, 9, tzinfo=UTC)
    for number in range(users * sessions_each):
        who = number % users
        corrects = who == 0
        at = begin + timedelta(hours=3 * number)
        messages = [
            {"role": "user", "content": "Book a sync."},
            *_booked(MEETING, "a", error=corrects and after_an_error),
            {"role": "assistant", "content": "Nine?"},
            {"role": "user", "content": "No, I meant half past ten." if corrects else "Great."},
        ]
        if corrects:
            messages += _booked(LATER, "b", error=False)
        messages.append({"role": "assistant", "content": "Done."})
        for position, message in enumerate(messages):
            message["timestamp"] = (at + timedelta(seconds=position)).isoformat()
        yield {
            "run_id": f"r{number}",
            "task": {"type": "book", "id": ""},
            "agent": {"name": "helper", "version": "1"},
            "user_id": f"u{who}",
            "tenant_id": "acme",
            "started_at": at.isoformat(),
            "ended_at": (at + timedelta(minutes=1)).isoformat(),
            "messages": messages,
        }


def _booked(arguments: dict[str, Any], call_id: str, *, error: bool) -> list[dict[str, Any]]:
    call = {"name": "book", "arguments": json.dumps(arguments)}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "no" if error else "ok"}
        | ({"is_error": True} if error else {}),
    ]


def test_from_spans_to_the_user_who_has_to_say_it_again(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(users=6, sessions_each=8))
    extract_pending(store, Window())
    found = findings_of(list(repeated_correction(store, Window())))
    [one] = [one for one in found if one.confirmed]
    assert (one.n, one.k, one.detail["scope"]["key"]) == (8, 8, "u0")
    assert (one.detail["kind"], one.detail["value"]) == ("preference", "10:30")
    assert len(one.evidence) == 8


def test_what_is_confirmed_as_a_preference_is_counted_and_not_told_again(
    store: Store, tmp_path: Path
) -> None:
    load_lines(store, tmp_path, lines(users=6, sessions_each=12, after_an_error=False))
    extract_pending(store, Window())
    preferences = findings_of(list(preference_override(store, Window())))
    assert [one.detail["scope"]["key"] for one in preferences if one.confirmed] == ["u0"]
    formed = list(repeated_correction(store, Window()))
    mine = [one for one in formed if one.detail["scope"]["key"] == "u0"]
    assert [(one.support.k, one.told) for one in mine] == [(12, False)]


@pytest.mark.parametrize(
    ("scope", "value", "is_told"),
    [
        ({"level": "user", "key": "ana"}, "other", False),
        ({"level": "user", "key": "bob"}, "10:00", True),
        ({"level": "tenant"}, "10:00", False),
        ({"level": "tenant"}, "14:00", True),
        ({"level": "tenant", "selector": {"segment.zone": "x"}}, "10:00", True),
        ({"level": "tenant", "tenant": "else"}, "10:00", True),
    ],
)
def test_a_preference_speaks_for_those_who_hold_it(
    scope: dict[str, Any], value: str, is_told: bool
) -> None:
    preference = Finding(
        finding_id="f", analyzer="preference_override", title="", n=1, k=1, effect=None,
        interval=None, p=None, q=None, adjusted_for=(), confirmed=True, evidence=(),
        counter_evidence=(),
        detail={
            "slot": SLOT.json(),
            "value": value,
            "scope": {"tenant": "acme", "key": "acme", "selector": {}, **scope},
            "by_user": [],
        },
    )  # fmt: skip
    formed = repeated_correction_hypotheses(world(1, rate=0.8))
    assert [one.told for one in not_repeated(formed, [preference]) if one.support.k > 3] == [
        is_told
    ]
