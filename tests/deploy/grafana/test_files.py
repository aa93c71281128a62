"""The files Grafana is given: made from the code, within their rules, of plain SQL."""

import re
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from spanlore.grafana.__main__ import files
from spanlore.grafana.dashboard import dashboard
from spanlore.grafana.provisioning import dashboard_providers, datasources, yaml_text
from spanlore.schemas import tables

FOLDER = Path(__file__).parents[3] / "deploy" / "grafana"
BOARD = dashboard()
PANELS = BOARD["panels"]
STATEMENTS = [
    *(target["rawSql"] for panel in PANELS for target in panel.get("targets", [])),
    *(one["query"]["rawSql"] for one in BOARD["templating"]["list"] if one["type"] == "query"),
]
NAMED_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+(?:\.\w+)?)")


def read_yaml(text: str) -> Any:
    return YAML(typ="safe").load(StringIO(text))


def test_the_committed_files_are_those_the_code_makes() -> None:
    written = {
        path.relative_to(FOLDER).as_posix(): path.read_text()
        for path in FOLDER.rglob("*")
        if path.suffix in (".json", ".yaml")
    }
    assert written == files(), "run: python -m spanlore.grafana"


@pytest.mark.parametrize("document", [datasources(), dashboard_providers()])
def test_the_yaml_says_what_was_meant(document: dict[str, Any]) -> None:
    assert read_yaml(yaml_text(document)) == document


def test_yaml_keeps_text_that_looks_like_something_else() -> None:
    odd = {"a": ["yes", "1e3", "# no", 'a "b"', "", None, 1.5, True], "b": [{"c": {"d": "x: y"}}]}
    assert read_yaml(yaml_text(odd)) == odd


def test_the_data_source_is_the_stores_http_port_for_one_who_only_reads() -> None:
    [source] = datasources()["datasources"]
    held = source["jsonData"]
    assert (held["protocol"], held["username"]) == ("http", "reader")
    assert (held["defaultDatabase"], held["traces"]["defaultTable"]) == (
        tables.DATABASE,
        tables.TRACES,
    )
    assert source["secureJsonData"] == {"password": "${SPANLORE_READER_PASSWORD}"}


def test_panels_have_their_own_ids_and_places() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 for at in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y


@pytest.mark.parametrize(
    "panel",
    [panel for panel in PANELS if panel["type"] != "row"],
    ids=lambda panel: str(panel["title"]),
)
def test_a_panel_says_in_one_sentence_what_it_shows(panel: dict[str, Any]) -> None:
    said = panel["description"]
    assert said.endswith(".")
    assert ". " not in said
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_reads_documented_tables_alone(sql: str) -> None:
    named = set(NAMED_TABLE.findall(sql)) - {"runs"}  # the name of a subquery
    assert named
    assert named <= set(tables.BY_NAME)
    assert not re.search(r"\bFINAL\b|\bSETTINGS\b|\bsystem\.", sql)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_chosen_value_is_quoted_by_grafana(sql: str) -> None:
    used = re.findall(r"\$\{\w+[^}]*\}", sql)
    assert all(one.endswith(":singlequote}") for one in used)
