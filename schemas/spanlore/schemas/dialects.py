"""How spans in other vocabularies than the GenAI conventions are read: SQL over their attributes.

Attributes are stored as they came. ``DIALECT_SQL`` is what a span says in other words than the
conventions', under the conventions' names; it is empty for a span that uses these, so that such
a span costs next to nothing. Message lists are made where they are read, never at the insert.

The words are those of OpenInference, OpenLLMetry (Traceloop), Langfuse, LangSmith, Vercel's AI SDK,
OpenLIT, Pydantic AI and Logfire before version 2, and of the GenAI conventions before they were
renamed.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from spanlore.schemas import semconv

# What has no name of its own in the conventions: what it means hangs on the kind of the span.
ENTITY: Final = "traceloop.entity.name"
INPUT: Final = "input.value"
OUTPUT: Final = "output.value"
_PROMPT: Final = "ai.prompt"
TOOLS: Final = "llm.tools"
TOOLS_LISTED: Final = "ai.prompt.tools"
FUNCTIONS: Final = "llm.request.functions."
EVENTS: Final = "events"
ALL_EVENTS: Final = "all_messages_events"
MODEL_PARAMETERS: Final = "model_request_parameters"
COMPLETION: Final = "gen_ai.completion"
PARAMETERS: Final = "llm.invocation_parameters"
USAGE: Final = "langfuse.observation.usage_details"
METADATA: Final = "metadata"
_LANGSMITH_PROVIDER: Final = "langsmith.metadata.ls_provider"
_FIRST_ROLE: Final = "llm.input_messages.0.message.role"
_FIRST_CONTENT: Final = "llm.input_messages.0.message.content"

# What the conventions (or the names above) call it, and what others do. Where a span carries
# several of a line, the first that it was given holds.
SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    semconv.OPERATION_NAME: (
        "openinference.span.kind", "traceloop.span.kind", "ai.operationId", "llm.request.type",
        "langfuse.observation.type", "langsmith.span.kind",
    ),
    semconv.PROVIDER_NAME: (semconv.SYSTEM_LEGACY, "llm.provider", "llm.system"),
    semconv.REQUEST_MODEL: (
        "llm.model_name", "llm.request.model_name", "embedding.model_name", "reranker.model_name",
        "ai.model.id", "model_name", "langfuse.observation.model.name",
    ),
    semconv.RESPONSE_MODEL: ("llm.response.model_name", "ai.response.model"),
    semconv.RESPONSE_ID: ("ai.response.id",),
    semconv.RESPONSE_FINISH_REASONS: (
        "llm.finish_reason", "ai.response.finishReason", "gen_ai.completion.0.finish_reason",
    ),
    semconv.USAGE_INPUT_TOKENS: (
        semconv.USAGE_PROMPT_TOKENS_LEGACY, "llm.token_count.prompt", "ai.usage.inputTokens",
        "ai.usage.promptTokens",
    ),
    semconv.USAGE_OUTPUT_TOKENS: (
        semconv.USAGE_COMPLETION_TOKENS_LEGACY, "llm.token_count.completion",
        "ai.usage.outputTokens", "ai.usage.completionTokens",
    ),
    semconv.USAGE_CACHE_READ: (
        "llm.token_count.prompt_details.cache_read", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens", "ai.usage.cachedInputTokens",
    ),
    semconv.USAGE_CACHE_WRITE: (
        semconv.USAGE_CACHE_CREATION_LEGACY, "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.details.cache_write_tokens",
    ),
    semconv.USAGE_REASONING: (
        "llm.token_count.completion_details.reasoning", "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens", "ai.usage.reasoningTokens",
    ),
    semconv.REQUEST_MAX_TOKENS: (
        "ai.settings.maxOutputTokens", "ai.settings.maxTokens", "langsmith.metadata.ls_max_tokens",
    ),
    semconv.REQUEST_TEMPERATURE: ("ai.settings.temperature", "langsmith.metadata.ls_temperature"),
    semconv.REQUEST_TOP_P: ("ai.settings.topP",),
    semconv.REQUEST_TOP_K: ("ai.settings.topK", "llm.top_k"),
    semconv.REQUEST_FREQUENCY_PENALTY: (
        "ai.settings.frequencyPenalty", "llm.frequency_penalty",
    ),
    semconv.REQUEST_PRESENCE_PENALTY: ("ai.settings.presencePenalty", "llm.presence_penalty"),
    semconv.REQUEST_SEED: ("ai.settings.seed", "gen_ai.openai.request.seed"),
    semconv.AGENT_NAME: ("agent.name", "agent_name"),
    semconv.TOOL_NAME: ("tool.name", "ai.toolCall.name"),
    semconv.TOOL_CALL_ID: ("tool.id", "ai.toolCall.id"),
    semconv.TOOL_CALL_ARGUMENTS: ("ai.toolCall.args", "gen_ai.tool.args", "tool_arguments"),
    semconv.TOOL_CALL_RESULT: ("ai.toolCall.result", "tool_response"),
    semconv.USER_ID: (
        semconv.ENDUSER_ID_LEGACY, "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId", "gen_ai.request.user", "gen_ai.user", "llm.user",
        "langsmith.metadata.user_id", "langfuse.user.id",
    ),
    semconv.SESSION_ID: (
        # The session of LangSmith's ``langsmith.trace.session_id`` is a project.
        "traceloop.association.properties.session_id", "ai.telemetry.metadata.sessionId",
        "langsmith.metadata.session_id", "langsmith.metadata.thread_id",
        "langsmith.metadata.conversation_id", "langfuse.session.id",
    ),
    semconv.TENANT_ID: (
        "traceloop.association.properties.tenant_id", "ai.telemetry.metadata.tenantId",
        "langsmith.metadata.tenant_id",
    ),
    ENTITY: (ENTITY, "ai.telemetry.functionId", "langsmith.trace.name"),
    INPUT: (INPUT, "traceloop.entity.input", "langfuse.observation.input", "gen_ai.prompt"),
    OUTPUT: (OUTPUT, "traceloop.entity.output", "langfuse.observation.output", COMPLETION),
    PARAMETERS: (PARAMETERS, "langfuse.observation.model.parameters"),
    USAGE: (USAGE, "langsmith.metadata.usage_metadata"),
    METADATA: (METADATA,),
    _LANGSMITH_PROVIDER: (_LANGSMITH_PROVIDER,),
    _PROMPT: (_PROMPT,),
    TOOLS_LISTED: (TOOLS_LISTED,),
    EVENTS: (EVENTS, ALL_EVENTS),
    MODEL_PARAMETERS: (MODEL_PARAMETERS,),
    _FIRST_ROLE: (_FIRST_ROLE, "gen_ai.prompt.0.role"),
    _FIRST_CONTENT: (_FIRST_CONTENT, "gen_ai.prompt.0.content"),
}  # fmt: skip

# Tokens in a text of JSON, at whatever depth: what they are called there.
COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    semconv.USAGE_INPUT_TOKENS: ("prompt_tokens",),
    semconv.USAGE_OUTPUT_TOKENS: ("completion_tokens",),
    semconv.USAGE_CACHE_READ: (
        "cached_tokens", "cache_read", "input_cached_tokens", "input_cache_read",
        "cache_read_input_tokens",
    ),
    semconv.USAGE_CACHE_WRITE: (
        "cache_creation", "input_cache_creation", "cache_creation_input_tokens",
    ),
    semconv.USAGE_REASONING: (
        "reasoning_tokens", "reasoning", "output_reasoning", "output_reasoning_tokens",
    ),
}  # fmt: skip
# What is counted beside these by Langfuse belongs to them: what was read from a cache, reasoned.
WHOLE_COUNTS: Final[Mapping[str, str]] = {
    semconv.USAGE_INPUT_TOKENS: "input",
    semconv.USAGE_OUTPUT_TOKENS: "output",
}

# Members of OpenInference's metadata, which is JSON of the program's own.
OF_METADATA: Final[Mapping[str, tuple[str, ...]]] = {
    semconv.USER_ID: ("user_id",),
    semconv.SESSION_ID: ("session_id", "thread_id", "conversation_id"),
}

# What kinds of a span are called. What is not here (a chain, a task) is a span without operation.
OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    semconv.OP_CHAT: (
        "LLM", "chat", "generation", "llm", "ai.generateText.doGenerate", "ai.streamText.doStream",
        "ai.generateObject.doGenerate", "ai.streamObject.doStream",
    ),
    semconv.OP_TEXT_COMPLETION: ("completion",),
    semconv.OP_EMBEDDINGS: ("EMBEDDING", "embedding", "ai.embed.doEmbed", "ai.embedMany.doEmbed"),
    semconv.OP_RETRIEVAL: ("RETRIEVER", "RERANKER", "rerank", "retriever"),
    semconv.OP_EXECUTE_TOOL: ("TOOL", "tool", "ai.toolCall"),
    semconv.OP_INVOKE_AGENT: (
        "AGENT", "agent", "ai.generateText", "ai.streamText", "ai.generateObject",
        "ai.streamObject",
    ),
    semconv.OP_INVOKE_WORKFLOW: ("workflow",),
}  # fmt: skip

# Other spellings of providers.
PROVIDERS: Final[Mapping[str, str]] = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
    "langchain": "",  # what LangSmith says where it does not know
}

DIALECT: Final = "Dialect"
_AT: Final = "SpanAttributes"
_FOREIGN: Final = [(foreign, name) for name, names in SYNONYMS.items() for foreign in names]
_SPOKEN: Final = [(kind, operation) for operation, kinds in OPERATIONS.items() for kind in kinds]


def _translated(text: str, pairs: Iterable[tuple[str, str]], otherwise: str = "''") -> str:
    """SQL for what a text is called, ``otherwise`` where nothing is known of it."""
    froms, tos = (list(side) for side in zip(*pairs, strict=True))
    return f"transform({text}, {froms}, {tos}, {otherwise})"


# Keys are translated once for each that a block of rows has, whatever the number of its spans.
# Lists come in keys without end: those of a list of tools stay as they are, or become one.
_KEY = _translated(
    "name",
    _FOREIGN,
    f"multiIf(startsWith(name, '{TOOLS}.'), '{TOOLS}', startsWith(name, '{FUNCTIONS}'), name, '')",
)
DIALECT_SQL: Final = f"""mapFilter((name, said) -> name != '', mapFromArrays(
    arrayMap(name -> {_KEY}, mapKeys({_AT})), mapValues({_AT})))"""


def span_attribute(*names: str) -> str:
    """SQL for the first non-empty of these attributes of a span, '' where all are absent.

    What is said in the conventions' words goes before what is said in others'.
    """
    return first_of(*lookups(*names))


def lookups(*names: str) -> list[str]:
    """SQL for each of these attributes of a span, in the order in which they hold."""
    translated = [dialect(name) for name in names if name in SYNONYMS]
    return [*map(own, names), *translated]


def own(name: str) -> str:
    """SQL for what a span says in this very attribute."""
    return f"{_AT}['{name}']"


def dialect(name: str) -> str:
    """SQL for what a span says in other words than the conventions'."""
    return f"{DIALECT}['{name}']"


def first_of(*texts: str) -> str:
    """SQL for the first of these texts that is not empty.

    In one function: a default's terms are planned at every insert.
    """
    if len(texts) == 1:
        return texts[0]
    return f"firstNonDefault({', '.join(texts)})"


_KIND = dialect(semconv.OPERATION_NAME)
IS_PYDANTIC_AI: Final = "ScopeName = 'pydantic-ai'"
_IS_TOOL = f"Op = '{semconv.OP_EXECUTE_TOOL}'"
_IS_ROOT = f"Op IN {semconv.ROOT_OPS}"

# LangSmith names operations of its own, Langfuse none but kinds; neither need know of an agent.
_LANGSMITH_KIND = own("langsmith.span.kind")
_MAY_BE_RUN = ("chain", "span")
OPERATION_SQL: Final = f"""multiIf(
    {own(semconv.OPERATION_NAME)} != '' AND {_LANGSMITH_KIND} = '', {own(semconv.OPERATION_NAME)},
    {_KIND} IN {_MAY_BE_RUN} AND ParentSpanId = '', '{semconv.OP_INVOKE_WORKFLOW}',
    {_KIND} != '', {_translated(_KIND, _SPOKEN)},
    NOT {IS_PYDANTIC_AI}, '',
    {own(semconv.TOOL_NAME)} != '', '{semconv.OP_EXECUTE_TOOL}',
    {dialect(semconv.AGENT_NAME)} != '', '{semconv.OP_INVOKE_AGENT}', '')"""

# Vercel's SDK says behind a point which of a provider's interfaces was called.
_PROVIDER = f"""lower(if(
    startsWith({_KIND}, 'ai.'), splitByChar('.', {dialect(semconv.PROVIDER_NAME)})[1],
    {dialect(semconv.PROVIDER_NAME)}))"""
PROVIDER_SQL: Final = first_of(
    own(semconv.PROVIDER_NAME),
    _translated(_PROVIDER, PROVIDERS.items(), _PROVIDER),
    dialect(_LANGSMITH_PROVIDER),
)

AGENT_NAME_SQL: Final = first_of(
    *lookups(semconv.AGENT_NAME),
    f"multiIf(NOT {_IS_ROOT}, '', {dialect(ENTITY)} != '', {dialect(ENTITY)}, "
    f"{_KIND} IN {('AGENT', 'agent', *_MAY_BE_RUN)}, SpanName, '')",
)
TOOL_NAME_SQL: Final = first_of(
    *lookups(semconv.TOOL_NAME),
    f"multiIf(NOT {_IS_TOOL}, '', {dialect(ENTITY)} != '', {dialect(ENTITY)}, "
    f"{_KIND} IN ('TOOL', 'tool'), SpanName, '')",
)
# OpenLLMetry and Langfuse write a Python function's arguments down as {"args": [...], "kwargs":
# {...}}.
TOOL_ARGUMENTS_SQL: Final = first_of(
    *lookups(semconv.TOOL_CALL_ARGUMENTS),
    f"multiIf(NOT {_IS_TOOL}, '', "
    f"JSONExtractRaw({dialect(INPUT)}, 'args') = '[]' AND JSONHas({dialect(INPUT)}, 'kwargs'), "
    f"JSONExtractRaw({dialect(INPUT)}, 'kwargs'), {dialect(INPUT)})",
)
_RESULT = first_of(dialect(semconv.TOOL_CALL_RESULT), dialect(OUTPUT))
# A text is written down as JSON by some; by LangSmith as ``output``, or a message of LangChain's,
# also where there is none.
_COMPLETION = own(COMPLETION)
_UNWRAPPED = first_of(
    f"JSONExtractString({_COMPLETION}, 'output', 'content')",
    f"JSONExtractString({_COMPLETION}, 'output')",
    f"if({_COMPLETION} != '' AND StatusCode = 'Error', '', "
    f"{first_of(f'JSONExtractString({_RESULT})', _RESULT)})",
)
TOOL_RESULT_SQL: Final = first_of(
    own(semconv.TOOL_CALL_RESULT), f"if({_IS_TOOL}, {_UNWRAPPED}, '')"
)
# Most say how a span failed by its status and an event alone, LangSmith in the event's text.
ERROR_TYPE_SQL: Final = first_of(
    own(semconv.ERROR_TYPE),
    "if(StatusCode = 'Error', arrayFirst(type -> type != '', arrayMap(event -> "
    f"if({_LANGSMITH_KIND} != '', extract(event['exception.message'], '^[A-Za-z_.]+'), "
    "event['exception.type']), `Events.Attributes`)), '')",
)
_SYSTEM_EVENT = f"""arrayFirst(event -> JSONExtractString(event, 'role') = 'system',
        JSONExtractArrayRaw({dialect(EVENTS)}))"""
_FIRST_MESSAGE = first_of(
    *(
        f"JSONExtractRaw({dialect(INPUT)}, {path})"
        for path in ("'messages', 1, 1, 'kwargs'", "'messages', 1", "1")
    )
)


def _other_instructions(of_first_message: str) -> str:
    """SQL for instructions in other words; the branch of what stands in a list of messages."""
    return f"""multiIf(
    {dialect(_FIRST_ROLE)} IN ('system', 'developer'), {dialect(_FIRST_CONTENT)},
    {dialect(_PROMPT)} != '', JSONExtractString({dialect(_PROMPT)}, 'system'),
    {IS_PYDANTIC_AI}, JSONExtractString({_SYSTEM_EVENT}, 'content'),
    match({_FIRST_MESSAGE}, '"(?:system|developer)"'), {of_first_message}, '')"""


_OWN_INSTRUCTIONS = own(semconv.SYSTEM_INSTRUCTIONS)
_WRITER = first_of(*(f"JSONExtractString({_FIRST_MESSAGE}, '{name}')" for name in ("role", "type")))
SYSTEM_INSTRUCTIONS_SQL: Final = first_of(
    _OWN_INSTRUCTIONS,
    _other_instructions(
        f"if({_WRITER} IN ('system', 'developer'), "
        f"JSONExtractString({_FIRST_MESSAGE}, 'content'), '')"
    ),
)
# Texts are long: none is copied that need not be. No text is 0. Of a message there is the hash of
# all of it: to look into it would be planned anew at every insert.
INSTRUCTIONS_HASH_SQL: Final = f"""multiIf(
    {_OWN_INSTRUCTIONS} != '', sipHash64({_OWN_INSTRUCTIONS}), empty({DIALECT}), 0,
    bitXor(sipHash64({_other_instructions(_FIRST_MESSAGE)}), sipHash64('')))"""

# How the parameters of a call are called within JSON.
SAMPLING_WORDS: Final = {
    name.removeprefix("gen_ai.request."): name for name in semconv.REQUEST_SAMPLING
}
# What a call was asked with: the conventions' names, and JSON where others have it (``run_facts``).
# Filtered before anything else is done with it: what is left is small.
_IS_SAMPLING = f"(name, said) -> name IN {(*semconv.REQUEST_SAMPLING, PARAMETERS)}"
SAMPLING_SQL: Final = f"""if(Op IN {semconv.INFERENCE_OPS}, toJSONString(mapSort(mapUpdate(
    mapFilter({_IS_SAMPLING}, {DIALECT}), mapFilter({_IS_SAMPLING}, {_AT})))), '')"""
MAX_TOKENS_SQL: Final = first_of(
    span_attribute(semconv.REQUEST_MAX_TOKENS),
    f"JSONExtractRaw({dialect(PARAMETERS)}, 'max_tokens')",
)


def tokens(name: str) -> str:
    """SQL for one of a span's counts of tokens, NULL where it says none."""
    counted = f"extract({dialect(USAGE)}, '\"(?:{'|'.join(COUNTS[name])})\": ?([0-9]+)')"
    said = f"toUInt64OrNull({first_of(*lookups(name), counted)})"
    if name not in WHOLE_COUNTS:
        return said
    whole = WHOLE_COUNTS[name]
    parts = f"""extractAll({dialect(USAGE)}, '"[a-z_]*{whole}[a-z_]*": ?([0-9]+)')"""
    return f"ifNull({said}, nullIf(arraySum(part -> toUInt64OrZero(part), {parts}), 0))"


def identity(*names: str) -> str:
    """SQL for whose a span is, by the first of these attributes that it has."""
    members = (member for name in names for member in OF_METADATA.get(name, ()))
    inside = (f"JSONExtractString({dialect(METADATA)}, '{member}')" for member in members)
    return first_of(*lookups(*names), *inside)
