import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.analyzers.lessons.json_text import appended, spans_of
from spanlore.analyzers.lessons.patch import unified_diff

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def value_at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


@given(json_values, st.sampled_from([None, 0, 3, "\t"]), st.booleans())
def test_every_value_is_found_where_it_stands(
    document: Any, indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    for path, span in spans_of(text).items():
        assert json.loads(text[span.begin : span.end]) == value_at(document, path)


def test_a_longer_string_leaves_every_other_character_alone() -> None:
    text = '{ "a" :\t"caf\\u00e9 \\/ \\"x\\"",\r\n "b":[1.50,\n{"a":"z"}]}'
    longer = appended(text, spans_of(text)[("a",)], ' "és"')
    assert longer == text.replace('\\"x\\""', '\\"x\\" \\"\\u00e9s\\""')
    assert json.loads(longer)["a"] == 'café / "x" "és"'


def test_a_byte_order_mark_is_stepped_over() -> None:
    text = '\ufeff{"a": "b"}'
    span = spans_of(text)[("a",)]
    assert text[span.begin : span.end] == '"b"'


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        spans_of('{"a": }')


@pytest.mark.parametrize("name", ["tools.json", "a b/töol s.json", "deep/er/x.json"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_git_applies_the_diff_byte_for_byte(
    tmp_path: Path, name: str, line_end: str, *, last: bool
) -> None:
    lines = ["{", *[f'  "k{n}": "v{n}",' for n in range(20)], '  "end": "x"', "}"]
    before = line_end.join(lines) + (line_end if last else "")
    after = appended(before, spans_of(before)[("end",)], " more")
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(before.encode())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    diff = unified_diff(name, before, after)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, check=True, input=diff.encode())
    assert file.read_bytes() == after.encode()


def test_no_change_is_no_diff() -> None:
    assert unified_diff("a.json", "same", "same") == ""
