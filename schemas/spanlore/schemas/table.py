"""What a table is: columns, engine, and the DDL that follows from them."""

from dataclasses import dataclass

from spanlore.schemas import semconv

MAP = "Map(LowCardinality(String), String)"
LOW = "LowCardinality(String)"
TIME = "DateTime64(9)"
NANOS = "Delta(8), ZSTD(1)"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its ClickHouse type, and how the store fills it when a row does not name it."""

    name: str
    type: str
    default: str = ""
    codec: str = "ZSTD(1)"
    alias: bool = False

    def ddl(self) -> str:
        """Render the column for CREATE TABLE."""
        kind = "ALIAS" if self.alias else "DEFAULT"
        default = f" {kind} {self.default}" if self.default else ""
        codec = "" if self.alias or not self.codec else f" CODEC({self.codec})"
        return f"`{self.name}` {self.type}{default}{codec}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: columns, skip indexes, engine clause and settings."""

    name: str
    columns: tuple[Column, ...]
    engine: str
    order_by: str
    partition_by: str = ""
    indexes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def ddl(self) -> str:
        """Render CREATE TABLE."""
        lines = [column.ddl() for column in self.columns]
        lines += [f"INDEX {index}" for index in self.indexes]
        partition = f"\nPARTITION BY {self.partition_by}" if self.partition_by else ""
        settings = f"\nSETTINGS {', '.join(self.settings)}" if self.settings else ""
        body = ",\n    ".join(lines)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} (\n    {body}\n)\n"
            f"ENGINE = {self.engine}{partition}\nORDER BY {self.order_by}{settings}"
        )

    @property
    def insertable(self) -> tuple[str, ...]:
        """Names of the columns a row may give a value for."""
        return tuple(column.name for column in self.columns if not column.alias)


def tenant_of(record: str, resource: str, *translated: str) -> str:
    """SQL for the tenant a row names itself: on the record, else on its resource, else default.

    All are maps of attributes; ``translated`` are the record's, of other vocabularies.
    """
    lookups = [
        f"{attributes}['{semconv.TENANT_ID}']" for attributes in (record, *translated, resource)
    ]
    return f"firstNonDefault({', '.join(lookups)}, '{semconv.DEFAULT_TENANT}')"


# The write-ahead log's mark on a row: which log and record it came from; 0 on rows of a foreign
# exporter. The loader counts a segment by it and the sealing job finds new rows by it.
PROVENANCE = (
    Column("ReceivedAt", TIME, "now64(9)", "Delta(8), ZSTD(1)"),
    Column("LogId", "UInt32", codec="ZSTD(1)"),
    Column("LogSeq", "UInt64", codec="Delta(8), ZSTD(1)"),
)
PROVENANCE_INDEXES = (
    "idx_log_seq LogSeq TYPE minmax GRANULARITY 1",
    "idx_received ReceivedAt TYPE minmax GRANULARITY 1",
)
# One segment is one block with one deduplication token; a part is on the disk when the insert
# answers, because the segment's file goes then.
# A fresh part is one file, not two for each of sixty columns: a third of an insert's CPU
# (benchmarks/README.md). Parts are merged sixteen at a time, not five: each row is rewritten less
# often, and some more parts stand. A merged part is synced too: the embedded engine deletes those
# that it replaces at once.
DURABLE = (
    "non_replicated_deduplication_window = 10000",
    "min_bytes_for_wide_part = 134217728",
    "merge_selector_base = 16",
    "fsync_after_insert = 1",
    "fsync_part_directory = 1",
    "min_compressed_bytes_to_fsync_after_merge = 1",
)
