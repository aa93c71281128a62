"""A store process with rows of two tenants and secrets in it, and what is put to its reader."""

import json
import os
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from spanlore.schemas import credentials, migrate
from tests.store_server.store_process import StoreProcess

STATEMENTS = Path(__file__).with_name("sql")
CANARY = "CANARY"
CANARY_NANOS = "424242424242"
ACME_SPANS = 3
UNREAD = (1, 2)  # last read before it was written: a file of which reading moves the time of access

_SPAN = "Timestamp, TraceId, SpanId, TenantId, SpanName, ServiceName, Duration, SpanAttributes"
_SEEDS = f"""
INSERT INTO otel_traces ({_SPAN}) SELECT
    now64(9), 't-1', toString(number), 'acme', 'ask', 'shop', number, map()
    FROM numbers({ACME_SPANS});
INSERT INTO otel_traces ({_SPAN}) VALUES
    (now64(9), 't-2', 's', 'rival', 'CANARY-SPAN', 'CANARY-SERVICE', {CANARY_NANOS},
    map('CANARY-KEY', 'CANARY-VALUE'));
OPTIMIZE TABLE otel_traces FINAL;
INSERT INTO otel_logs (Timestamp, TraceId, TenantId, Body) VALUES
    (now64(9), 't-1', 'acme', 'said'), (now64(9), 't-2', 'rival', 'CANARY-LOG');
INSERT INTO agent_runs (TenantId, TraceId, UserId) VALUES
    ('acme', 't-1', 'ann'), ('rival', 't-2', 'CANARY-USER');
INSERT INTO judgements (TenantId, TraceId, Explanation) VALUES ('rival', 't-2', 'CANARY-VERDICT');
INSERT INTO lessons (LessonId, TenantId, Title) VALUES ('l-1', 'rival', 'CANARY-LESSON');
INSERT INTO harness_parts (Kind, Content) VALUES ('instructions', 'CANARY-INSTRUCTIONS');
CREATE TABLE private_notes (note String) ENGINE = MergeTree ORDER BY note;
INSERT INTO private_notes VALUES ('CANARY-NOTE');
CREATE VIEW private_view AS SELECT note FROM private_notes;
CREATE DATABASE other;
CREATE TABLE other.notes (note String) ENGINE = MergeTree ORDER BY note;
INSERT INTO other.notes VALUES ('CANARY-OTHER')"""


def statements(name: str) -> dict[str, list[str]]:
    """Read a file of statements, one a line, by the category that stands above them."""
    found: dict[str, list[str]] = {}
    category = name
    for line in (STATEMENTS / f"{name}.sql").read_text().splitlines():
        if line.startswith("## "):
            category = line.removeprefix("## ")
        elif line:
            found.setdefault(category, []).append(line)
    return found


@dataclass
class ReaderStore:
    """The process, and what a statement must not touch: a file, a folder, a port, the secrets."""

    process: StoreProcess
    watched: Path
    listener: socket.socket
    filled: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.canary = self.watched / "canary.txt"
        self.canary.write_text("CANARY-FILE\n")
        os.utime(self.canary, UNREAD)
        self.filled = {
            "{canary}": str(self.canary),
            "{dir}": str(self.watched),
            "{port}": str(self.listener.getsockname()[1]),
            "{nl}": "\n",
            "{deep}": "(" * 5000 + "1" + ")" * 5000,
            "{long}": "1+" * 100_000 + "1",
            "{nots}": "not " * 100_000 + "1",
            "{arrays}": "[" * 5000 + "1" + "]" * 5000,
            "{spaces}": " " * 500_000,
            "{subqueries}": "(SELECT " * 2000 + "1" + ")" * 2000,
        }
        self.secrets = [
            login.password
            for login in (self.process.admin, self.process.ingest, self.process.reader)
        ]
        self.folders = self.listing()

    def listing(self) -> list[str]:
        """Name every file that a statement could have made."""
        data_dir = self.process.data_dir
        return sorted(
            str(path)
            for folder in (self.watched, data_dir, data_dir / "spool")
            for path in folder.iterdir()
        )

    def answer(self, sql: str, **params: str) -> httpx.Response:
        """Put a statement to the reader's door."""
        for name, value in self.filled.items():
            sql = sql.replace(name, value)
        given = {
            "param_path": str(self.canary),
            "param_name": str(self.canary),
            "param_db": "system",
            "param_processes": "system.processes",
            "param_table": "otel_traces",
            "param_id": "t-1",
        }
        with self.process.http(self.process.reader) as http:
            return http.post("/", content=sql, params={**given, **params})

    def assert_untouched(self) -> None:
        """Check that no file was read or made, and that nobody knocked at the port."""
        assert self.canary.stat().st_atime == UNREAD[0]
        assert self.canary.read_text() == "CANARY-FILE\n"
        os.utime(self.canary, UNREAD)
        assert self.listing() == self.folders
        assert select.select([self.listener], [], [], 0)[0] == []


def reader_store(folder: Path, *, tenant: str) -> Iterator[ReaderStore]:
    """Start a store whose reader is bound to ``tenant``, with rows in it."""
    data_dir = folder / "data"
    credentials.load_or_create(data_dir)
    path = data_dir / credentials.FILE_NAME
    known = json.loads(path.read_text())
    known["reader"]["tenant"] = tenant
    path.write_text(json.dumps(known))
    watched = folder / "watched"
    watched.mkdir()
    with StoreProcess(data_dir) as process, socket.create_server(("127.0.0.1", 0)) as listener:
        admin = process.admin
        url = process.database_url(admin)
        migrate.migrate(url)
        for seed in _SEEDS.split(";"):
            process.ask(seed, database="spanlore")
        yield ReaderStore(process, watched, listener)
        assert process.stop() == 0
