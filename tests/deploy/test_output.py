import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.cli.output import clean, note, print_json, print_table


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a new title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("over\rwritten", "overwritten"),
        ("back\b\bspace", "backspace"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("tag\U000e0041ged", "tagged"),
        ("\x9b31mC1", "31mC1"),
        ("kept\ttabs\nlines and ünïcödé 漢字 👩‍💻", "kept\ttabs\nlines and ünïcödé 漢字 👩‍💻"),
    ],
)
def test_trace_text_cannot_drive_the_terminal(written: str, shown: str) -> None:
    assert clean(written) == shown


@given(st.text())
def test_no_text_at_all_leaves_a_control_character(text: str) -> None:
    left = clean(text)
    assert not {c for c in left if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160}
    assert clean(left) == left


def test_a_table_shows_markup_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [("[bold]x[/bold] \x1b[31m",), (None,)])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "\x1b" not in out
    assert "–" in out


def test_notes_go_to_stderr_alone(capsys: pytest.CaptureFixture[str]) -> None:
    note("said")
    assert capsys.readouterr() == ("", "said\n")


@dataclass(frozen=True, slots=True)
class Thing:
    at: datetime
    share: float | None
    ids: tuple[str, ...]


def test_json_has_utc_times_and_null_for_what_is_not_a_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    print_json([Thing(at, float("nan"), ("a", "b")), Thing(at, 0.5, ())])
    assert json.loads(capsys.readouterr().out) == [
        {"at": "2026-01-02T03:04:05Z", "share": None, "ids": ["a", "b"]},
        {"at": "2026-01-02T03:04:05Z", "share": 0.5, "ids": []},
    ]


def test_what_has_no_json_form_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        print_json({"x": object()})
