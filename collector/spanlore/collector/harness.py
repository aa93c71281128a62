"""The harness fingerprint: which instructions, tools, model and sampling a run had.

Two runs have the same harness when only a date in the instructions or the order of the tools
differs. Spans carry the raw text's hash; the comparable hash is made once for each raw text and
both are kept with the text in ``harness_parts``.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from spanlore.schemas import semconv, tables
from spanlore.schemas.dialect_messages import TOOL_DEFINITIONS_SQL
from spanlore.schemas.dialects import SYSTEM_INSTRUCTIONS_SQL
from spanlore.schemas.store import Store

_HASH_CHARACTERS = 16
_FINGERPRINTS_MAX = 1_024

# Slots that change from run to run without the instructions being others.
_TIMES = re.compile(
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\b\d{1,2}:\d{2}(?::\d{2})?\b"
    r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\d{1,2}(?:,?\s+\d{4})?"
)

# What earlier runs taught is delivered into the instructions and is not part of the harness.
_MEMORY = re.compile(
    f"{re.escape(semconv.MEMORY_BEGIN)}.*?{re.escape(semconv.MEMORY_END)}\\s*", re.DOTALL
)

# By kind: the fact of a run that names the raw hash, a span's columns with that hash and the text.
_PARTS = {
    tables.KIND_INSTRUCTIONS: ("instructions_raw", "InstructionsHash", "Instructions"),
    tables.KIND_TOOL_DEFINITIONS: ("tools_raw", "ToolDefinitionsHash", "Definitions"),
}

_KNOWN_SQL = f"""SELECT Kind, RawHash, argMax(Hash, At) AS Hash FROM {tables.HARNESS_PARTS}
WHERE RawHash IN {{hashes:Array(UInt64)}} GROUP BY Kind, RawHash"""
_TEXTS_SQL = f"""SELECT InstructionsHash, {SYSTEM_INSTRUCTIONS_SQL} AS Instructions,
    ToolDefinitionsHash, {TOOL_DEFINITIONS_SQL} AS Definitions
FROM {tables.TRACES}
WHERE TraceId IN {{ids:Array(String)}}
    AND hasAny([InstructionsHash, ToolDefinitionsHash], {{hashes:Array(UInt64)}})
LIMIT 1 BY InstructionsHash, ToolDefinitionsHash"""

# Kind and raw hash of a part.
Part = tuple[str, int]


def comparable_hashes(
    store: Store, runs: Sequence[Mapping[str, Any]], *, now_ns: int
) -> dict[Part, str]:
    """Return the comparable hash of each (part, raw hash) of these runs.

    Texts that were never seen are read from the spans and kept.
    """
    # A span's text stands far from the next trace's: of the traces that have it the first by id,
    # so that those to be read lie together.
    wanted: dict[Part, str] = {}
    for run in runs:
        for kind, (raw_name, _, _) in _PARTS.items():
            if raw := run[raw_name]:
                part = (kind, raw)
                wanted[part] = min(wanted.get(part, run["TraceId"]), run["TraceId"])
    if not wanted:
        return {}
    rows = store.query(_KNOWN_SQL, {"hashes": _hashes_of(wanted)})
    found = {(row["Kind"], row["RawHash"]): row["Hash"] for row in rows}
    unknown = {part: trace_id for part, trace_id in wanted.items() if part not in found}
    return found | _learn(store, unknown, now_ns=now_ns) if unknown else found


def _hashes_of(parts: Iterable[Part]) -> list[int]:
    return sorted({raw for _, raw in parts})


def _learn(store: Store, unknown: Mapping[Part, str], *, now_ns: int) -> dict[Part, str]:
    """Read these texts from the spans, keep them with their comparable hash, return the hashes."""
    params = {"ids": sorted(set(unknown.values())), "hashes": _hashes_of(unknown)}
    texts = {
        (kind, row[hash_column]): row[text_column]
        for row in store.query(_TEXTS_SQL, params)
        for kind, (_, hash_column, text_column) in _PARTS.items()
    }
    rows = [
        {
            "Kind": kind,
            "RawHash": raw,
            "Content": text,
            "Hash": comparable_hash(kind, text),
            "At": now_ns,
        }
        for (kind, raw), text in texts.items()
        if (kind, raw) in unknown
    ]
    store.insert(tables.HARNESS_PARTS, rows)
    return {(row["Kind"], row["RawHash"]): row["Hash"] for row in rows}


@lru_cache(_FINGERPRINTS_MAX)
def fingerprint(*, instructions: str, tools: str, model: str, sampling: str) -> str:
    """Return a run's harness hash (16 hex digits), '' where nothing of the harness is known.

    The code revision is left out on purpose: a cohort of one run could be compared with nothing.
    """
    if not (instructions or tools or model):
        return ""
    return _hash(f"{instructions}\0{tools}\0{model}\0{sampling}")


def comparable_hash(kind: str, content: str) -> str:
    """Return the hash (16 hex digits) of a harness text without what varies from run to run."""
    comparable = _instructions if kind == tables.KIND_INSTRUCTIONS else _tool_definitions
    try:
        return _hash(comparable(content))
    except RecursionError:  # JSON nested deeper than Python follows: it counts as plain text
        return _hash(content)


def _hash(text: str) -> str:
    # JSON may hold half a character ("\\ud800", from a text that was cut in its middle).
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:_HASH_CHARACTERS]


def _instructions(content: str) -> str:
    """Return the text of system instructions without delivered memory, dates and times masked."""
    parts = _parsed(content)
    if isinstance(parts, list):
        texts = [part["content"] for part in parts if isinstance(part, dict) and "content" in part]
        content = "\n".join(str(text) for text in texts)
    return _TIMES.sub("<time>", _MEMORY.sub("", content)).strip()


def _tool_definitions(content: str) -> str:
    """Return tool definitions as canonical JSON, sorted by name."""
    definitions = _parsed(content)
    if not isinstance(definitions, list):
        return content
    return json.dumps(sorted(definitions, key=_tool_name), sort_keys=True)


def _tool_name(definition: object) -> str:
    return str(definition.get("name", "")) if isinstance(definition, dict) else ""


def _parsed(content: str) -> object:
    """Return the JSON value of a text, or None where it is plain text."""
    try:
        value: object = json.loads(content)
    except ValueError:
        return None
    return value
