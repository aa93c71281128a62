"""One lesson a place: all diffs of a round apply, one after another, in any order."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.lessons.harness_lesson import harness_lessons
from tests.analyzers.lesson_files import apply, finding

ARGUMENTS = ("day", "start", "end", "note")


def definitions() -> list[dict[str, Any]]:
    properties = {name: {"description": f"The {name}."} for name in ARGUMENTS}
    properties["bare"] = {}
    parameters = {"type": "object", "properties": properties}
    return [
        {"name": name, "description": f"To {name}.", "parameters": parameters}
        for name in ("book", "move")
    ]


def write(folder: Path, indent: int | None) -> Path:
    if indent == 0:  # one argument a line: neighbours stand in each other's context
        text = json.dumps(definitions()).replace('}, "', '},\n"')
    else:
        text = json.dumps(definitions(), indent=indent)
    (folder / "tools.json").write_text(text + "\n")
    return folder


def test_two_findings_about_one_place_make_one_lesson_with_one_diff(tmp_path: Path) -> None:
    first, other = finding("book", "day", traces="ab"), finding("book", "day", "null", traces="cb")
    [lesson] = harness_lessons([first, other], write(tmp_path, 2))
    assert lesson.findings == (first.finding_id, other.finding_id)
    assert lesson.evidence == ("a", "c", "b")
    assert lesson.body.count("60 of 100 such calls of book") == 2
    [book, _] = apply(tmp_path, (lesson,))
    assert book["parameters"]["properties"]["day"]["description"] == (
        "The day. Give `day` as a whole number (an integer), not as text (a string). "
        "Give `day` as a whole number (an integer), not as null."
    )


def test_arguments_without_a_description_share_that_of_the_tool(tmp_path: Path) -> None:
    several = [finding("book", "bare"), finding("book", "nonesuch")]
    [lesson] = harness_lessons(several, write(tmp_path, 2))
    [book, _] = apply(tmp_path, (lesson,))
    assert book["description"].startswith("To book. Give `bare` as")
    assert "Give `nonesuch` as" in book["description"]
    assert len(harness_lessons(several, None)) == 2


ALL = [finding(tool, path) for tool in ("book", "move") for path in (*ARGUMENTS, "bare")]


@pytest.mark.parametrize(("indent", "number"), [(2, 10), (0, 1), (None, 1)])
def test_all_diffs_of_a_round_apply_one_after_another_in_any_order(
    tmp_path: Path, indent: int | None, number: int
) -> None:
    lessons = harness_lessons(ALL, write(tmp_path, indent))
    assert len(lessons) == number
    told = [one for lesson in lessons for one in lesson.findings]
    assert sorted(told) == sorted(one.finding_id for one in ALL)
    orders = [tuple(lessons), tuple(reversed(lessons)), tuple(lessons[::2] + lessons[1::2])]
    after = []
    for order in orders:
        write(tmp_path, indent)
        after.append(apply(tmp_path, order))
    assert after[0] == after[1] == after[2]
    for tool in after[0]:
        said = [tool["parameters"]["properties"][name]["description"] for name in ARGUMENTS]
        for name, description in zip(ARGUMENTS, said, strict=True):
            assert description.startswith(f"The {name}. Give `{name}` as a whole number")


@pytest.mark.parametrize("indent", [2, 0, None])
def test_any_two_findings_alone_give_diffs_that_apply_together(
    tmp_path: Path, indent: int | None
) -> None:
    for two in itertools.combinations(ALL[:6], 2):
        lessons = harness_lessons(two, write(tmp_path, indent))
        assert apply(tmp_path, tuple(lessons)) != definitions()


def test_the_first_finding_names_the_lesson(tmp_path: Path) -> None:
    first, other = finding("book", "day"), finding("book", "day", "null")
    [alone] = harness_lessons([first], None)
    [together] = harness_lessons([first, other], write(tmp_path, 2))
    assert alone.lesson_id == together.lesson_id


def test_what_the_definition_says_already_is_not_said_again(tmp_path: Path) -> None:
    [lesson] = harness_lessons([ALL[0]], write(tmp_path, 2))
    apply(tmp_path, (lesson,))
    [again] = harness_lessons([ALL[0]], tmp_path)
    assert again.patch is None
    assert again.body.endswith("No patch: the description of `day` in tools.json says so already.")


def test_what_is_held_back_teaches_nothing(tmp_path: Path) -> None:
    held = replace(ALL[0], confirmed=False)
    assert harness_lessons([held], write(tmp_path, 2)) == []
