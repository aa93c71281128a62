"""The shape of the code, as a test: what a reviewer should not have to say twice."""

import ast
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PORTIONS = tuple(
    ROOT / folder / "spanlore"
    for folder in ("instrumentation", "collector", "analyzers", "schemas", "deploy")
)
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NESTING_MAX = 4
POSITIONAL_MAX = 3

# The only places where any exception is caught: around our own code inside the user's process,
# where what is thrown into a generator goes on into the one it stands for, and around one analyzer,
# one extractor's look at one run, and one run, in the job. "file::function".
BROAD_EXCEPTS = {
    "instrumentation/spanlore/instrumentation/tool_function.py::_async_generator",
    "instrumentation/spanlore/instrumentation/tool_function.py::_generator",
    "instrumentation/spanlore/instrumentation/tool_function.py::step_through",
    "instrumentation/spanlore/instrumentation/quiet.py::__exit__",
    "analyzers/spanlore/analyzers/analysis.py::_told",
    "analyzers/spanlore/analyzers/extraction.py::_extract",
    "analyzers/spanlore/analyzers/extraction.py::_rows_of",
}

BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
# Written in halves, so that this file does not hold them itself.
REGISTRY_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.", "pypi" + "/simple")
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")
# What a reader must hold in mind at once; `with` and `try` are brackets around it.
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


FILES = tracked_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
TREES = {path: ast.parse(path.read_text(), filename=relative(path)) for path in PYTHON}
SHIPPED = [path for path in PYTHON if any(portion in path.parents for portion in PORTIONS)]


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_without_docstring(function: Function) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Count blocks within blocks; an elif is not deeper than its if, an inner function is new."""
    deepest = depth
    for field, child in children(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        is_elif = isinstance(node, ast.If) and field == "orelse" and isinstance(child, ast.If)
        inner = depth + (isinstance(child, BLOCKS) and not is_elif)
        deepest = max(deepest, nesting(child, inner))
    return deepest


def children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def positional(function: Function) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in names if name not in ("self", "cls", "_")])


def is_called_by_a_library(function: Function) -> bool:
    """Say whether the order of arguments is not ours: click commands, fixtures, overrides."""
    return bool(function.decorator_list) or function.name.startswith("__")


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in PYTHON}
    assert {name: n for name, n in lengths.items() if n > FILE_LINES_MAX} == {}


def test_no_function_is_longer_than_a_page() -> None:
    long = {
        f"{relative(path)}::{function.name}": lines_without_docstring(function)
        for path, tree in TREES.items()
        for function in functions(tree)
        if lines_without_docstring(function) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_no_function_nests_blocks_deeper_than_four() -> None:
    deep = {
        f"{relative(path)}::{function.name}": nesting(function)
        for path, tree in TREES.items()
        for function in functions(tree)
        if nesting(function) > NESTING_MAX
    }
    assert deep == {}


def test_arguments_are_named_where_there_are_more_than_three() -> None:
    unnamed = {
        f"{relative(path)}::{function.name}": positional(function)
        for path in SHIPPED
        for function in functions(TREES[path])
        if positional(function) > POSITIONAL_MAX and not is_called_by_a_library(function)
    }
    assert unnamed == {}


def broad_excepts(tree: ast.AST) -> Iterator[str]:
    for function in functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.ExceptHandler) and catches_anything(node):
                yield function.name


def catches_anything(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler swallows every error; to clean up and raise again is not that."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    caught = handler.type
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    broad = ("Exception", "BaseException")
    return any(name is None or (isinstance(name, ast.Name) and name.id in broad) for name in names)


def test_exceptions_are_caught_by_name_but_in_the_places_that_say_why() -> None:
    found = {f"{relative(path)}::{name}" for path in SHIPPED for name in broad_excepts(TREES[path])}
    assert found - BROAD_EXCEPTS == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("spanlore", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def declared(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return [str(name) for name in ast.literal_eval(node.value or ast.List([]))]
    return None


def defined(tree: ast.Module) -> set[str]:
    """Every name a module binds at its top."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def own_public(tree: ast.Module) -> set[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = {n.name for n in tree.body if isinstance(n, kinds) and not n.decorator_list}
    return {name for name in names if not name.startswith("_")}


def test_the_list_of_public_names_is_true_where_there_is_one() -> None:
    wrong = {}
    for path in SHIPPED:
        names = declared(TREES[path])
        if names is None:
            continue
        missing = set(names) - defined(TREES[path])
        unlisted = own_public(TREES[path]) - set(names)
        if missing or unlisted or len(set(names)) != len(names):
            wrong[relative(path)] = {"not there": missing, "not listed": unlisted}
    assert wrong == {}


def test_no_file_is_named_for_what_did_not_fit_elsewhere() -> None:
    named = [relative(path) for path in PYTHON if path.stem.strip("_") in BANNED_NAMES]
    assert named == []


def test_the_namespace_has_no_init_that_would_hide_the_other_portions() -> None:
    assert [relative(path) for path in PYTHON if path.parent in PORTIONS] in (
        [],
        ["instrumentation/spanlore/auto.py"],
    )


def test_every_portion_is_typed_for_those_who_import_it() -> None:
    portions = {path.parent for path in SHIPPED if path.parent.parent in PORTIONS}
    untyped = [relative(path) for path in portions if not (path / "py.typed").exists()]
    assert untyped == []


def texts() -> Iterator[tuple[str, str]]:
    for path in FILES:
        try:
            yield relative(path), path.read_text()
        except UnicodeDecodeError:
            continue


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert [name for name, text in texts() if any(host in text for host in REGISTRY_HOSTS)] == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    texts_of_ours = ((name, text) for name, text in texts() if not name.startswith("tests/data/"))
    assert [name for name, text in texts_of_ours if any(word in text for word in UNFINISHED)] == []


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "benchmarks/requirements.lock", "tests/fuzz/requirements.lock"]
)
def test_a_lock_carries_hashes_and_no_addresses(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    pins = [number for number, line in enumerate(lines) if "==" in line]
    assert pins
    assert all("--hash=sha256:" in lines[number + 1] for number in pins)
    assert not [line for line in lines if "://" in line or "index" in line.split("=")[0]]


def test_every_entry_point_leads_to_something_that_can_be_called() -> None:
    for group in ("console_scripts", "spanlore.analyzers"):
        ours = [point for point in entry_points(group=group) if point.module.startswith("spanlore")]
        assert ours
        assert all(callable(point.load()) for point in ours)
