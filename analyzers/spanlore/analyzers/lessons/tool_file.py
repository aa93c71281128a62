"""The file of a repository that defines a tool, and the description of one of its arguments."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanlore.analyzers.lessons.json_text import Path as JsonPath
from spanlore.analyzers.lessons.json_text import Span, spans_of
from spanlore.analyzers.lessons.repository_files import files_of
from spanlore.analyzers.runs.tool_schema import schema_of, tool_of

FILE_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFile:
    """A file that defines tools: its path in the repository ("/" between), text and SHA-256."""

    path: str
    text: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A description in a tool file: where it stands, what it says and what it describes."""

    file: ToolFile
    span: Span
    says: str
    describes: str


def tool_files(repo: Path, tool: str) -> list[ToolFile]:
    """Find the JSON files below a folder that define the tool, the shortest path first.

    Files above 4 MiB, links, folders of dependencies, and paths that a diff would have to quote
    are not looked at. Raises
    NotADirectoryError when there is no such folder.
    """
    if not repo.is_dir():
        message = f"no folder {repo} to look for tool definitions in; give --repo a repository"
        raise NotADirectoryError(message)
    found = [
        file for path in files_of(repo, (".json",)) if (file := _read(repo, path, tool)) is not None
    ]
    return sorted(found, key=lambda file: (file.path.count("/"), file.path))


def description_of(file: ToolFile, tool: str, argument: str) -> Description | None:
    """Find the description nearest to an argument: its own, its parent's, else the tool's.

    ``argument`` is a path such as ``items[].price``. A rule about all items belongs to the
    array, so that for such a path the array's description comes first.
    """
    document = json.loads(file.text.removeprefix("\ufeff"))
    located = next(_tools(document, tool), None)
    if located is None:
        return None
    where, entry = located
    spans = spans_of(file.text)
    for describes, path, says in _descriptions(entry, argument):
        span = spans.get((*where, *path, "description"))
        if span is not None and isinstance(says, str):
            return Description(file=file, span=span, says=says, describes=describes)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaPlace:
    """The schema of an argument in a tool file: where it stands and what it holds."""

    file: ToolFile
    path: JsonPath
    schema: Mapping[str, Any]


def schema_place(file: ToolFile, tool: str, argument: str) -> SchemaPlace | None:
    """Find the schema of an argument ("" for all of them), None where the file has none."""
    document = json.loads(file.text.removeprefix("\ufeff"))
    located = next(_tools(document, tool), None)
    if located is None:
        return None
    where, entry = located
    for walked, path, schema in _schemas(entry, argument):
        if walked == argument:
            return SchemaPlace(file=file, path=(*where, *path), schema=schema)
    return None


def _descriptions(entry: dict[str, Any], argument: str) -> Iterator[tuple[str, JsonPath, Any]]:
    """Yield (what, path to its schema, its description), the best place for a rule first."""
    places = [
        (walked, path, schema.get("description"))
        for walked, path, schema in _schemas(entry, argument)
        if walked
    ]
    array = argument.split("[]", maxsplit=1)[0] if "[]" in argument else argument
    yield from sorted(places, key=lambda place: (place[0] != array, -len(place[1])))
    yield entry["name"], (), entry.get("description")


def _schemas(
    entry: dict[str, Any], argument: str
) -> Iterator[tuple[str, JsonPath, Mapping[str, Any]]]:
    """Yield (argument, path, schema) from all arguments down to one, as far as schemas go."""
    key = next(name for name in ("parameters", "input_schema", "inputSchema") if name in entry)
    schema, path, walked = schema_of(entry), JsonPath((key,)), ""
    yield walked, path, schema
    for step in argument.replace("[]", ".[]").lstrip(".").split(".") if argument else []:
        keys = ("items",) if step == "[]" else ("properties", step)
        for one in keys:
            schema = schema.get(one) if isinstance(schema, dict) else None
        if not isinstance(schema, dict):
            return
        path = (*path, *keys)
        walked = walked + "[]" if step == "[]" else f"{walked}.{step}".lstrip(".")
        yield walked, path, schema


def _tools(document: Any, tool: str) -> Iterator[tuple[JsonPath, dict[str, Any]]]:
    """Yield (path, definition) of a tool in any of the forms a file may hold."""
    lists: list[tuple[JsonPath, Any]] = [((), document)]
    if isinstance(document, dict):
        lists = [(("tools",), document.get("tools")), (("functions",), document.get("functions"))]
        lists.append(((), [document]))
    for where, entries in lists:
        for position, entry in enumerate(entries if isinstance(entries, list) else []):
            found = tool_of(entry)
            if found is None or found["name"] != tool:
                continue
            path: JsonPath = () if where == () and entry is document else (*where, position)
            yield (path if found is entry else (*path, "function")), dict(found)


def _read(repo: Path, path: Path, tool: str) -> ToolFile | None:
    """Read one file, None when it does not define the tool (or is not readable UTF-8 JSON)."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            return None
        raw = path.read_bytes()
        text = raw.decode()
        document = json.loads(text.removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError):
        return None
    if next(_tools(document, tool), None) is None:
        return None
    return ToolFile(
        path=path.relative_to(repo).as_posix(), text=text, sha256=hashlib.sha256(raw).hexdigest()
    )
