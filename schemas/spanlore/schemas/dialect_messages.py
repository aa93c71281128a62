"""Messages and tool definitions of other vocabularies, in the GenAI conventions' JSON: SQL.

They are made where they are read and are no columns: every insert would plan them anew. Of tool
definitions there is a hash at the insert. Braces are ``char``: the driver takes them for
parameters.
"""

from typing import Final

from spanlore.schemas import semconv
from spanlore.schemas.dialects import (
    ALL_EVENTS,
    DIALECT,
    EVENTS,
    FUNCTIONS,
    INPUT,
    IS_PYDANTIC_AI,
    MODEL_PARAMETERS,
    OUTPUT,
    TOOLS,
    TOOLS_LISTED,
    dialect,
    first_of,
    own,
    span_attribute,
)

_AT: Final = "SpanAttributes"


def _listed(texts: str) -> str:
    """SQL for an array of JSON texts as one JSON list."""
    return f"concat('[', arrayStringConcat({texts}, ','), ']')"


def _text_part(text: str) -> str:
    return f"""concat(char(123), '"type":"text","content":', toJSONString({text}), char(125))"""


def _call_part(number: str, name: str, arguments: str) -> str:
    """SQL for a model's call of a tool; ``arguments`` are JSON or a text."""
    return f"""concat(char(123), '"type":"tool_call","id":', toJSONString({number}), ',"name":',
        toJSONString({name}), ',"arguments":',
        if(isValidJSON({arguments}), {arguments}, toJSONString({arguments})), char(125))"""


def _answer_part(number: str, response: str) -> str:
    """SQL for what a tool answered; ``response`` is JSON."""
    return f"""concat(char(123), '"type":"tool_call_response","id":', toJSONString({number}),
        ',"response":', {response}, char(125))"""


def _message(role: str, parts: str) -> str:
    """SQL for a message; ``parts`` is an array of parts."""
    return f"""concat(
        char(123), '"role":', toJSONString({role}), ',"parts":', {_listed(parts)}, char(125))"""


def _definition(name: str, description: str, parameters: str) -> str:
    """SQL for a tool's definition; ``parameters`` is JSON, or empty."""
    return f"""concat(char(123), '"name":', toJSONString({name}), ',"description":',
        toJSONString({description}), ',"parameters":',
        {first_of(parameters, "'null'")}, char(125))"""


# Lists that stand in one attribute for each field of their members. A field is (number of the
# member, path, text); no step holds more than all fields once.
def _groups(fields: str, number: str) -> str:
    """SQL for sorted fields, split where the number that ``number`` reads of a field changes."""
    return f"""arrayMap(fields -> arraySplit((field, before) -> {number} != before, fields,
        arrayPopBack(arrayPushFront(arrayMap(field -> {number}, fields), ''))), [{fields}])[1]"""


def _said(name: str, group: str) -> str:
    """SQL for the text of a field of a group."""
    return f"arrayFirst(field -> field.2 = '{name}', {group}).3"


def _fields(prefixes: str, column: str) -> str:
    """SQL for the fields of lists that begin as the regular expression says, sorted."""
    pattern = f"'^(?:{prefixes})[.]([0-9]+)[.](?:message[.])?(.+)$'"
    found = f"mapFilter((name, said) -> match(name, {pattern}), {column})"
    return f"""arraySort(arrayMap((name, said) -> (
        leftPad(extractGroups(name, {pattern})[1], 9, '0'),
        replaceRegexpAll(extractGroups(name, {pattern})[2], 'tool_call[.]|function[.]', ''), said
    ), mapKeys({found}), mapValues({found})))"""


def _flattened(prefixes: str) -> str:
    """SQL for messages in one attribute a field; no list where there are none."""

    def ending(name: str) -> str:
        return f"arrayFirst(field -> endsWith(field.2, '.{name}'), call).3"

    calls = _groups(
        "arrayFilter(field -> startsWith(field.2, 'tool_calls.'), message)",
        "splitByChar('.', field.2)[2]",
    )
    made = _call_part(ending("id"), ending("name"), ending("arguments"))
    texts = f"""arrayMap(field -> {_text_part("field.3")}, arrayFilter(field -> field.3 != '' AND (
        field.2 = 'content' OR endsWith(field.2, '.message_content.text')), message))"""
    content = _said("content", "message")
    answer = _answer_part(_said("tool_call_id", "message"), f"toJSONString({content})")
    parts = f"""if({_said("role", "message")} = 'tool', [{answer}],
        arrayConcat({texts}, arrayMap(call -> {made}, {calls})))"""
    messages = f"""arrayMap(message -> {_message(_said("role", "message"), parts)},
        {_groups(_fields(prefixes, _AT), "field.1")})"""
    return f"""if(NOT arrayExists(name -> match(name, '^(?:{prefixes})[.]'), mapKeys({_AT})), '',
        {_listed(messages)})"""


_IS_FUNCTION = f"arrayExists(name -> startsWith(name, '{FUNCTIONS}'), mapKeys({DIALECT}))"
_FUNCTION_GROUPS = _groups(_fields("llm[.]request[.]functions", DIALECT), "field.1")
_FROM_GROUP = _definition(
    _said("name", "tool"), _said("description", "tool"), _said("parameters", "tool")
)
_FROM_PARAMETERS = _definition(
    "JSONExtractString(tool, 'name')",
    "JSONExtractString(tool, 'description')",
    "JSONExtractRaw(tool, 'parameters_json_schema')",
)
_WRITTEN = (
    f"arrayFilter((said, name) -> name = '{TOOLS}', mapValues({DIALECT}), mapKeys({DIALECT}))"
)
_PARAMETERS_TOOLS = f"JSONExtractArrayRaw({dialect(MODEL_PARAMETERS)}, 'function_tools')"
_ASKED_TOOLS = f"JSONExtractRaw({dialect(INPUT)}, 'tools')"
_OTHER_DEFINITIONS = f"""multiIf(
    empty({DIALECT}), '',
    mapContains({DIALECT}, '{TOOLS}'), {_listed(_WRITTEN)},
    {dialect(TOOLS_LISTED)} != '',
    {_listed(f"JSONExtract({dialect(TOOLS_LISTED)}, 'Array(String)')")},
    {_IS_FUNCTION}, {_listed(f"arrayMap(tool -> {_FROM_GROUP}, {_FUNCTION_GROUPS})")},
    notEmpty({_PARAMETERS_TOOLS}),
    {_listed(f"arrayMap(tool -> {_FROM_PARAMETERS}, {_PARAMETERS_TOOLS})")}, {_ASKED_TOOLS})"""
_OWN = own(semconv.TOOL_DEFINITIONS)
TOOL_DEFINITIONS_SQL: Final = first_of(_OWN, _OTHER_DEFINITIONS)
# Taken of what was sent: to make definitions of it would be planned anew at every insert.
_SENT = f"""arrayFilter((said, name) -> name IN {(TOOLS, TOOLS_LISTED, MODEL_PARAMETERS)}
    OR startsWith(name, '{FUNCTIONS}'), mapValues({DIALECT}), mapKeys({DIALECT}))"""
TOOL_DEFINITIONS_HASH_SQL: Final = f"""multiIf(
    {_OWN} != '', sipHash64({_OWN}), notEmpty({_SENT}), sipHash64({_SENT}),
    {_ASKED_TOOLS} != '', sipHash64({_ASKED_TOOLS}), 0)"""

# Vercel's AI SDK: messages as JSON, with parts of its own.
_PART_TYPE = "JSONExtractString(part, 'type')"
_PART_CALL = "JSONExtractString(part, 'toolCallId')"
_REQUEST = _call_part(
    _PART_CALL,
    "JSONExtractString(part, 'toolName')",
    first_of("JSONExtractRaw(part, 'input')", "JSONExtractRaw(part, 'args')"),
)
_RESPONSE = _answer_part(
    _PART_CALL,
    first_of("JSONExtractRaw(part, 'output', 'value')", "JSONExtractRaw(part, 'result')", "'null'"),
)
_PARTS = f"""if(JSONType(message, 'content') = 'String',
    [{_text_part("JSONExtractString(message, 'content')")}],
    arrayMap(part -> multiIf(
        {_PART_TYPE} = 'text', {_text_part("JSONExtractString(part, 'text')")},
        {_PART_TYPE} = 'tool-call', {_REQUEST},
        {_PART_TYPE} = 'tool-result', {_RESPONSE}, part
    ), JSONExtractArrayRaw(message, 'content')))"""
_VERCEL_INPUT = _listed(
    f"""arrayMap(message -> {_message("JSONExtractString(message, 'role')", _PARTS)},
        JSONExtractArrayRaw({own("ai.prompt.messages")}))"""
)
_VERCEL_CALL = _call_part(
    "JSONExtractString(call, 'toolCallId')",
    "JSONExtractString(call, 'toolName')",
    first_of(
        "JSONExtractString(call, 'input')",
        "JSONExtractRaw(call, 'input')",
        "JSONExtractRaw(call, 'args')",
    ),
)
_VERCEL_PARTS = f"""arrayConcat(
    if({own("ai.response.text")} = '', [], [{_text_part(own("ai.response.text"))}]),
    arrayMap(call -> {_VERCEL_CALL}, JSONExtractArrayRaw({own("ai.response.toolCalls")})))"""
_VERCEL_ANSWER = _message("'assistant'", _VERCEL_PARTS)
_VERCEL_OUTPUT = _listed(f"[{_VERCEL_ANSWER}]")

# Messages as OpenAI's SDK or LangChain writes them down: what Langfuse and LangSmith send, and
# Pydantic AI's first version as events, the answer last.
_BODY = first_of("JSONExtractRaw(message, 'kwargs')", "message")
_WRITER = first_of("JSONExtractString(body, 'role')", "JSONExtractString(body, 'type')")
_ROLE = f"transform({_WRITER}, ['human', 'ai'], ['user', 'assistant'])"
_BODY_CALL = _call_part(
    "JSONExtractString(call, 'id')",
    first_of("JSONExtractString(call, 'function', 'name')", "JSONExtractString(call, 'name')"),
    first_of(
        "JSONExtractString(call, 'function', 'arguments')",
        "JSONExtractRaw(call, 'function', 'arguments')",
        "JSONExtractRaw(call, 'args')",
    ),
)
_BODY_TEXTS = """arrayFilter(text -> text != '', if(JSONType(body, 'content') = 'Array',
        arrayMap(part -> JSONExtractString(part, 'text'), JSONExtractArrayRaw(body, 'content')),
        [JSONExtractString(body, 'content')]))"""
_BODY_ANSWERED = first_of(
    "JSONExtractString(body, 'tool_call_id')", "JSONExtractString(body, 'id')"
)
_BODY_PARTS = f"""if({_ROLE} = 'tool',
    [{_answer_part(_BODY_ANSWERED, "JSONExtractRaw(body, 'content')")}],
    arrayConcat(arrayMap(text -> {_text_part("text")}, {_BODY_TEXTS}),
        arrayMap(call -> {_BODY_CALL}, JSONExtractArrayRaw(body, 'tool_calls'))))"""


def _written(messages: str) -> str:
    """SQL for an array of such messages in the conventions' JSON; no list where there are none."""
    bodies = f"arrayMap(message -> {_BODY}, messages)"
    made = _listed(f"arrayMap(body -> {_message(_ROLE, _BODY_PARTS)}, {bodies})")
    return f"arrayMap(messages -> if(empty(messages), '', {made}), [{messages}])[1]"


def _inside(path: str) -> str:
    return f"arrayMap(one -> JSONExtractRaw(one, 'message'), {path})"


_ALL_EVENTS = f"JSONExtractArrayRaw({dialect(EVENTS)})"
_IS_CHOICE = "JSONExtractString(event, 'event.name') = 'gen_ai.choice'"
_HEARD = f"arrayFilter(event -> NOT ({_IS_CHOICE}), {_ALL_EVENTS})"
_CHOSEN = _inside(f"arrayFilter(event -> {_IS_CHOICE}, {_ALL_EVENTS})")
_HAS_EVENTS = f"{IS_PYDANTIC_AI} AND {dialect(EVENTS)} != ''"

_ASKED, _ANSWERED = dialect(INPUT), dialect(OUTPUT)
_ASKED_MESSAGES = f"""multiIf(Op NOT IN {semconv.INFERENCE_OPS}, [],
    JSONType({_ASKED}) = 'Array', JSONExtractArrayRaw({_ASKED}),
    JSONType({_ASKED}, 'messages', 1) = 'Array', JSONExtractArrayRaw({_ASKED}, 'messages', 1),
    JSONExtractArrayRaw({_ASKED}, 'messages'))"""
_PLAIN_ANSWER = f"""concat(char(123), '"role":"assistant","content":', toJSONString({_ANSWERED}),
        char(125))"""
_ANSWERED_MESSAGES = f"""multiIf(Op NOT IN {semconv.INFERENCE_OPS} OR {_ANSWERED} = '', [],
    JSONHas({_ANSWERED}, 'choices'), {_inside(f"JSONExtractArrayRaw({_ANSWERED}, 'choices')")},
    JSONHas({_ANSWERED}, 'generations'),
    {_inside(f"JSONExtractArrayRaw({_ANSWERED}, 'generations', 1)")},
    JSONHas({_ANSWERED}, 'role'), [{_ANSWERED}],
    JSONType({_ANSWERED}) = 'Array', JSONExtractArrayRaw({_ANSWERED}), [{_PLAIN_ANSWER}])"""

FINISH_REASONS_SQL: Final = first_of(
    span_attribute(semconv.RESPONSE_FINISH_REASONS),
    f"JSONExtractString({_ANSWERED}, 'generations', 1, 1, 'generation_info', 'finish_reason')",
)
# What Pydantic AI says of a run and not of a model call: all that was said in it.
_CONVERSATION: Final = "pydantic_ai.all_messages"
CONVERSATIONS: Final = [_CONVERSATION, ALL_EVENTS]
_HEARD_ELSE = first_of(
    own(_CONVERSATION),
    _flattened("llm[.]input_messages|gen_ai[.]prompt"),
    _written(_ASKED_MESSAGES),
)
_SAID_ELSE = first_of(
    _flattened("llm[.]output_messages|gen_ai[.]completion"), _written(_ANSWERED_MESSAGES)
)
INPUT_MESSAGES_SQL: Final = f"""multiIf(
    {own(semconv.INPUT_MESSAGES)} != '', {own(semconv.INPUT_MESSAGES)},
    {own("ai.prompt.messages")} != '', {_VERCEL_INPUT},
    {_HAS_EVENTS}, {_written(_HEARD)}, {_HEARD_ELSE})"""
OUTPUT_MESSAGES_SQL: Final = f"""multiIf(
    {own(semconv.OUTPUT_MESSAGES)} != '', {own(semconv.OUTPUT_MESSAGES)},
    {own("ai.response.text")} != '' OR {own("ai.response.toolCalls")} != '', {_VERCEL_OUTPUT},
    {_HAS_EVENTS}, {_written(_CHOSEN)}, {_SAID_ELSE})"""
