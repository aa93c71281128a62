"""A store in memory for the loader's tests: a table takes a token once, or it says why not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spanlore.collector import record
from spanlore.collector.record import Record
from spanlore.collector.signals import TRACES
from spanlore.schemas.store import StoreRefused, StoreUnreachable


class MemoryStore:
    """Keeps records by token. Tests set what goes wrong.

    ``down``: nothing answers. ``is_poison``: records it refuses for good. ``refuses_all``: even
    an empty insert. ``forgets``: how many inserts are answered well and not kept.
    """

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self._taken: set[tuple[str, str]] = set()
        self.records: list[Record] = []
        self.down = False
        self.refuses_all = False
        self.forgets = 0
        self.is_poison: Callable[[Record], bool] = lambda _: False
        self.tries = 0

    def insert_segment(self, path: Path, *, token: str, into: Sequence[str]) -> None:
        self.tries += 1
        if self.down:
            raise StoreUnreachable("down")
        (table,) = into
        found = [one for one in record.read(path.read_bytes()) if one.signal.table_in == table]
        if self.refuses_all or any(map(self.is_poison, found)):
            raise StoreRefused("poison", code=444)
        if (token, table) in self._taken:
            return
        if self.forgets and found:
            self.forgets -= 1
            return
        self._taken.add((token, table))
        self.tokens.append(token)
        self.records += found

    def query(self, _: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Count spans, the only question the loader asks here."""
        if self.down:
            raise StoreUnreachable("down")
        if params is None:
            return [{"n": len({(s.trace_id, s.span_id) for s in self.spans()})}]
        return [
            {
                "n": sum(
                    found.signal.count(found.signal.loose.FromString(found.body))
                    for found in self.records
                    if found.log_id == params["log_id"]
                    and params["first"] <= found.seq <= params["last"]
                )
            }
        ]

    def spans(self) -> list[Any]:
        """Give every span kept, duplicates too."""
        return [
            span
            for found in self.records
            if found.signal is TRACES
            for scope in TRACES.scopes_of(TRACES.loose.FromString(found.body))
            for span in scope.spans
        ]

    def close(self) -> None:
        """Nothing to close."""
