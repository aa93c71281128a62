"""The page of faults: every row of the matrix has tests, and they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "collector" / "docs" / "faults.md"
ROWS = {
    int(cells[0]): cells[1:]
    for line in PAGE.read_text().splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split(" | ")]) == 4
    and cells[0].isdigit()
}
NAMED = re.compile(r"((?:tests/\w+/)?test_\w+)::(test_\w+)")


def test_every_row_of_the_matrix_has_an_answer() -> None:
    assert list(ROWS) == list(range(1, 41))
    assert all(all(cells) for cells in ROWS.values())


@pytest.mark.parametrize("row", range(1, 41))
def test_every_test_that_a_row_names_is_there(row: int) -> None:
    named = NAMED.findall(ROWS[row][-1])
    assert named
    for module, name in named:
        path = module if "/" in module else f"tests/collector/{module}"
        tree = ast.parse((ROOT / f"{path}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name
