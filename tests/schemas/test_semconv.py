"""The registry of what spanlore adds to the conventions says what the code uses, and all of it."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from spanlore.schemas import semconv, types

REGISTRY = Path(__file__).parents[2] / "schemas" / "semconv.yaml"
GROUPS: list[dict[str, Any]] = YAML(typ="safe").load(REGISTRY.read_text())["groups"]
ATTRIBUTES = {each["id"]: each for group in GROUPS for each in group["attributes"] if "id" in each}
EVENTS = {group["name"] for group in GROUPS if group["type"] == "event"}
NAMES = {text for name, text in vars(semconv).items() if name.isupper() and isinstance(text, str)}


def test_every_name_of_ours_is_in_the_registry_and_no_other() -> None:
    ours = {name.rstrip(".") for name in NAMES if name.startswith("spanlore.")}
    assert ours == ATTRIBUTES.keys() | {name for name in EVENTS if name.startswith("spanlore.")}


def test_every_name_that_the_registry_refers_to_is_used() -> None:
    said = {each["ref"] for group in GROUPS for each in group["attributes"] if "ref" in each}
    assert said - NAMES == set()


def test_every_attribute_is_explained_and_shown() -> None:
    for name, attribute in ATTRIBUTES.items():
        assert attribute["brief"], name
        is_told = attribute["type"] == "boolean" or isinstance(attribute["type"], dict)
        assert is_told or attribute["examples"], name


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("spanlore.evaluation.source", types.JUDGEMENT_SOURCES),
        ("spanlore.override.target", semconv.OVERRIDE_TARGETS),
        ("spanlore.approval.decision", semconv.APPROVAL_DECISIONS),
        ("spanlore.lesson.arm", (semconv.ARM_EXPOSED, semconv.ARM_HELD_OUT)),
        ("spanlore.link.type", (semconv.LINK_RETRY,)),
    ],
)
def test_values_are_those_of_the_code(name: str, values: tuple[str, ...]) -> None:
    assert {member["value"] for member in ATTRIBUTES[name]["type"]["members"]} == set(values)
