"""Answers that were paid for once, kept by the hash of everything that went in."""

import json
import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Self

from spanlore.analyzers.models.question import Answer

FILE_NAME = "model_answers.sqlite3"
ANSWERS_MAX = 100_000
_BUSY_S_MAX = 10.0

_CREATE_SQL = """CREATE TABLE IF NOT EXISTS answers (
    hash TEXT PRIMARY KEY, at TEXT NOT NULL, model TEXT NOT NULL, value TEXT NOT NULL)"""
_PRUNE_SQL = """DELETE FROM answers WHERE hash IN (
    SELECT hash FROM answers ORDER BY at DESC LIMIT -1 OFFSET ?)"""


class AnswerCache:
    """The answers of earlier questions, in one SQLite file that only its owner can read.

    Questions are not kept, only their hashes; answers are, and may quote what they were about:
    delete the file to forget them. Close it; closing twice does no harm.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file, made where there is none; with None it lasts as long as this value."""
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._database = sqlite3.connect(
            path or ":memory:", timeout=_BUSY_S_MAX, check_same_thread=False, isolation_level=None
        )
        self._lock = Lock()
        self._database.execute(_CREATE_SQL)
        self._database.execute(_PRUNE_SQL, (ANSWERS_MAX,))

    def get(self, hash_hex: str) -> Answer | None:
        """Return the answer to the very same question, None where it was not asked."""
        with self._lock:
            row = self._database.execute(
                "SELECT model, value FROM answers WHERE hash = ?", (hash_hex,)
            ).fetchone()
        return None if row is None else Answer(model=row[0], value=json.loads(row[1]), cached=True)

    def put(self, hash_hex: str, *, model: str, value: Mapping[str, Any]) -> None:
        """Keep an answer; the next to open the file drops the oldest beyond ``ANSWERS_MAX``."""
        row = (hash_hex, datetime.now(UTC).isoformat(), model, json.dumps(value))
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe twice."""
        with self._lock:
            self._database.close()
