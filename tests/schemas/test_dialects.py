"""Other vocabularies: the page that shows the mapping, and what no span may do with it."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from spanlore.schemas import dialect_messages, dialects, semconv, tables
from spanlore.schemas.store import Store

PAGE = Path(__file__).parents[2] / "schemas" / "DIALECTS.md"
FOREIGN = [name for names in dialects.SYNONYMS.values() for name in names]


def names(others: Iterable[str]) -> str:
    return ", ".join(f"`{other}`" for other in others)


HEAD = """# Other vocabularies

What spans of OpenInference, OpenLLMetry (Traceloop), Langfuse, LangSmith, Vercel's AI SDK, OpenLIT,
Pydantic AI before its version 2 and older GenAI conventions are read as. Attributes are stored as
they were sent; the columns of `otel_traces` are read from them, and `Dialect` holds what a span
says in these words, under the conventions' names. `InputMessages`, `OutputMessages`,
`SystemInstructions` and `ToolDefinitions` show only what is said in the conventions' words:
spanlore reads others' with the SQL of
[`dialect_messages.py`](spanlore/schemas/dialect_messages.py). Made of
[`dialects.py`](spanlore/schemas/dialects.py) by `tests/schemas/test_dialects.py`.
"""
KINDS = """A root that is a `chain` or a `span` of LangSmith's or Langfuse's is the run:
`invoke_workflow`.
"""


def others(name: str) -> str:
    return names(other for other in dialects.SYNONYMS[name] if other != name)


MEMBERS = f"""In JSON: tokens, of `{dialects.USAGE}` ({others(dialects.USAGE)});
the `gen_ai.request.*` of `Sampling`, under the same names, of `{dialects.PARAMETERS}`
({others(dialects.PARAMETERS)}); and whose a span is, of `{dialects.METADATA}`. OpenInference and
Langfuse have no name for a tenant: say `{semconv.TENANT_ID}`, or send with a tenant's token.
"""


def table(first: str, second: str, rows: Mapping[str, Iterable[str]]) -> str:
    lines = [f"| {first} | {second} |", "| --- | --- |"]
    for name, others in rows.items():
        lines.append(f"| `{name}` | {names(others)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    members = {
        name: (*counts, *filter(None, [dialects.WHOLE_COUNTS.get(name)]))
        for name, counts in dialects.COUNTS.items()
    }
    members |= dialects.OF_METADATA
    named = {name: [o for o in others if o != name] for name, others in dialects.SYNONYMS.items()}
    return "\n".join(
        (
            HEAD,
            table("read as", "what others say", {n: o for n, o in sorted(named.items()) if o}),
            table("operation", "kinds of others", dialects.OPERATIONS),
            KINDS,
            MEMBERS,
            table("read as", "members", members),
        )
    )


def test_the_page_shows_what_the_code_reads() -> None:
    if os.environ.get("SPANLORE_WRITE_SNAPSHOTS") == "1":
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_a_name_means_one_thing_and_no_name_of_the_conventions_is_given_another() -> None:
    assert len(FOREIGN) == len(set(FOREIGN))
    kinds = [kind for kinds in dialects.OPERATIONS.values() for kind in kinds]
    assert len(kinds) == len(set(kinds))
    current = {name for name in dialects.SYNONYMS if name.startswith("gen_ai.")}
    assert current.isdisjoint(FOREIGN)


def insert(store: Store, spans: Iterable[Mapping[str, str]], **columns: str) -> None:
    rows = [
        {"TraceId": "aa", "SpanId": f"{number:016x}", "SpanAttributes": dict(span), **columns}
        for number, span in enumerate(spans)
    ]
    store.insert(tables.TRACES, rows)


@pytest.mark.parametrize(
    "kind", ["TOOL", "LLM", "ai.generateText.doGenerate", "tool", "generation", "chain"]
)
def test_no_text_of_a_span_keeps_it_out_of_the_store_or_from_being_read(
    store: Store, kind: str
) -> None:
    lists = (
        "llm.tools.0.tool.json_schema",
        "llm.tools.",
        "llm.request.functions.",
        "gen_ai.prompt.0.",
    )
    flat = (
        "llm.request.functions.0.name",
        "gen_ai.prompt.0.tool_calls.0.id",
        "gen_ai.prompt.1.role",
    )
    in_json = ("ai.prompt.messages", "ai.response.toolCalls")
    texts = (
        *("", "{", "[1", "null", '"', "[]", "7", "\x00", '[{"a": []}]', '{"content": [[1]]}'),
        '{"messages": [[1]], "choices": 1, "tools": 1, "output": []}',
        '{"messages": [{"role": []}], "generations": [[{"message": 1}]], "input": 1e99}',
        '{"input": 99999999999999999999999, "prompt_tokens": 99999999999999999999999}',
    )
    names = (*FOREIGN, *lists, *flat, *in_json)
    spans = [dict.fromkeys(names, text) | {"openinference.span.kind": kind} for text in texts]
    insert(store, spans, ScopeName="pydantic-ai", StatusCode="Error")
    read = (
        dialects.SYSTEM_INSTRUCTIONS_SQL,
        dialects.MAX_TOKENS_SQL,
        dialect_messages.INPUT_MESSAGES_SQL,
        dialect_messages.OUTPUT_MESSAGES_SQL,
        dialect_messages.TOOL_DEFINITIONS_SQL,
        dialect_messages.FINISH_REASONS_SQL,
    )
    assert len(store.query(f"SELECT *, {', '.join(read)} FROM {tables.TRACES}")) == len(texts)


def test_the_conventions_own_words_go_before_those_of_others(store: Store) -> None:
    said = {
        "openinference.span.kind": "CHAIN",
        "gen_ai.operation.name": "chat",
        "llm.model_name": "theirs",
        "gen_ai.request.model": "ours",
        "llm.token_count.prompt": "1",
        "gen_ai.usage.input_tokens": "2",
        "llm.input_messages.0.message.role": "user",
        "gen_ai.input.messages": "[]",
    }
    insert(store, [said])
    (row,) = store.query(
        f"SELECT *, {dialect_messages.INPUT_MESSAGES_SQL} AS Heard FROM {tables.TRACES}"
    )
    assert (row["Op"], row["Model"], row["InputTokens"]) == ("chat", "ours", 2)
    assert row["Heard"] == "[]"


def test_a_chain_or_a_task_is_a_span_without_an_operation(store: Store) -> None:
    insert(store, [{"openinference.span.kind": "CHAIN"}, {"traceloop.span.kind": "task"}])
    assert store.query(f"SELECT DISTINCT Op FROM {tables.TRACES}") == [{"Op": ""}]


@pytest.mark.parametrize("name", dialects.SYNONYMS[semconv.TENANT_ID])
def test_a_tenant_is_read_from_what_others_let_a_span_say(store: Store, name: str) -> None:
    insert(store, [{name: "acme"}])
    assert store.query(f"SELECT TenantId FROM {tables.TRACES}") == [{"TenantId": "acme"}]


def test_messages_in_parts_keep_their_order_beyond_ten(store: Store) -> None:
    said = {f"llm.input_messages.{n}.message.role": "user" for n in range(12)}
    said |= {
        f"llm.input_messages.{n}.message.contents.{part}.message_content.text": f"{n} {part}"
        for n in range(12)
        for part in range(2)
    }
    insert(store, [said])
    (row,) = store.query(
        "SELECT arrayMap(m -> JSONExtractString(m, 'parts', 1, 'content'), "
        f"JSONExtractArrayRaw({dialect_messages.INPUT_MESSAGES_SQL})) AS texts FROM {tables.TRACES}"
    )
    assert row["texts"] == [f"{n} 0" for n in range(12)]


@pytest.mark.parametrize(
    ("kind", "parent", "op"),
    [
        ("llm", "", "chat"),
        ("retriever", "", "retrieval"),
        ("prompt", "bb", ""),
        ("chain", "bb", ""),
        ("chain", "", "invoke_workflow"),
    ],
)
def test_langsmiths_kind_of_a_span_goes_before_the_operation_that_it_calls_it(
    store: Store, kind: str, parent: str, op: str
) -> None:
    said = {"langsmith.span.kind": kind, "gen_ai.operation.name": "chat"}
    insert(store, [said], ParentSpanId=parent, SpanName="forecaster")
    (row,) = store.query(f"SELECT Op, AgentName FROM {tables.TRACES}")
    assert row == {"Op": op, "AgentName": "forecaster" if op == "invoke_workflow" else ""}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ('{"input": 8, "output": 5, "input_cache_read": 3, "output_reasoning": 2}', (11, 7, 3, 2)),
        ('{"input": 8, "cache_read_input_tokens": 3, "output": 7}', (11, 7, 3, None)),
        ('{"prompt_tokens": 11, "completion_tokens": 7, "total": 18}', (11, 7, None, None)),
        ('{"prompt_tokens_details":{"cached_tokens":3},"prompt_tokens":11}', (11, None, 3, None)),
        ('{"total": 18}', (None, None, None, None)),
    ],
)
def test_what_langfuse_counts_beside_a_whole_is_counted_with_it(
    store: Store, usage: str, counted: tuple[int | None, ...]
) -> None:
    insert(store, [{dialects.USAGE: usage}])
    columns = ("InputTokens", "OutputTokens", "CacheReadTokens", "ReasoningTokens")
    (row,) = store.query(f"SELECT {', '.join(columns)} FROM {tables.TRACES}")
    assert tuple(row[name] for name in columns) == counted


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ('{"user_id": "ada", "session_id": "talk-7"}', ("ada", "talk-7")),
        ('{"thread_id": 7, "user_id": null}', ("", "7")),
        ('{"asked_about": {"user_id": "eve"}, "said": "\\"user_id\\": \\"eve\\""}', ("", "")),
        ("user_id: eve", ("", "")),
    ],
)
def test_whose_a_span_is_stands_at_the_top_of_its_metadata(
    store: Store, metadata: str, found: tuple[str, str]
) -> None:
    insert(store, [{dialects.METADATA: metadata}])
    (row,) = store.query(f"SELECT UserId, SessionId FROM {tables.TRACES}")
    assert (row["UserId"], row["SessionId"]) == found


def test_an_answer_may_be_a_text_and_a_message_a_list_of_parts(store: Store) -> None:
    asked = '[{"role": "user", "content": [{"type": "text", "text": "How?"}, {"type": "image"}]}]'
    said = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": asked,
        "langfuse.observation.output": "It is sunny.",
    }
    insert(store, [said])
    (row,) = store.query(
        f"SELECT {dialect_messages.INPUT_MESSAGES_SQL} AS Heard, "
        f"{dialect_messages.OUTPUT_MESSAGES_SQL} AS Said FROM {tables.TRACES}"
    )
    assert json.loads(row["Heard"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "How?"}]}
    ]
    assert json.loads(row["Said"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "It is sunny."}]}
    ]
