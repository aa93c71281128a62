"""The shapes recordings come in: OpenAI chats, odd messages, and lines that are no run."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.instrumentation.history import files
from spanlore.instrumentation.history.batches import batches
from spanlore.instrumentation.history.files import BadLine, Line
from spanlore.instrumentation.history.formats import Format
from spanlore.instrumentation.history.importing import detect_format, runs_of
from spanlore.schemas import semconv
from tests.instrumentation.history_cases import (
    all_of,
    attributes,
    called,
    problem_of,
    run_of,
    spans,
)

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def _lines(path: Path) -> list[Line | BadLine]:
    return list(files.read_lines(path, on_bytes=lambda _used: None))


@pytest.mark.parametrize("value", [CHAT, {"messages": CHAT}, [{"messages": CHAT}], [CHAT]])
def test_a_chat_is_an_object_or_a_bare_list_or_a_list_of_either(value: Any) -> None:
    (root, chat) = spans(value, Format.OPENAI)
    assert (root.name, chat.name) == ("invoke_agent", "chat")
    assert json.loads(attributes(chat)[semconv.OUTPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}
    ]


def test_a_list_of_chats_is_as_many_runs() -> None:
    assert len(all_of([CHAT, {"messages": CHAT, "model": "gpt-4o"}, CHAT[:1]], Format.OPENAI)) == 3


def test_openai_names_are_understood_and_the_rest_is_kept() -> None:
    line = {
        "messages": CHAT,
        "functions": [{"name": "find", "parameters": {}}],
        "user": "anna",
        "parallel_tool_calls": False,
        "metadata": {"a": [1]},
        "nothing": None,
    }
    told = attributes(spans(line, Format.OPENAI)[0])
    assert told[semconv.USER_ID] == "anna"
    assert json.loads(told[semconv.TOOL_DEFINITIONS]) == [
        {"type": "function", "name": "find", "parameters": {}}
    ]
    assert told["spanlore.import.parallel_tool_calls"] is False
    assert told["spanlore.import.metadata"] == '{"a":[1]}'
    assert "spanlore.import.nothing" not in told


def test_a_legacy_function_call_is_a_tool_call_and_answered_by_name() -> None:
    messages = [
        {"role": "assistant", "function_call": {"name": "find", "arguments": "{}"}},
        {"role": "function", "name": "find", "content": "4"},
    ]
    (*_, tool) = spans(messages, Format.OPENAI)
    assert tool.name == "execute_tool find"
    assert attributes(tool)[semconv.TOOL_CALL_RESULT] == "4"


def test_arguments_given_as_an_object_become_their_json() -> None:
    call = {"id": "1", "function": {"name": "find", "arguments": {"at": "Zürich"}}}
    (*_, tool) = spans([{"role": "assistant", "tool_calls": [call]}], Format.OPENAI)
    assert attributes(tool)[semconv.TOOL_CALL_ARGUMENTS] == '{"at":"Zürich"}'


def test_content_in_parts_keeps_each_part() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "BB", "format": "wav"}},
        "bare",
    ]
    told = attributes(spans([{"role": "user", "content": content}], Format.OPENAI)[0])
    assert json.loads(told[semconv.INPUT_MESSAGES])[0]["parts"] == [
        {"type": "text", "content": "look"},
        {
            "type": "uri",
            "modality": "image",
            "uri": "https://example.com/a.png",
            "detail": "low",
        },
        {"type": "blob", "modality": "image", "content": "AAAA", "mime_type": "image/png"},
        {"type": "input_audio", "input_audio": {"data": "BB", "format": "wav"}},
        {"type": "text", "content": "bare"},
    ]


def test_reasoning_is_a_part_and_unknown_members_of_a_message_stay_with_it() -> None:
    message = {"role": "assistant", "reasoning_content": "hm", "content": "yes", "audio": {"id": 1}}
    told = attributes(spans([message], Format.OPENAI)[1])
    assert json.loads(told[semconv.OUTPUT_MESSAGES])[0] == {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}],
        "audio": {"id": 1},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"a": 1}', {"a": 1}),
        ("not json", "not json"),
        ("[1]", "[1]"),
        ('{"a": NaN}', '{"a": NaN}'),
        ('{"a": 1e999}', '{"a": 1e999}'),
        (r'{"a": "\ud800"}', r'{"a": "\ud800"}'),
        (r'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        ('{"a": ' * 100_000, '{"a": ' * 100_000),
    ],
)
def test_arguments_in_a_message_are_an_object_only_if_nothing_is_lost(
    arguments: str, said: Any
) -> None:
    messages = [{"role": "assistant", "tool_calls": [called("f", "1", arguments)]}]
    (_, chat, tool) = spans(messages, Format.OPENAI)
    output = json.loads(attributes(chat)[semconv.OUTPUT_MESSAGES])
    assert output[0]["parts"][0]["arguments"] == said
    assert attributes(tool)[semconv.TOOL_CALL_ARGUMENTS] == arguments


def test_half_of_a_surrogate_pair_becomes_a_replacement_character() -> None:
    run = run_of({"messages": [{"role": "user", "content": "a\ud800b", "\udfff": 1}]})
    assert json.loads(run.messages[0].json) == {
        "role": "user",
        "parts": [{"type": "text", "content": "a�b"}],
        "�": 1,
    }


def test_numbers_json_cannot_say_become_unknown() -> None:
    (run,) = runs_of(
        Line("runs.jsonl", 1, '{"messages": [{"role": "user"}], "a": NaN, "b": 1e999, "c": [NaN]}'),
        Format.TRAJECTORY,
    )
    assert not isinstance(run, BadLine)
    assert run.extra == {"a": None, "b": None, "c": [None]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"messages": [', "runs.jsonl:3: not JSON (Expecting value at column 15); correct or"),
        ("[" * 100_000, "runs.jsonl:3: not JSON that can be read (nested too deeply)"),
        ("1" * 5000, "runs.jsonl:3: not JSON that can be read (a number has too many digits)"),
        ("7", "runs.jsonl:3: a number where a JSON object with messages belongs"),
        ("[]", "runs.jsonl:3: a list where a JSON object with messages belongs"),
        ('{"run_id": "1"}', "runs.jsonl:3: no messages; a run needs a list"),
        ('{"messages": []}', "runs.jsonl:3: no messages; a run needs a list"),
        ('[{"messages": {}}]', "runs.jsonl:3: item 1: no messages; a run needs a list"),
    ],
)
def test_a_line_that_is_no_run_is_reported_with_its_place_and_what_to_do(
    text: str, problem: str
) -> None:
    assert problem_of(text).startswith(problem)


def test_a_conversation_too_large_for_one_span_is_reported() -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "é" * (31 << 20)}]})
    assert "larger than 60 MiB" in problem_of(line)


def test_a_run_whose_histories_add_up_to_too_much_is_reported() -> None:
    line = json.dumps({"messages": [{"role": "assistant", "content": "x" * 10_000}] * 500})
    assert "more than 1024 MiB; split the run" in problem_of(line)


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"b": 2}')
    lines = [line for line in _lines(path) if isinstance(line, Line)]
    assert [(line.number, json.loads(line.text)) for line in lines] == [
        (1, {"a": 1}),
        (4, {"b": 2}),
    ]


def test_bytes_that_are_not_utf8_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "\xff"}\n{"c": 3}\n')
    (_, bad, _) = _lines(path)
    assert str(bad) == f"{path}:2: not UTF-8 (byte 8 of the line); save the file as UTF-8"


def test_a_line_that_is_too_long_is_reported_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LINE_BYTES_MAX", 1 << 20)
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b'"' + b"x" * (3 << 20) + b'"\n{"c": 3}\n')
    (_, bad, last) = _lines(path)
    assert str(bad) == f"{path}:2: the line is longer than 1 MiB; split the run"
    assert last == Line(str(path), 3, '{"c": 3}\n')


def test_a_whole_file_may_be_one_document_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "chats.json"
    path.write_text(json.dumps([{"messages": CHAT}, CHAT], indent=2))
    (line,) = _lines(path)
    assert isinstance(line, Line)
    assert len(list(runs_of(line, Format.OPENAI))) == 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"run_id": "1", "messages": CHAT}, (Format.TRAJECTORY, 'the first line has "run_id"')),
        ({"messages": CHAT, "agent": {}}, (Format.TRAJECTORY, 'the first line has "agent"')),
        (
            {"messages": CHAT},
            (Format.OPENAI, "the first line has no run_id, outcome, task or agent"),
        ),
        (CHAT, (Format.OPENAI, "the first line has no run_id, outcome, task or agent")),
    ],
)
def test_the_format_is_told_by_the_first_line(
    tmp_path: Path, line: Any, told: tuple[Format, str]
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(f"{json.dumps(line)}\n{json.dumps(CHAT)}\n")
    assert detect_format(path) == told


_anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_function = st.fixed_dictionaries(
    {}, optional={"name": _anything, "arguments": _anything, "extra": _anything}
)
_call = st.fixed_dictionaries(
    {}, optional={"id": st.sampled_from(["1", "2"]) | _anything, "function": _function | _anything}
)
_message = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["system", "user", "assistant", "tool", "function"]) | _anything,
        "content": _anything,
        "tool_calls": st.lists(_call, max_size=3) | _anything,
        "function_call": _function | _anything,
        "tool_call_id": st.sampled_from(["1", "2"]) | _anything,
        "name": _anything,
        "is_error": _anything,
        "timestamp": st.integers(0, 1 << 70) | _anything,
        "usage": st.dictionaries(st.sampled_from(["prompt_tokens", "x"]), _anything) | _anything,
        "finish_reason": _anything,
        "parts": _anything,
        "reasoning": _anything,
    },
)
_run = st.fixed_dictionaries(
    {"messages": st.lists(_message | _anything, min_size=1, max_size=8)},
    optional=dict.fromkeys(
        (
            "run_id",
            "task",
            "agent",
            "model",
            "user_id",
            "tenant_id",
            "tools",
            "trial",
            "started_at",
            "ended_at",
            "outcome",
            "odd",
        ),
        _anything,
    ),
)


@given(_run)
def test_odd_runs_never_fail_and_lose_no_message_and_no_call(line: dict[str, Any]) -> None:
    run = run_of(line)
    (root, *others) = spans(line)
    assert list(batches([run]))
    chats = [span for span in others if span.name.startswith("chat")]
    tools = [span for span in others if span.name.startswith("execute_tool")]
    answers = sum(message.role == "tool" for message in run.messages)
    calls = sum(len(message.calls) for message in run.messages)
    assert len(chats) == sum(message.role == "assistant" for message in run.messages)
    assert len(tools) == len(run.tool_uses) >= max(calls, answers)
    assert sum(use.call is not None for use in run.tool_uses) == calls
    assert sorted(use.answered_at for use in run.tool_uses if use.answered_at is not None) == [
        at for at, message in enumerate(run.messages) if message.role == "tool"
    ]
    for span in chats:
        json.loads(attributes(span)[semconv.INPUT_MESSAGES])
    for span in [root, *others]:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
        assert len({each.key for each in span.attributes}) == len(span.attributes)


@given(st.text())
def test_any_text_is_runs_or_a_reported_line(text: str) -> None:
    assert list(runs_of(Line("runs.jsonl", 1, text), Format.OPENAI))
