CREATE TABLE IF NOT EXISTS otel_traces (
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `ParentSpanId` String CODEC(ZSTD(1)),
    `TraceState` String CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `SpanAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `Duration` UInt64 CODEC(T64, ZSTD(1)),
    `StatusCode` LowCardinality(String) CODEC(ZSTD(1)),
    `StatusMessage` String CODEC(ZSTD(1)),
    `Events.Timestamp` Array(DateTime64(9)) CODEC(ZSTD(1)),
    `Events.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links.TraceId` Array(String) CODEC(ZSTD(1)),
    `Links.SpanId` Array(String) CODEC(ZSTD(1)),
    `Links.TraceState` Array(String) CODEC(ZSTD(1)),
    `Links.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['spanlore.tenant.id'], Dialect['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `UserId` String DEFAULT firstNonDefault(SpanAttributes['user.id'], Dialect['user.id'], JSONExtractString(Dialect['metadata'], 'user_id')) CODEC(ZSTD(1)),
    `SessionId` String DEFAULT firstNonDefault(SpanAttributes['gen_ai.conversation.id'], SpanAttributes['session.id'], Dialect['session.id'], JSONExtractString(Dialect['metadata'], 'session_id'), JSONExtractString(Dialect['metadata'], 'thread_id'), JSONExtractString(Dialect['metadata'], 'conversation_id')) CODEC(ZSTD(1)),
    `Op` LowCardinality(String) DEFAULT multiIf(
    SpanAttributes['gen_ai.operation.name'] != '' AND SpanAttributes['langsmith.span.kind'] = '', SpanAttributes['gen_ai.operation.name'],
    Dialect['gen_ai.operation.name'] IN ('chain', 'span') AND ParentSpanId = '', 'invoke_workflow',
    Dialect['gen_ai.operation.name'] != '', transform(Dialect['gen_ai.operation.name'], ['LLM', 'chat', 'generation', 'llm', 'ai.generateText.doGenerate', 'ai.streamText.doStream', 'ai.generateObject.doGenerate', 'ai.streamObject.doStream', 'completion', 'EMBEDDING', 'embedding', 'ai.embed.doEmbed', 'ai.embedMany.doEmbed', 'RETRIEVER', 'RERANKER', 'rerank', 'retriever', 'TOOL', 'tool', 'ai.toolCall', 'AGENT', 'agent', 'ai.generateText', 'ai.streamText', 'ai.generateObject', 'ai.streamObject', 'workflow'], ['chat', 'chat', 'chat', 'chat', 'chat', 'chat', 'chat', 'chat', 'text_completion', 'embeddings', 'embeddings', 'embeddings', 'embeddings', 'retrieval', 'retrieval', 'retrieval', 'retrieval', 'execute_tool', 'execute_tool', 'execute_tool', 'invoke_agent', 'invoke_agent', 'invoke_agent', 'invoke_agent', 'invoke_agent', 'invoke_agent', 'invoke_workflow'], ''),
    NOT ScopeName = 'pydantic-ai', '',
    SpanAttributes['gen_ai.tool.name'] != '', 'execute_tool',
    Dialect['gen_ai.agent.name'] != '', 'invoke_agent', '') CODEC(ZSTD(1)),
    `AgentName` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['gen_ai.agent.name'], Dialect['gen_ai.agent.name'], multiIf(NOT Op IN ('invoke_agent', 'invoke_workflow'), '', Dialect['traceloop.entity.name'] != '', Dialect['traceloop.entity.name'], Dialect['gen_ai.operation.name'] IN ('AGENT', 'agent', 'chain', 'span'), SpanName, '')) CODEC(ZSTD(1)),
    `AgentVersion` LowCardinality(String) DEFAULT SpanAttributes['gen_ai.agent.version'] CODEC(ZSTD(1)),
    `Provider` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['gen_ai.provider.name'], transform(lower(if(
    startsWith(Dialect['gen_ai.operation.name'], 'ai.'), splitByChar('.', Dialect['gen_ai.provider.name'])[1],
    Dialect['gen_ai.provider.name'])), ['az.ai.inference', 'az.ai.openai', 'azure', 'bedrock', 'gemini', 'google', 'mistralai', 'vertex_ai', 'vertexai', 'xai', 'langchain'], ['azure.ai.inference', 'azure.ai.openai', 'azure.ai.openai', 'aws.bedrock', 'gcp.gemini', 'gcp.gemini', 'mistral_ai', 'gcp.vertex_ai', 'gcp.vertex_ai', 'x_ai', ''], lower(if(
    startsWith(Dialect['gen_ai.operation.name'], 'ai.'), splitByChar('.', Dialect['gen_ai.provider.name'])[1],
    Dialect['gen_ai.provider.name']))), Dialect['langsmith.metadata.ls_provider']) CODEC(ZSTD(1)),
    `Model` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['gen_ai.response.model'], SpanAttributes['gen_ai.request.model'], Dialect['gen_ai.response.model'], Dialect['gen_ai.request.model']) CODEC(ZSTD(1)),
    `ToolName` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['gen_ai.tool.name'], Dialect['gen_ai.tool.name'], multiIf(NOT Op = 'execute_tool', '', Dialect['traceloop.entity.name'] != '', Dialect['traceloop.entity.name'], Dialect['gen_ai.operation.name'] IN ('TOOL', 'tool'), SpanName, '')) CODEC(ZSTD(1)),
    `ToolCallId` String DEFAULT firstNonDefault(SpanAttributes['gen_ai.tool.call.id'], Dialect['gen_ai.tool.call.id']) CODEC(ZSTD(1)),
    `TaskType` LowCardinality(String) DEFAULT SpanAttributes['spanlore.task.type'] CODEC(ZSTD(1)),
    `TaskId` String DEFAULT SpanAttributes['spanlore.task.id'] CODEC(ZSTD(1)),
    `ErrorType` LowCardinality(String) DEFAULT firstNonDefault(SpanAttributes['error.type'], if(StatusCode = 'Error', arrayFirst(type -> type != '', arrayMap(event -> if(SpanAttributes['langsmith.span.kind'] != '', extract(event['exception.message'], '^[A-Za-z_.]+'), event['exception.type']), `Events.Attributes`)), '')) CODEC(ZSTD(1)),
    `InputTokens` Nullable(UInt64) DEFAULT ifNull(toUInt64OrNull(firstNonDefault(SpanAttributes['gen_ai.usage.input_tokens'], Dialect['gen_ai.usage.input_tokens'], extract(Dialect['langfuse.observation.usage_details'], '"(?:prompt_tokens)": ?([0-9]+)'))), nullIf(arraySum(part -> toUInt64OrZero(part), extractAll(Dialect['langfuse.observation.usage_details'], '"[a-z_]*input[a-z_]*": ?([0-9]+)')), 0)) CODEC(ZSTD(1)),
    `OutputTokens` Nullable(UInt64) DEFAULT ifNull(toUInt64OrNull(firstNonDefault(SpanAttributes['gen_ai.usage.output_tokens'], Dialect['gen_ai.usage.output_tokens'], extract(Dialect['langfuse.observation.usage_details'], '"(?:completion_tokens)": ?([0-9]+)'))), nullIf(arraySum(part -> toUInt64OrZero(part), extractAll(Dialect['langfuse.observation.usage_details'], '"[a-z_]*output[a-z_]*": ?([0-9]+)')), 0)) CODEC(ZSTD(1)),
    `CacheReadTokens` Nullable(UInt64) DEFAULT toUInt64OrNull(firstNonDefault(SpanAttributes['gen_ai.usage.cache_read.input_tokens'], Dialect['gen_ai.usage.cache_read.input_tokens'], extract(Dialect['langfuse.observation.usage_details'], '"(?:cached_tokens|cache_read|input_cached_tokens|input_cache_read|cache_read_input_tokens)": ?([0-9]+)'))) CODEC(ZSTD(1)),
    `CacheWriteTokens` Nullable(UInt64) DEFAULT toUInt64OrNull(firstNonDefault(SpanAttributes['gen_ai.usage.cache_write.input_tokens'], Dialect['gen_ai.usage.cache_write.input_tokens'], extract(Dialect['langfuse.observation.usage_details'], '"(?:cache_creation|input_cache_creation|cache_creation_input_tokens)": ?([0-9]+)'))) CODEC(ZSTD(1)),
    `ReasoningTokens` Nullable(UInt64) DEFAULT toUInt64OrNull(firstNonDefault(SpanAttributes['gen_ai.usage.reasoning.output_tokens'], Dialect['gen_ai.usage.reasoning.output_tokens'], extract(Dialect['langfuse.observation.usage_details'], '"(?:reasoning_tokens|reasoning|output_reasoning|output_reasoning_tokens)": ?([0-9]+)'))) CODEC(ZSTD(1)),
    `ToolArguments` String DEFAULT firstNonDefault(SpanAttributes['gen_ai.tool.call.arguments'], Dialect['gen_ai.tool.call.arguments'], multiIf(NOT Op = 'execute_tool', '', JSONExtractRaw(Dialect['input.value'], 'args') = '[]' AND JSONHas(Dialect['input.value'], 'kwargs'), JSONExtractRaw(Dialect['input.value'], 'kwargs'), Dialect['input.value'])) CODEC(ZSTD(1)),
    `ToolResult` String DEFAULT firstNonDefault(SpanAttributes['gen_ai.tool.call.result'], if(Op = 'execute_tool', firstNonDefault(JSONExtractString(SpanAttributes['gen_ai.completion'], 'output', 'content'), JSONExtractString(SpanAttributes['gen_ai.completion'], 'output'), if(SpanAttributes['gen_ai.completion'] != '' AND StatusCode = 'Error', '', firstNonDefault(JSONExtractString(firstNonDefault(Dialect['gen_ai.tool.call.result'], Dialect['output.value'])), firstNonDefault(Dialect['gen_ai.tool.call.result'], Dialect['output.value'])))), '')) CODEC(ZSTD(1)),
    `InstructionsHash` UInt64 DEFAULT multiIf(
    SpanAttributes['gen_ai.system_instructions'] != '', sipHash64(SpanAttributes['gen_ai.system_instructions']), empty(Dialect), 0,
    bitXor(sipHash64(multiIf(
    Dialect['llm.input_messages.0.message.role'] IN ('system', 'developer'), Dialect['llm.input_messages.0.message.content'],
    Dialect['ai.prompt'] != '', JSONExtractString(Dialect['ai.prompt'], 'system'),
    ScopeName = 'pydantic-ai', JSONExtractString(arrayFirst(event -> JSONExtractString(event, 'role') = 'system',
        JSONExtractArrayRaw(Dialect['events'])), 'content'),
    match(firstNonDefault(JSONExtractRaw(Dialect['input.value'], 'messages', 1, 1, 'kwargs'), JSONExtractRaw(Dialect['input.value'], 'messages', 1), JSONExtractRaw(Dialect['input.value'], 1)), '"(?:system|developer)"'), firstNonDefault(JSONExtractRaw(Dialect['input.value'], 'messages', 1, 1, 'kwargs'), JSONExtractRaw(Dialect['input.value'], 'messages', 1), JSONExtractRaw(Dialect['input.value'], 1)), '')), sipHash64(''))) CODEC(ZSTD(1)),
    `ToolDefinitionsHash` UInt64 DEFAULT multiIf(
    SpanAttributes['gen_ai.tool.definitions'] != '', sipHash64(SpanAttributes['gen_ai.tool.definitions']), notEmpty(arrayFilter((said, name) -> name IN ('llm.tools', 'ai.prompt.tools', 'model_request_parameters')
    OR startsWith(name, 'llm.request.functions.'), mapValues(Dialect), mapKeys(Dialect))), sipHash64(arrayFilter((said, name) -> name IN ('llm.tools', 'ai.prompt.tools', 'model_request_parameters')
    OR startsWith(name, 'llm.request.functions.'), mapValues(Dialect), mapKeys(Dialect))),
    JSONExtractRaw(Dialect['input.value'], 'tools') != '', sipHash64(JSONExtractRaw(Dialect['input.value'], 'tools')), 0) CODEC(ZSTD(1)),
    `Sampling` LowCardinality(String) DEFAULT if(Op IN ('chat', 'generate_content', 'text_completion'), toJSONString(mapSort(mapUpdate(
    mapFilter((name, said) -> name IN ('gen_ai.request.temperature', 'gen_ai.request.top_p', 'gen_ai.request.top_k', 'gen_ai.request.max_tokens', 'gen_ai.request.frequency_penalty', 'gen_ai.request.presence_penalty', 'gen_ai.request.seed', 'gen_ai.request.stop_sequences', 'gen_ai.request.reasoning.level', 'llm.invocation_parameters'), Dialect), mapFilter((name, said) -> name IN ('gen_ai.request.temperature', 'gen_ai.request.top_p', 'gen_ai.request.top_k', 'gen_ai.request.max_tokens', 'gen_ai.request.frequency_penalty', 'gen_ai.request.presence_penalty', 'gen_ai.request.seed', 'gen_ai.request.stop_sequences', 'gen_ai.request.reasoning.level', 'llm.invocation_parameters'), SpanAttributes)))), '') CODEC(ZSTD(1)),
    `Revision` LowCardinality(String) DEFAULT multiIf(SpanAttributes['spanlore.harness.version'] != '', SpanAttributes['spanlore.harness.version'], ResourceAttributes['vcs.ref.head.revision'] != '', ResourceAttributes['vcs.ref.head.revision'], ResourceAttributes['service.version']) CODEC(ZSTD(1)),
    `TimeUnknown` UInt8 DEFAULT SpanAttributes['spanlore.time_unknown'] = 'true' CODEC(ZSTD(1)),
    `ResourceAttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `SpanAttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartUnixNano` UInt64 DEFAULT toUnixTimestamp64Nano(Timestamp) CODEC(Delta(8), ZSTD(1)),
    `EndUnixNano` UInt64 DEFAULT StartUnixNano + Duration CODEC(Delta(8), ZSTD(1)),
    `Incomplete` UInt8 DEFAULT SpanAttributes['spanlore.incomplete'] = 'true' CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    `RowVersion` UInt64 DEFAULT bitOr(if(Incomplete, 0, bitShiftLeft(toUInt64(1), 63)), toUnixTimestamp64Nano(ReceivedAt)) CODEC(Delta(8), ZSTD(1)),
    `Dialect` Map(LowCardinality(String), String) DEFAULT mapFilter((name, said) -> name != '', mapFromArrays(
    arrayMap(name -> transform(name, ['openinference.span.kind', 'traceloop.span.kind', 'ai.operationId', 'llm.request.type', 'langfuse.observation.type', 'langsmith.span.kind', 'gen_ai.system', 'llm.provider', 'llm.system', 'llm.model_name', 'llm.request.model_name', 'embedding.model_name', 'reranker.model_name', 'ai.model.id', 'model_name', 'langfuse.observation.model.name', 'llm.response.model_name', 'ai.response.model', 'ai.response.id', 'llm.finish_reason', 'ai.response.finishReason', 'gen_ai.completion.0.finish_reason', 'gen_ai.usage.prompt_tokens', 'llm.token_count.prompt', 'ai.usage.inputTokens', 'ai.usage.promptTokens', 'gen_ai.usage.completion_tokens', 'llm.token_count.completion', 'ai.usage.outputTokens', 'ai.usage.completionTokens', 'llm.token_count.prompt_details.cache_read', 'gen_ai.usage.cache_read_input_tokens', 'gen_ai.usage.details.cache_read_tokens', 'ai.usage.cachedInputTokens', 'gen_ai.usage.cache_creation.input_tokens', 'llm.token_count.prompt_details.cache_write', 'gen_ai.usage.cache_creation_input_tokens', 'gen_ai.usage.details.cache_write_tokens', 'llm.token_count.completion_details.reasoning', 'gen_ai.usage.reasoning_tokens', 'gen_ai.usage.details.reasoning_tokens', 'ai.usage.reasoningTokens', 'ai.settings.maxOutputTokens', 'ai.settings.maxTokens', 'langsmith.metadata.ls_max_tokens', 'ai.settings.temperature', 'langsmith.metadata.ls_temperature', 'ai.settings.topP', 'ai.settings.topK', 'llm.top_k', 'ai.settings.frequencyPenalty', 'llm.frequency_penalty', 'ai.settings.presencePenalty', 'llm.presence_penalty', 'ai.settings.seed', 'gen_ai.openai.request.seed', 'agent.name', 'agent_name', 'tool.name', 'ai.toolCall.name', 'tool.id', 'ai.toolCall.id', 'ai.toolCall.args', 'gen_ai.tool.args', 'tool_arguments', 'ai.toolCall.result', 'tool_response', 'enduser.id', 'traceloop.association.properties.user_id', 'ai.telemetry.metadata.userId', 'gen_ai.request.user', 'gen_ai.user', 'llm.user', 'langsmith.metadata.user_id', 'langfuse.user.id', 'traceloop.association.properties.session_id', 'ai.telemetry.metadata.sessionId', 'langsmith.metadata.session_id', 'langsmith.metadata.thread_id', 'langsmith.metadata.conversation_id', 'langfuse.session.id', 'traceloop.association.properties.tenant_id', 'ai.telemetry.metadata.tenantId', 'langsmith.metadata.tenant_id', 'traceloop.entity.name', 'ai.telemetry.functionId', 'langsmith.trace.name', 'input.value', 'traceloop.entity.input', 'langfuse.observation.input', 'gen_ai.prompt', 'output.value', 'traceloop.entity.output', 'langfuse.observation.output', 'gen_ai.completion', 'llm.invocation_parameters', 'langfuse.observation.model.parameters', 'langfuse.observation.usage_details', 'langsmith.metadata.usage_metadata', 'metadata', 'langsmith.metadata.ls_provider', 'ai.prompt', 'ai.prompt.tools', 'events', 'all_messages_events', 'model_request_parameters', 'llm.input_messages.0.message.role', 'gen_ai.prompt.0.role', 'llm.input_messages.0.message.content', 'gen_ai.prompt.0.content'], ['gen_ai.operation.name', 'gen_ai.operation.name', 'gen_ai.operation.name', 'gen_ai.operation.name', 'gen_ai.operation.name', 'gen_ai.operation.name', 'gen_ai.provider.name', 'gen_ai.provider.name', 'gen_ai.provider.name', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.request.model', 'gen_ai.response.model', 'gen_ai.response.model', 'gen_ai.response.id', 'gen_ai.response.finish_reasons', 'gen_ai.response.finish_reasons', 'gen_ai.response.finish_reasons', 'gen_ai.usage.input_tokens', 'gen_ai.usage.input_tokens', 'gen_ai.usage.input_tokens', 'gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens', 'gen_ai.usage.output_tokens', 'gen_ai.usage.output_tokens', 'gen_ai.usage.output_tokens', 'gen_ai.usage.cache_read.input_tokens', 'gen_ai.usage.cache_read.input_tokens', 'gen_ai.usage.cache_read.input_tokens', 'gen_ai.usage.cache_read.input_tokens', 'gen_ai.usage.cache_write.input_tokens', 'gen_ai.usage.cache_write.input_tokens', 'gen_ai.usage.cache_write.input_tokens', 'gen_ai.usage.cache_write.input_tokens', 'gen_ai.usage.reasoning.output_tokens', 'gen_ai.usage.reasoning.output_tokens', 'gen_ai.usage.reasoning.output_tokens', 'gen_ai.usage.reasoning.output_tokens', 'gen_ai.request.max_tokens', 'gen_ai.request.max_tokens', 'gen_ai.request.max_tokens', 'gen_ai.request.temperature', 'gen_ai.request.temperature', 'gen_ai.request.top_p', 'gen_ai.request.top_k', 'gen_ai.request.top_k', 'gen_ai.request.frequency_penalty', 'gen_ai.request.frequency_penalty', 'gen_ai.request.presence_penalty', 'gen_ai.request.presence_penalty', 'gen_ai.request.seed', 'gen_ai.request.seed', 'gen_ai.agent.name', 'gen_ai.agent.name', 'gen_ai.tool.name', 'gen_ai.tool.name', 'gen_ai.tool.call.id', 'gen_ai.tool.call.id', 'gen_ai.tool.call.arguments', 'gen_ai.tool.call.arguments', 'gen_ai.tool.call.arguments', 'gen_ai.tool.call.result', 'gen_ai.tool.call.result', 'user.id', 'user.id', 'user.id', 'user.id', 'user.id', 'user.id', 'user.id', 'user.id', 'session.id', 'session.id', 'session.id', 'session.id', 'session.id', 'session.id', 'spanlore.tenant.id', 'spanlore.tenant.id', 'spanlore.tenant.id', 'traceloop.entity.name', 'traceloop.entity.name', 'traceloop.entity.name', 'input.value', 'input.value', 'input.value', 'input.value', 'output.value', 'output.value', 'output.value', 'output.value', 'llm.invocation_parameters', 'llm.invocation_parameters', 'langfuse.observation.usage_details', 'langfuse.observation.usage_details', 'metadata', 'langsmith.metadata.ls_provider', 'ai.prompt', 'ai.prompt.tools', 'events', 'events', 'model_request_parameters', 'llm.input_messages.0.message.role', 'llm.input_messages.0.message.role', 'llm.input_messages.0.message.content', 'llm.input_messages.0.message.content'], multiIf(startsWith(name, 'llm.tools.'), 'llm.tools', startsWith(name, 'llm.request.functions.'), name, '')), mapKeys(SpanAttributes)), mapValues(SpanAttributes))) CODEC(ZSTD(1)),
    `InputMessages` String ALIAS SpanAttributes['gen_ai.input.messages'],
    `OutputMessages` String ALIAS SpanAttributes['gen_ai.output.messages'],
    `SystemInstructions` String ALIAS SpanAttributes['gen_ai.system_instructions'],
    `ToolDefinitions` String ALIAS SpanAttributes['gen_ai.tool.definitions'],
    `ResourceAttributeItems` Array(String) ALIAS arrayMap(kv -> concat(kv.1, '=', kv.2), CAST(ResourceAttributes, 'Array(Tuple(String, String))')),
    `SpanAttributeItems` Array(String) ALIAS arrayMap(kv -> concat(kv.1, '=', kv.2), CAST(SpanAttributes, 'Array(Tuple(String, String))')),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_user_id UserId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_session_id SessionId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(RowVersion)
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (TenantId, toStartOfHour(Timestamp), TraceId, SpanId)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts (
    `TraceId` String CODEC(ZSTD(1)),
    `Start` SimpleAggregateFunction(min, DateTime) CODEC(ZSTD(1)),
    `End` SimpleAggregateFunction(max, DateTime) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(Start)
ORDER BY TraceId
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_logs (
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `TimestampTime` DateTime DEFAULT toDateTime(Timestamp),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `TraceFlags` UInt8,
    `SeverityText` LowCardinality(String) CODEC(ZSTD(1)),
    `SeverityNumber` UInt8,
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `Body` String CODEC(ZSTD(1)),
    `ResourceSchemaUrl` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeSchemaUrl` LowCardinality(String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` LowCardinality(String) CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `LogAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `EventName` String DEFAULT LogAttributes['event.name'] CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(LogAttributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `LogAttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (TenantId, toStartOfHour(Timestamp), TraceId, Timestamp)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_gauge (
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ResourceSchemaUrl` String CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeDroppedAttrCount` UInt32 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` String CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricDescription` String CODEC(ZSTD(1)),
    `MetricUnit` String CODEC(ZSTD(1)),
    `Attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `TimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `Value` Float64 CODEC(ZSTD(1)),
    `Flags` UInt32 CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix` Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value` Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId` Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId` Array(String) CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(Attributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `AttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `MetricMetadata` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(StartTimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `TimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `Absent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `IntegerValue` Nullable(Int64) CODEC(ZSTD(1)),
    `Series` UInt64 DEFAULT sipHash64(arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), arrayResize(AttributeTypes, length(Attributes)))), mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit) CODEC(ZSTD(1)),
    `ForeignRow` UInt64 DEFAULT rand64() CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, StartTimeUnixNano, ForeignRow)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_sum (
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ResourceSchemaUrl` String CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeDroppedAttrCount` UInt32 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` String CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricDescription` String CODEC(ZSTD(1)),
    `MetricUnit` String CODEC(ZSTD(1)),
    `Attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `TimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `Value` Float64 CODEC(ZSTD(1)),
    `Flags` UInt32 CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix` Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value` Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId` Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId` Array(String) CODEC(ZSTD(1)),
    `AggregationTemporality` Int32 CODEC(ZSTD(1)),
    `IsMonotonic` Bool CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(Attributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `AttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `MetricMetadata` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(StartTimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `TimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `Absent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `IntegerValue` Nullable(Int64) CODEC(ZSTD(1)),
    `Series` UInt64 DEFAULT sipHash64(arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), arrayResize(AttributeTypes, length(Attributes)))), mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, AggregationTemporality, IsMonotonic) CODEC(ZSTD(1)),
    `ForeignRow` UInt64 DEFAULT rand64() CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, StartTimeUnixNano, ForeignRow)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_histogram (
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ResourceSchemaUrl` String CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeDroppedAttrCount` UInt32 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` String CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricDescription` String CODEC(ZSTD(1)),
    `MetricUnit` String CODEC(ZSTD(1)),
    `Attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `TimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `Count` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Sum` Float64 CODEC(ZSTD(1)),
    `BucketCounts` Array(UInt64) CODEC(ZSTD(1)),
    `ExplicitBounds` Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix` Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value` Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId` Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId` Array(String) CODEC(ZSTD(1)),
    `Flags` UInt32 CODEC(ZSTD(1)),
    `Min` Float64 CODEC(ZSTD(1)),
    `Max` Float64 CODEC(ZSTD(1)),
    `AggregationTemporality` Int32 CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(Attributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `AttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `MetricMetadata` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(StartTimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `TimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `Absent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Series` UInt64 DEFAULT sipHash64(arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), arrayResize(AttributeTypes, length(Attributes)))), mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, AggregationTemporality) CODEC(ZSTD(1)),
    `ForeignRow` UInt64 DEFAULT rand64() CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, StartTimeUnixNano, ForeignRow)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_exponential_histogram (
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ResourceSchemaUrl` String CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeDroppedAttrCount` UInt32 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` String CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricDescription` String CODEC(ZSTD(1)),
    `MetricUnit` String CODEC(ZSTD(1)),
    `Attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `TimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `Count` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Sum` Float64 CODEC(ZSTD(1)),
    `Scale` Int32 CODEC(ZSTD(1)),
    `ZeroCount` UInt64 CODEC(ZSTD(1)),
    `PositiveOffset` Int32 CODEC(ZSTD(1)),
    `PositiveBucketCounts` Array(UInt64) CODEC(ZSTD(1)),
    `NegativeOffset` Int32 CODEC(ZSTD(1)),
    `NegativeBucketCounts` Array(UInt64) CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix` Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value` Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId` Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId` Array(String) CODEC(ZSTD(1)),
    `Flags` UInt32 CODEC(ZSTD(1)),
    `Min` Float64 CODEC(ZSTD(1)),
    `Max` Float64 CODEC(ZSTD(1)),
    `AggregationTemporality` Int32 CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(Attributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `AttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `MetricMetadata` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(StartTimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `TimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `Absent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `ZeroThreshold` Float64 CODEC(ZSTD(1)),
    `Series` UInt64 DEFAULT sipHash64(arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), arrayResize(AttributeTypes, length(Attributes)))), mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, AggregationTemporality) CODEC(ZSTD(1)),
    `ForeignRow` UInt64 DEFAULT rand64() CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, StartTimeUnixNano, ForeignRow)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_summary (
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ResourceSchemaUrl` String CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeDroppedAttrCount` UInt32 CODEC(ZSTD(1)),
    `ScopeSchemaUrl` String CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricName` LowCardinality(String) CODEC(ZSTD(1)),
    `MetricDescription` String CODEC(ZSTD(1)),
    `MetricUnit` String CODEC(ZSTD(1)),
    `Attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `TimeUnix` DateTime CODEC(Delta(4), ZSTD(1)),
    `Count` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Sum` Float64 CODEC(ZSTD(1)),
    `ValueAtQuantiles.Quantile` Array(Float64) CODEC(ZSTD(1)),
    `ValueAtQuantiles.Value` Array(Float64) CODEC(ZSTD(1)),
    `Flags` UInt32 CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) DEFAULT firstNonDefault(Attributes['spanlore.tenant.id'], ResourceAttributes['spanlore.tenant.id'], 'default') CODEC(ZSTD(1)),
    `AttributeTypes` Array(UInt8) CODEC(ZSTD(1)),
    `MetricMetadata` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `StartTimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(StartTimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `TimeUnixNano` UInt64 DEFAULT toUInt64(toUnixTimestamp(TimeUnix)) * 1000000000 CODEC(Delta(8), ZSTD(1)),
    `Absent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Series` UInt64 DEFAULT sipHash64(arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), arrayResize(AttributeTypes, length(Attributes)))), mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit) CODEC(ZSTD(1)),
    `ForeignRow` UInt64 DEFAULT rand64() CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY toYYYYMM(TimeUnix)
ORDER BY (TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, StartTimeUnixNano, ForeignRow)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS agent_runs (
    `TenantId` LowCardinality(String) CODEC(ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `RootSpanId` String CODEC(ZSTD(1)),
    `State` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `AgentName` LowCardinality(String) CODEC(ZSTD(1)),
    `AgentVersion` LowCardinality(String) CODEC(ZSTD(1)),
    `UserId` String CODEC(ZSTD(1)),
    `SessionId` String CODEC(ZSTD(1)),
    `TaskType` LowCardinality(String) CODEC(ZSTD(1)),
    `TaskId` String CODEC(ZSTD(1)),
    `Provider` LowCardinality(String) CODEC(ZSTD(1)),
    `Model` LowCardinality(String) CODEC(ZSTD(1)),
    `StartedAt` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `EndedAt` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `DurationMs` Float64 CODEC(ZSTD(1)),
    `TimeUnknown` UInt8 CODEC(ZSTD(1)),
    `Spans` UInt64 CODEC(ZSTD(1)),
    `Steps` UInt64 CODEC(ZSTD(1)),
    `ToolCalls` UInt64 CODEC(ZSTD(1)),
    `ToolErrors` UInt64 CODEC(ZSTD(1)),
    `DuplicateOf` Map(String, String) CODEC(ZSTD(1)),
    `InputTokens` Nullable(UInt64) CODEC(ZSTD(1)),
    `OutputTokens` Nullable(UInt64) CODEC(ZSTD(1)),
    `CostUsd` Nullable(Float64) CODEC(ZSTD(1)),
    `Outcome` LowCardinality(String) CODEC(ZSTD(1)),
    `OutcomeScore` Nullable(Float64) CODEC(ZSTD(1)),
    `OutcomeSource` LowCardinality(String) CODEC(ZSTD(1)),
    `HarnessHash` String CODEC(ZSTD(1)),
    `InstructionsHash` String CODEC(ZSTD(1)),
    `ToolDefinitionsHash` String CODEC(ZSTD(1)),
    `Sampling` LowCardinality(String) CODEC(ZSTD(1)),
    `Revision` LowCardinality(String) CODEC(ZSTD(1)),
    `ContentHash` UInt64 CODEC(ZSTD(1)),
    `LastReceivedAt` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `SealedAt` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `Version` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_started StartedAt TYPE minmax GRANULARITY 1,
    INDEX idx_sealed SealedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(Version)
ORDER BY (TenantId, TraceId);

CREATE TABLE IF NOT EXISTS judgements (
    `TenantId` LowCardinality(String) CODEC(ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `Name` LowCardinality(String) CODEC(ZSTD(1)),
    `Score` Nullable(Float64) CODEC(ZSTD(1)),
    `Label` LowCardinality(String) CODEC(ZSTD(1)),
    `Explanation` String CODEC(ZSTD(1)),
    `Source` LowCardinality(String) CODEC(ZSTD(1)),
    `Evaluator` LowCardinality(String) CODEC(ZSTD(1)),
    `JudgementId` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Version` UInt64 DEFAULT toUnixTimestamp64Nano(At) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(Version)
ORDER BY (TenantId, TraceId, SpanId, Name, Source, Evaluator)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS harness_parts (
    `Kind` LowCardinality(String) CODEC(ZSTD(1)),
    `RawHash` UInt64 CODEC(ZSTD(1)),
    `Hash` String CODEC(ZSTD(1)),
    `Content` String CODEC(ZSTD(3)),
    `At` DateTime64(9) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(At)
ORDER BY (Kind, RawHash);

CREATE TABLE IF NOT EXISTS findings (
    `FindingId` String CODEC(ZSTD(1)),
    `Analyzer` LowCardinality(String) CODEC(ZSTD(1)),
    `AnalyzerVersion` LowCardinality(String) CODEC(ZSTD(1)),
    `Title` String CODEC(ZSTD(1)),
    `N` UInt64 CODEC(ZSTD(1)),
    `K` UInt64 CODEC(ZSTD(1)),
    `Effect` Nullable(Float64) CODEC(ZSTD(1)),
    `IntervalLow` Nullable(Float64) CODEC(ZSTD(1)),
    `IntervalHigh` Nullable(Float64) CODEC(ZSTD(1)),
    `P` Nullable(Float64) CODEC(ZSTD(1)),
    `Q` Nullable(Float64) CODEC(ZSTD(1)),
    `AdjustedFor` Array(String) CODEC(ZSTD(1)),
    `Confirmed` UInt8 CODEC(ZSTD(1)),
    `Verdict` LowCardinality(String) CODEC(ZSTD(1)),
    `NeededN` Nullable(UInt64) CODEC(ZSTD(1)),
    `Reason` String CODEC(ZSTD(1)),
    `Evidence` Array(String) CODEC(ZSTD(1)),
    `CounterEvidence` Array(String) CODEC(ZSTD(1)),
    `Detail` String CODEC(ZSTD(1)),
    `AnalysisId` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `Version` UInt64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (FindingId, Version);

CREATE TABLE IF NOT EXISTS lessons (
    `LessonId` String CODEC(ZSTD(1)),
    `Version` UInt64 CODEC(ZSTD(1)),
    `State` LowCardinality(String) CODEC(ZSTD(1)),
    `Layer` LowCardinality(String) CODEC(ZSTD(1)),
    `Scope` LowCardinality(String) CODEC(ZSTD(1)),
    `ScopeKey` String CODEC(ZSTD(1)),
    `TenantId` String CODEC(ZSTD(1)),
    `Kind` LowCardinality(String) CODEC(ZSTD(1)),
    `Title` String CODEC(ZSTD(1)),
    `Body` String CODEC(ZSTD(1)),
    `Patch` String CODEC(ZSTD(1)),
    `BasePath` String CODEC(ZSTD(1)),
    `BaseHash` String CODEC(ZSTD(1)),
    `Findings` Array(String) CODEC(ZSTD(1)),
    `Evidence` Array(String) CODEC(ZSTD(1)),
    `Selector` Map(String, String) CODEC(ZSTD(1)),
    `Content` String CODEC(ZSTD(1)),
    `Evaluations` String CODEC(ZSTD(1)),
    `Approvals` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `By` String CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (LessonId, Version)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS analyses (
    `AnalysisId` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `SealedBefore` DateTime64(9) CODEC(ZSTD(1)),
    `Analyzers` Array(String) CODEC(ZSTD(1)),
    `Runs` UInt64 CODEC(ZSTD(1)),
    `Spans` UInt64 CODEC(ZSTD(1)),
    `Findings` UInt64 CODEC(ZSTD(1)),
    `Confirmed` UInt64 CODEC(ZSTD(1)),
    `Failed` Array(String) CODEC(ZSTD(1)),
    `Whole` UInt8 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (At, AnalysisId);

CREATE TABLE IF NOT EXISTS run_facts (
    `Extractor` LowCardinality(String) CODEC(ZSTD(1)),
    `ExtractorVersion` LowCardinality(String) CODEC(ZSTD(1)),
    `Key` String CODEC(ZSTD(1)),
    `TenantId` LowCardinality(String) CODEC(ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `RunVersion` UInt64 CODEC(Delta(8), ZSTD(1)),
    `N` UInt32 CODEC(ZSTD(1)),
    `K` UInt32 CODEC(ZSTD(1)),
    `Value` Float64 CODEC(ZSTD(1)),
    `Detail` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(At)
ORDER BY (Extractor, ExtractorVersion, Key, TraceId, RunVersion);

CREATE TABLE IF NOT EXISTS overrides (
    `TenantId` LowCardinality(String) CODEC(ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `UserId` String CODEC(ZSTD(1)),
    `Target` LowCardinality(String) CODEC(ZSTD(1)),
    `ToolName` LowCardinality(String) CODEC(ZSTD(1)),
    `Field` String CODEC(ZSTD(1)),
    `Original` String CODEC(ZSTD(1)),
    `Replacement` String CODEC(ZSTD(1)),
    `Actor` LowCardinality(String) CODEC(ZSTD(1)),
    `Reason` String CODEC(ZSTD(1)),
    `OverrideId` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Version` UInt64 DEFAULT toUnixTimestamp64Nano(At) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(Version)
ORDER BY (TenantId, TraceId, Target, ToolName, Field, OverrideId)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS exposures (
    `TenantId` LowCardinality(String) CODEC(ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `UserId` String CODEC(ZSTD(1)),
    `LessonId` String CODEC(ZSTD(1)),
    `LessonVersion` UInt64 CODEC(ZSTD(1)),
    `Arm` LowCardinality(String) CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `ReceivedAt` DateTime64(9) DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    `LogId` UInt32 CODEC(ZSTD(1)),
    `LogSeq` UInt64 CODEC(Delta(8), ZSTD(1)),
    `Version` UInt64 DEFAULT toUnixTimestamp64Nano(At) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_log_seq LogSeq TYPE minmax GRANULARITY 1,
    INDEX idx_received ReceivedAt TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(Version)
ORDER BY (LessonId, TenantId, TraceId)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS effects (
    `LessonId` String CODEC(ZSTD(1)),
    `LessonVersion` UInt64 CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `Metric` LowCardinality(String) CODEC(ZSTD(1)),
    `ComparedWith` LowCardinality(String) CODEC(ZSTD(1)),
    `Randomised` UInt8 CODEC(ZSTD(1)),
    `ExposedRuns` UInt64 CODEC(ZSTD(1)),
    `ExposedUsers` UInt64 CODEC(ZSTD(1)),
    `ExposedRate` Nullable(Float64) CODEC(ZSTD(1)),
    `OtherRuns` UInt64 CODEC(ZSTD(1)),
    `OtherUsers` UInt64 CODEC(ZSTD(1)),
    `OtherRate` Nullable(Float64) CODEC(ZSTD(1)),
    `Difference` Nullable(Float64) CODEC(ZSTD(1)),
    `IntervalLow` Nullable(Float64) CODEC(ZSTD(1)),
    `IntervalHigh` Nullable(Float64) CODEC(ZSTD(1)),
    `Verdict` LowCardinality(String) CODEC(ZSTD(1)),
    `Detail` String CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (LessonId, At)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS lesson_notes (
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `LessonId` String CODEC(ZSTD(1)),
    `Kind` LowCardinality(String) CODEC(ZSTD(1)),
    `OtherId` String CODEC(ZSTD(1)),
    `Reason` String CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (At, LessonId);

CREATE TABLE IF NOT EXISTS learning_log (
    `Seq` UInt64 CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `By` String CODEC(ZSTD(1)),
    `Human` UInt8 CODEC(ZSTD(1)),
    `Event` LowCardinality(String) CODEC(ZSTD(1)),
    `LessonId` String CODEC(ZSTD(1)),
    `LessonVersion` UInt64 CODEC(ZSTD(1)),
    `ContentHash` String CODEC(ZSTD(1)),
    `Detail` String CODEC(ZSTD(1)),
    `Lesson` String CODEC(ZSTD(3)),
    `Salt` String CODEC(ZSTD(1)),
    `Commitment` String CODEC(ZSTD(1)),
    `ErasedBy` UInt64 CODEC(ZSTD(1)),
    `PreviousHash` String CODEC(ZSTD(1)),
    `Hash` String CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY Seq
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS revoked_traces (
    `TraceId` String CODEC(ZSTD(1)),
    `By` String CODEC(ZSTD(1)),
    `Reason` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(At)
ORDER BY TraceId
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS erasing (
    `Erasure` String CODEC(ZSTD(1)),
    `Kind` LowCardinality(String) CODEC(ZSTD(1)),
    `TenantId` String CODEC(ZSTD(1)),
    `Id` String CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (Erasure, Kind, TenantId, Id)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 134217728, merge_selector_base = 16, fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

