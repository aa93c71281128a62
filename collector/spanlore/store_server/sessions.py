"""Handles that outlive a statement: only sessions that hold something (SET, USE, temporary table).

A session that never changed anything needs no handle of its own, so that clients which name a
session in every request cost nothing.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from spanlore.store_server.errors import SESSION_IS_LOCKED, TOO_MANY_QUERIES, QueryError

TIMEOUT_S_MAX: Final = 3600.0


class Closable(Protocol):
    """Something that can be closed."""

    def close(self) -> None: ...


H = TypeVar("H", bound=Closable)


@dataclass(slots=True)
class _Session(Generic[H]):
    handle: H
    expires_at: float
    busy: bool


@dataclass(frozen=True, slots=True)
class Lease(Generic[H]):
    """A handle for one statement; ``kept`` tells that it belongs to a session."""

    handle: H
    kept: bool


class Sessions(Generic[H]):
    """The sessions that hold state, at most ``count_max``, each until its timeout."""

    def __init__(self, opens: Callable[[], H], *, count_max: int) -> None:
        self._opens = opens
        self._count_max = count_max
        self._sessions: dict[str, _Session[H]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def handle(self, session_id: str, *, keeps: bool, timeout_s: float) -> Iterator[Lease[H]]:
        """Lend a handle: the session's own where it has one or ``keeps``, else a fresh one."""
        session = self._take(session_id, keeps=keeps) if session_id else None
        if session is None:
            fresh = self._opens()
            try:
                yield Lease(fresh, kept=False)
            finally:
                fresh.close()
            return
        try:
            yield Lease(session.handle, kept=True)
        finally:
            with self._lock:
                session.expires_at = time.monotonic() + min(timeout_s, TIMEOUT_S_MAX)
                session.busy = False

    def _take(self, session_id: str, *, keeps: bool) -> _Session[H] | None:
        with self._lock:
            self._expire()
            session = self._sessions.get(session_id)
            if session is None and keeps:
                if len(self._sessions) >= self._count_max:
                    raise QueryError(TOO_MANY_QUERIES, f"{self._count_max} sessions are open")
                session = _Session(self._opens(), 0.0, busy=False)
                self._sessions[session_id] = session
            if session is None:
                return None
            if session.busy:
                raise QueryError(SESSION_IS_LOCKED, "Session is locked by a concurrent client")
            session.busy = True
            return session

    def _expire(self) -> None:
        now = time.monotonic()
        for session_id, session in list(self._sessions.items()):
            if not session.busy and session.expires_at < now:
                del self._sessions[session_id]
                session.handle.close()

    def close(self) -> None:
        """Close every session's handle; none may be busy."""
        with self._lock:
            for session in self._sessions.values():
                session.handle.close()
            self._sessions.clear()
