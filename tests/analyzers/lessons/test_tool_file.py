import json
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.lessons.tool_file import description_of, tool_files

PARAMETERS = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "description": "The items.",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "number", "description": "A price."}},
            },
        },
        "note": {"type": "string"},
    },
}
PLAIN = {"name": "buy", "description": "Buy.", "parameters": PARAMETERS}
WRAPPED = {"type": "function", "function": PLAIN}
CLAUDE = {"name": "buy", "description": "Buy.", "input_schema": PARAMETERS}


@pytest.mark.parametrize(
    "document",
    [[WRAPPED], {"tools": [WRAPPED]}, {"tools": [PLAIN]}, PLAIN, WRAPPED, [CLAUDE]],
    ids=["list", "tools", "plain tools", "one", "one wrapped", "input_schema"],
)
def test_a_tool_is_found_in_every_common_form(tmp_path: Path, document: Any) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "tools.json").write_text(json.dumps(document))
    [file] = tool_files(tmp_path, "buy")
    assert file.path == "agent/tools.json"
    found = description_of(file, "buy", "items[].price")
    assert found is not None
    assert (found.describes, found.says) == ("items", "The items.")
    assert file.text[found.span.begin : found.span.end] == '"The items."'


def test_an_argument_without_a_description_falls_back_to_the_tools(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([WRAPPED]))
    [file] = tool_files(tmp_path, "buy")
    for argument in ("note", "", "nonesuch.path[]"):
        found = description_of(file, "buy", argument)
        assert found is not None
        assert (found.describes, found.says) == ("buy", "Buy.")


def test_files_that_do_not_define_the_tool_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text(json.dumps([{"name": "sell", "parameters": {}}]))
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xff"}')
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "tools.json").write_text(json.dumps([WRAPPED]))
    assert tool_files(tmp_path, "buy") == []


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text(json.dumps([WRAPPED]))
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "tools.json").symlink_to(tmp_path / "outside.json")
    assert tool_files(tmp_path / "repo", "buy") == []


def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="--repo"):
        tool_files(tmp_path / "nowhere", "buy")
