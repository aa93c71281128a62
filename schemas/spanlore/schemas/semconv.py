"""Every attribute, event and operation name that spanlore reads or writes, once.

Names without the ``spanlore.`` prefix come from the OpenTelemetry semantic conventions: the
GenAI conventions (github.com/open-telemetry/semantic-conventions-genai) and the core registry.
Names with the prefix are ours; they fill what the conventions do not say.
"""

from typing import Final

# Operations (values of ``gen_ai.operation.name``).
OP_CHAT: Final = "chat"
OP_GENERATE_CONTENT: Final = "generate_content"
OP_TEXT_COMPLETION: Final = "text_completion"
OP_EMBEDDINGS: Final = "embeddings"
OP_RETRIEVAL: Final = "retrieval"
OP_EXECUTE_TOOL: Final = "execute_tool"
OP_INVOKE_AGENT: Final = "invoke_agent"
OP_INVOKE_WORKFLOW: Final = "invoke_workflow"
INFERENCE_OPS: Final = (OP_CHAT, OP_GENERATE_CONTENT, OP_TEXT_COMPLETION)
ROOT_OPS: Final = (OP_INVOKE_AGENT, OP_INVOKE_WORKFLOW)

# GenAI attributes.
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
SYSTEM_LEGACY: Final = "gen_ai.system"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_VERSION: Final = "gen_ai.agent.version"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_PROMPT_TOKENS_LEGACY: Final = "gen_ai.usage.prompt_tokens"
USAGE_COMPLETION_TOKENS_LEGACY: Final = "gen_ai.usage.completion_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_CACHE_CREATION_LEGACY: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

# Sampling parameters: with the model they are the part of a harness that is neither text nor tool.
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_SAMPLING: Final = (
    REQUEST_TEMPERATURE,
    REQUEST_TOP_P,
    REQUEST_TOP_K,
    REQUEST_MAX_TOKENS,
    REQUEST_FREQUENCY_PENALTY,
    REQUEST_PRESENCE_PENALTY,
    REQUEST_SEED,
    "gen_ai.request.stop_sequences",
    "gen_ai.request.reasoning.level",
)

# Core attributes.
ERROR_TYPE: Final = "error.type"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
USER_ID: Final = "user.id"
ENDUSER_ID_LEGACY: Final = "enduser.id"
SESSION_ID: Final = "session.id"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
# What the collector calls itself in its own metrics.
COLLECTOR_SERVICE: Final = "spanlore-collector"
VCS_REVISION: Final = "vcs.ref.head.revision"

# Evaluation event (a log record): how a judgement travels.
EVENT_EVALUATION: Final = "gen_ai.evaluation.result"
EVENT_NAME_LEGACY: Final = "event.name"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
EVALUATION_TASK_SUCCESS: Final = "task_success"

# Ours.
TENANT_ID: Final = "spanlore.tenant.id"
TASK_TYPE: Final = "spanlore.task.type"
TASK_ID: Final = "spanlore.task.id"
RUN_ID: Final = "spanlore.run.id"
TRIAL: Final = "spanlore.trial"
TIME_UNKNOWN: Final = "spanlore.time_unknown"
HARNESS_VERSION: Final = "spanlore.harness.version"
# The arm of the program's own experiment that a run is in.
VARIANT: Final = "feature_flag.result.variant"
# A run that tries again what another run tried: how often it was tried before, and on the link to
# the run before, that this is what the link says.
RETRY_ATTEMPT: Final = "spanlore.retry.attempt"
LINK_TYPE: Final = "spanlore.link.type"
LINK_RETRY: Final = "retry"
INCOMPLETE: Final = "spanlore.incomplete"
IMPORT_EXTRA_PREFIX: Final = "spanlore.import."
# Who called a tool of a recorded run, where it was not the agent (a user's own tools).
IMPORT_CALLED_BY: Final = "spanlore.import.called_by"
JUDGEMENT_SOURCE: Final = "spanlore.evaluation.source"
JUDGEMENT_ID: Final = "spanlore.evaluation.id"
JUDGEMENT_EVALUATOR: Final = "spanlore.evaluation.evaluator.id"

# What a user is like, for lessons that hold for some kind of user: ``spanlore.segment.time_zone``.
SEGMENT_PREFIX: Final = "spanlore.segment."

# Feedback of an end user: an evaluation event of this name.
EVALUATION_USER_FEEDBACK: Final = "user_feedback"

# Override event (a log record): what the agent proposed, what stood in its place in the end.
EVENT_OVERRIDE: Final = "spanlore.override"
OVERRIDE_TARGET: Final = "spanlore.override.target"
OVERRIDE_FIELD: Final = "spanlore.override.field"
OVERRIDE_ORIGINAL: Final = "spanlore.override.original"
OVERRIDE_REPLACEMENT: Final = "spanlore.override.replacement"
OVERRIDE_ACTOR: Final = "spanlore.override.actor"
OVERRIDE_REASON: Final = "spanlore.override.reason"
OVERRIDE_ID: Final = "spanlore.override.id"
OVERRIDE_TARGETS: Final = ("tool_argument", "output", "plan")

# Approval event (a log record): what somebody decided about what the agent wanted to do.
EVENT_APPROVAL: Final = "spanlore.approval"
APPROVAL_ID: Final = "spanlore.approval.id"
APPROVAL_DECISION: Final = "spanlore.approval.decision"
APPROVAL_ACTOR: Final = "spanlore.approval.actor"
APPROVAL_REASON: Final = "spanlore.approval.reason"
APPROVAL_DECISIONS: Final = ("approved", "rejected", "edited")

# Exposure event (a log record): this run was given this version of a lesson, or was held out.
EVENT_EXPOSURE: Final = "spanlore.exposure"
LESSON_ID: Final = "spanlore.lesson.id"
LESSON_VERSION: Final = "spanlore.lesson.version"
LESSON_ARM: Final = "spanlore.lesson.arm"
ARM_EXPOSED: Final = "exposed"
ARM_HELD_OUT: Final = "held_out"
# On the run's span: the lessons it was given, each as "id@version".
CONTEXT_ITEM_IDS: Final = "spanlore.context.item_ids"

# What stands around delivered memories in a prompt, so that they can be taken out of it again.
MEMORY_BEGIN: Final = "<spanlore-memory>"
MEMORY_END: Final = "</spanlore-memory>"

DEFAULT_TENANT: Final = "default"
ERROR_TYPE_OTHER: Final = "_OTHER"
ERROR_TYPE_TOOL: Final = "tool_error"
