"""The tables of what was learned: findings, lessons, who was given them, and what they did.

Append-only but for what comes twice by its nature (an exposure, an override said again).
"""

from spanlore.schemas.table import (
    DURABLE,
    LOW,
    NANOS,
    PROVENANCE,
    PROVENANCE_INDEXES,
    TIME,
    Column,
    Table,
)

FINDINGS = "findings"
LESSONS = "lessons"
ANALYSES = "analyses"
OVERRIDES = "overrides"
EXPOSURES = "exposures"
EFFECTS = "effects"
LEARNING_LOG = "learning_log"
RUN_FACTS = "run_facts"
REVOKED_TRACES = "revoked_traces"
ERASING = "erasing"

# Condition over ``TraceId``: nothing is learned from a trace that somebody revoked.
NOT_REVOKED = f"TraceId NOT IN (SELECT TraceId FROM {REVOKED_TRACES})"
LESSON_NOTES = "lesson_notes"

FINDINGS_TABLE = Table(
    name=FINDINGS,
    columns=(
        Column("FindingId", "String"),
        Column("Analyzer", LOW),
        Column("AnalyzerVersion", LOW),
        Column("Title", "String"),
        Column("N", "UInt64"),
        Column("K", "UInt64"),
        Column("Effect", "Nullable(Float64)"),
        Column("IntervalLow", "Nullable(Float64)"),
        Column("IntervalHigh", "Nullable(Float64)"),
        Column("P", "Nullable(Float64)"),
        Column("Q", "Nullable(Float64)"),
        Column("AdjustedFor", "Array(String)"),
        Column("Confirmed", "UInt8"),
        Column("Verdict", LOW),
        Column("NeededN", "Nullable(UInt64)"),
        Column("Reason", "String"),
        Column("Evidence", "Array(String)"),
        Column("CounterEvidence", "Array(String)"),
        Column("Detail", "String"),
        Column("AnalysisId", "String"),
        Column("At", TIME),
        Column("Version", "UInt64"),
    ),
    engine="MergeTree",
    order_by="(FindingId, Version)",
)

# Append-only: a lesson's state is its latest version.
LESSONS_TABLE = Table(
    name=LESSONS,
    columns=(
        Column("LessonId", "String"),
        Column("Version", "UInt64"),
        Column("State", LOW),
        Column("Layer", LOW),
        Column("Scope", LOW),
        Column("ScopeKey", "String"),
        Column("TenantId", "String"),
        Column("Kind", LOW),
        Column("Title", "String"),
        Column("Body", "String"),
        Column("Patch", "String"),
        Column("BasePath", "String"),
        Column("BaseHash", "String"),
        Column("Findings", "Array(String)"),
        Column("Evidence", "Array(String)"),
        Column("Selector", "Map(String, String)"),
        Column("Content", "String"),
        Column("Evaluations", "String"),
        Column("Approvals", "String"),
        Column("At", TIME),
        Column("By", "String"),
    ),
    engine="MergeTree",
    order_by="(LessonId, Version)",
    settings=DURABLE,
)

# One row a learn that was ended: what it counted, which is also how the next one knows what is new.
# ``Whole`` is 1 where every analyzer counted all runs and nothing failed.
ANALYSES_TABLE = Table(
    name=ANALYSES,
    columns=(
        Column("AnalysisId", "String"),
        Column("At", TIME),
        Column("SealedBefore", TIME),
        Column("Analyzers", "Array(String)"),
        Column("Runs", "UInt64"),
        Column("Spans", "UInt64"),
        Column("Findings", "UInt64"),
        Column("Confirmed", "UInt64"),
        Column("Failed", "Array(String)"),
        Column("Whole", "UInt8"),
    ),
    engine="MergeTree",
    order_by="(At, AnalysisId)",
)

# What one run says about one key (analyzers' extractors): spans are read once for it, and every
# later analysis counts these rows. A row with the key "" says that the run was read. Only the rows
# of a run's latest version count; those of another version are of a run that was sealed again.
RUN_FACTS_TABLE = Table(
    name=RUN_FACTS,
    columns=(
        Column("Extractor", LOW),
        Column("ExtractorVersion", LOW),
        Column("Key", "String"),
        Column("TenantId", LOW),
        Column("TraceId", "String"),
        Column("RunVersion", "UInt64", codec=NANOS),
        Column("N", "UInt32"),
        Column("K", "UInt32"),
        Column("Value", "Float64"),
        Column("Detail", "String"),
        Column("SpanId", "String"),
        Column("At", TIME, codec=NANOS),
    ),
    engine="ReplacingMergeTree(At)",
    order_by="(Extractor, ExtractorVersion, Key, TraceId, RunVersion)",
)

# What an agent proposed and what stood in its place in the end, as the application said it.
OVERRIDES_TABLE = Table(
    name=OVERRIDES,
    columns=(
        Column("TenantId", LOW),
        Column("TraceId", "String"),
        Column("SpanId", "String"),
        Column("UserId", "String"),
        Column("Target", LOW),
        Column("ToolName", LOW),
        Column("Field", "String"),
        Column("Original", "String"),
        Column("Replacement", "String"),
        Column("Actor", LOW),
        Column("Reason", "String"),
        Column("OverrideId", "String"),
        Column("At", TIME, codec=NANOS),
        *PROVENANCE,
        Column("Version", "UInt64", "toUnixTimestamp64Nano(At)", NANOS),
    ),
    engine="ReplacingMergeTree(Version)",
    order_by="(TenantId, TraceId, Target, ToolName, Field, OverrideId)",
    indexes=PROVENANCE_INDEXES,
    settings=DURABLE,
)

# Which run was given which version of a lesson, or was held out of it: what every effect rests on.
EXPOSURES_TABLE = Table(
    name=EXPOSURES,
    columns=(
        Column("TenantId", LOW),
        Column("TraceId", "String"),
        Column("UserId", "String"),
        Column("LessonId", "String"),
        Column("LessonVersion", "UInt64"),
        Column("Arm", LOW),
        Column("At", TIME, codec=NANOS),
        *PROVENANCE,
        Column("Version", "UInt64", "toUnixTimestamp64Nano(At)", NANOS),
    ),
    engine="ReplacingMergeTree(Version)",
    order_by="(LessonId, TenantId, TraceId)",
    indexes=PROVENANCE_INDEXES,
    settings=DURABLE,
)

# One row a measurement of what a lesson did after roll-out; the latest one stands.
EFFECTS_TABLE = Table(
    name=EFFECTS,
    columns=(
        Column("LessonId", "String"),
        Column("LessonVersion", "UInt64"),
        Column("At", TIME),
        Column("Metric", LOW),
        Column("ComparedWith", LOW),
        Column("Randomised", "UInt8"),
        Column("ExposedRuns", "UInt64"),
        Column("ExposedUsers", "UInt64"),
        Column("ExposedRate", "Nullable(Float64)"),
        Column("OtherRuns", "UInt64"),
        Column("OtherUsers", "UInt64"),
        Column("OtherRate", "Nullable(Float64)"),
        Column("Difference", "Nullable(Float64)"),
        Column("IntervalLow", "Nullable(Float64)"),
        Column("IntervalHigh", "Nullable(Float64)"),
        Column("Verdict", LOW),
        Column("Detail", "String"),
    ),
    engine="MergeTree",
    order_by="(LessonId, At)",
    settings=DURABLE,
)

# What a round of learning would have a person look at: lessons that contradict each other, or that
# nothing speaks for any more. The rows of the latest round stand; one without a lesson ends it.
LESSON_NOTES_TABLE = Table(
    name=LESSON_NOTES,
    columns=(
        Column("At", TIME),
        Column("LessonId", "String"),
        Column("Kind", LOW),
        Column("OtherId", "String"),
        Column("Reason", "String"),
    ),
    engine="MergeTree",
    order_by="(At, LessonId)",
)

# Who changed what the agent knows, when and why. Each entry holds the hash of the one before, and
# the lesson as it stood after: the rows of ``lessons`` can be made again from it. ``Commitment`` is
# the salted hash of what an entry says, so that this may be erased and the chain still holds:
# ``ErasedBy`` is the number of the entry by which it was, 0 for one that says all it ever said.
LEARNING_LOG_TABLE = Table(
    name=LEARNING_LOG,
    columns=(
        Column("Seq", "UInt64"),
        Column("At", TIME),
        Column("By", "String"),
        Column("Human", "UInt8"),
        Column("Event", LOW),
        Column("LessonId", "String"),
        Column("LessonVersion", "UInt64"),
        Column("ContentHash", "String"),
        Column("Detail", "String"),
        Column("Lesson", "String", codec="ZSTD(3)"),
        Column("Salt", "String"),
        Column("Commitment", "String"),
        Column("ErasedBy", "UInt64"),
        Column("PreviousHash", "String"),
        Column("Hash", "String"),
    ),
    engine="MergeTree",
    order_by="Seq",
    settings=DURABLE,
)

# Traces that nothing may be learned from any more, because somebody (named) says so: poisoned, or
# sent by mistake. Their spans stay where they are.
REVOKED_TRACES_TABLE = Table(
    name=REVOKED_TRACES,
    columns=(
        Column("TraceId", "String"),
        Column("By", "String"),
        Column("Reason", "String"),
        Column("At", TIME, codec=NANOS),
    ),
    engine="ReplacingMergeTree(At)",
    order_by="TraceId",
    settings=DURABLE,
)

# What an erasing is about while it lasts: statements that delete name this table instead of users
# and traces, because the engine keeps their text. ``Erasure`` tells erasings apart.
ERASING_TABLE = Table(
    name=ERASING,
    columns=(
        Column("Erasure", "String"),
        Column("Kind", LOW),
        Column("TenantId", "String"),
        Column("Id", "String"),
    ),
    engine="MergeTree",
    order_by="(Erasure, Kind, TenantId, Id)",
    settings=DURABLE,
)

ALL = (
    FINDINGS_TABLE,
    LESSONS_TABLE,
    ANALYSES_TABLE,
    RUN_FACTS_TABLE,
    OVERRIDES_TABLE,
    EXPOSURES_TABLE,
    EFFECTS_TABLE,
    LESSON_NOTES_TABLE,
    LEARNING_LOG_TABLE,
    REVOKED_TRACES_TABLE,
    ERASING_TABLE,
)
