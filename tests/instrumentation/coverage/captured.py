"""What of a library's work is captured, read from the snapshot of its spans."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.instrumentation.coverage.cases import CASES, Case
from tests.instrumentation.coverage.span_trees import Tree, walk

_PAGE_HEAD = """\
# What is captured of each library

Made by the tests from the spans of real runs: each library was run against a scripted model server
(`tests/instrumentation/coverage`), and what is in the table was found on its spans. Do not edit;
`SPANLORE_WRITE_SNAPSHOTS=1 .venv/bin/pytest tests/instrumentation/coverage` writes it anew.

**yes** it is there; **no** the library does it and the spans do not show it; **–** the library
itself does not do it, or was not asked to. A call that is not there once stands on two spans, one
in the other (Pydantic AI's and the SDK's below it): the collector counts the tokens of one.
OpenAI's, Anthropic's and Amazon's SDKs and LiteLLM run no tools: theirs are functions of the
program, under `@tool`, and the id of a tool's call is that of the model's answer before, where
content is captured. The calls of the Claude Agent SDK are made by its program, Claude Code, and are
taken from the messages between the two; what each call gave, in tokens, is told of a whole turn
alone, and stands on its last call, unless the SDK is asked for partial messages; the last answer of
an agent within another is told without its tokens.

"""


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that may be captured: in which scenarios it is looked for, and how."""

    title: str
    scenarios: tuple[str, ...]
    is_captured: Callable[[Tree], bool]


def read(case: Case) -> dict[str, Tree]:
    """Return the snapshot's scenarios."""
    trees: dict[str, Tree] = json.loads(case.snapshot.read_text())
    return trees


def page() -> str:
    """Return the page of the table."""
    header = ("library", "version", *(column.title for column in COLUMNS))
    rows = [header, ["---"] * len(header)]
    rows += [(case.library, case.version, *cells(read(case))) for case in CASES]
    return _PAGE_HEAD + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def cells(trees: dict[str, Tree]) -> list[str]:
    """Return one cell a column: it is captured in every scenario that the library has of it."""
    return [_cell(column, trees) for column in COLUMNS]


def _cell(column: Column, trees: dict[str, Tree]) -> str:
    found = [column.is_captured(trees[name]) for name in column.scenarios if name in trees]
    if not found:
        return "–"
    return "yes" if all(found) else "no"


def _spans(tree: Tree, op: str) -> Iterator[dict[str, str]]:
    """Return the attributes of the spans of an operation, without the root, which is the test's."""
    below = (span for child in tree["children"] for span in walk(child))
    return (
        span["attributes"]
        for span in below
        if span["attributes"].get("gen_ai.operation.name") == f"string {op}"
    )


def _calls(tree: Tree) -> list[dict[str, str]]:
    ops = ("chat", "generate_content", "text_completion")
    return [call for op in ops for call in _spans(tree, op)]


def _have(*keys: str) -> Callable[[Tree], bool]:
    """Look for attributes that every call of a model must have."""

    def look(tree: Tree) -> bool:
        calls = _calls(tree)
        return bool(calls) and all(key in call for call in calls for key in keys)

    return look


def _tools(*keys: str) -> Callable[[Tree], bool]:
    def look(tree: Tree) -> bool:
        tools = list(_spans(tree, "execute_tool"))
        return bool(tools) and all(key in tool for tool in tools for key in keys)

    return look


def _says(key: str, text: str) -> Callable[[Tree], bool]:
    return lambda tree: any(text in call.get(key, "") for call in _calls(tree))


def _tool_error(tree: Tree) -> bool:
    """Look for what the error was: more than that there was one."""
    named = [tool.get("error.type", "string _OTHER") for tool in _spans(tree, "execute_tool")]
    return bool(named) and "string _OTHER" not in named


def _error(tree: Tree) -> bool:
    return any("error.type" in call for call in _calls(tree))


def _once(tree: Tree) -> bool:
    """Look for a call of a model below another, which counts its tokens twice."""
    return not any(_calls(span) for span in walk(tree) if _is_call(span))


def _is_call(span: Tree) -> bool:
    return bool(_calls({"children": [{**span, "children": []}]}))


def _has_instructions(tree: Tree) -> bool:
    return _have("gen_ai.system_instructions")(tree) or _says(_IN, "system(")(tree)


_USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
_IN, _OUT = "gen_ai.input.messages", "gen_ai.output.messages"

COLUMNS: tuple[Column, ...] = (
    Column(
        "model, tokens",
        ("chat", "responses", "text", "invoked"),
        _have("gen_ai.request.model", *_USAGE),
    ),
    Column("cache tokens", ("chat",), _have("gen_ai.usage.cache_read.input_tokens")),
    Column("messages", ("chat", "async", "responses", "text", "invoked"), _have(_IN, _OUT)),
    Column("instructions", ("chat",), _has_instructions),
    Column(
        "streams",
        ("stream", "async stream", "responses stream", "text stream", "invoked stream"),
        _have(_OUT, *_USAGE),
    ),
    Column("reasoning", ("reasoning", "reasoning in chat"), _says(_OUT, "reasoning")),
    Column("tool definitions", ("tools",), _says("gen_ai.tool.definitions", "string")),
    Column(
        "tool runs",
        ("tools", "tool alone"),
        _tools("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
    ),
    Column("tool call ids", ("tools",), _tools("gen_ai.tool.call.id")),
    Column("tool errors", ("tool error", "tool error told to the model"), _tool_error),
    Column("errors", ("error",), _error),
    Column(
        "HTTP retries",
        ("retry", "async retry"),
        lambda tree: any("http.request.resend_count" in call for call in _calls(tree)),
    ),
    Column("embeddings", ("embeddings",), lambda tree: any(_spans(tree, "embeddings"))),
    Column("each call once", ("chat", "tools", "async"), _once),
)


def as_json(trees: dict[str, Any]) -> str:
    """Return a snapshot as it is kept."""
    return json.dumps(trees, indent=1, ensure_ascii=False) + "\n"
