"""The scan of a request's or a text's bytes: whether it holds anything that SECRET_HINT finds.

RE2 steps through the bytes one by one. Hyperscan looks for the fixed texts of all hints at once,
many bytes at a step, and says the same in less than half the time. Of a hint that slows it down it
only looks for the core, and RE2 at what is around that.
"""

import logging
import threading
from functools import cache
from typing import Final

from spanlore.collector.redaction.hints import (
    CORED_HINTS,
    SECRET_HINT,
    TEXT_HINTS,
    CoredHint,
    compiled,
)

try:
    import hyperscan
except ModuleNotFoundError as error:
    if error.name != "hyperscan":
        raise
    hyperscan = None  # type: ignore[assignment]

# What RE2 scans in the time that Hyperscan takes to compile, and is then left behind.
RE2_BYTES_MAX: Final = 64 << 20
# To look around a core takes RE2 about as long as to scan so many bytes.
_CORE_COST_BYTES: Final = 1024
_CORES_MIN: Final = 16

_logger = logging.getLogger(__name__)


class SecretScan:
    """Says whether bytes may hold a secret. Safe from any thread.

    RE2 scans the first ``re2_bytes_max`` bytes, Hyperscan what comes after them: one that is only
    started, or sees little, need not compile it. Without the package RE2 scans everything.
    """

    def __init__(self, *, re2_bytes_max: int = RE2_BYTES_MAX) -> None:
        self._re2 = compiled(SECRET_HINT)
        self._re2_bytes_left = re2_bytes_max
        self._hyperscan: _HyperscanScan | None = None
        # Held for good by the thread that compiles: the others go on with RE2 meanwhile.
        self._compiling = threading.Lock()
        if hyperscan is None:
            _logger.info(
                "requests are scanned for secrets by RE2 alone, which takes more than twice as "
                "long: the package hyperscan is not installed"
            )

    @property
    def is_fast(self) -> bool:
        """Whether Hyperscan scans by now."""
        return self._hyperscan is not None

    def suspects(self, data: bytes) -> bool:
        """Say whether SECRET_HINT finds anything in these bytes."""
        if self._hyperscan is None:
            self._make_fast(len(data))
        answer = None if self._hyperscan is None else self._hyperscan.suspects(data)
        return self._re2.search(data) is not None if answer is None else answer

    def _make_fast(self, coming_bytes: int) -> None:
        is_due = hyperscan is not None and self._re2_bytes_left <= 0
        self._re2_bytes_left -= coming_bytes
        if is_due and self._compiling.acquire(blocking=False):
            try:
                fast = _HyperscanScan()
                fast.suspects(b"")
                self._hyperscan = fast
            except hyperscan.HyperscanError:
                _logger.exception("Hyperscan cannot be used here, so RE2 goes on alone")


class _HyperscanScan:
    def __init__(self) -> None:
        self._database = _database()
        self._surroundings = [_Surroundings(cored) for cored in CORED_HINTS]
        # What Hyperscan writes on while it scans, one for each thread.
        self._own = threading.local()

    def suspects(self, data: bytes) -> bool | None:
        """Say what SecretScan says; None where only RE2 can, or would sooner: of too many cores."""
        cores: list[tuple[int, int]] = []
        cores_max = max(_CORES_MIN, len(data) // _CORE_COST_BYTES)

        def is_enough(number: int, _start: int, end: int, *_: object) -> bool:
            if number < len(TEXT_HINTS):
                return True
            cores.append((number - len(TEXT_HINTS), end))
            return len(cores) > cores_max

        try:
            self._database.scan(data, is_enough, scratch=self._scratch())
        except hyperscan.ScanTerminated:
            return None if len(cores) > cores_max else True
        for number, end in cores:
            answer = self._surroundings[number].hold_match(data, end)
            if answer is not False:
                return answer
        return False

    def _scratch(self) -> "hyperscan.Scratch":
        try:
            scratch: hyperscan.Scratch = self._own.scratch
        except AttributeError:
            scratch = self._own.scratch = hyperscan.Scratch(self._database)
        return scratch


class _Surroundings:
    """What is around the end of a core."""

    def __init__(self, cored: CoredHint) -> None:
        self._cored = cored
        self._hint = compiled(cored.hint)

    def hold_match(self, data: bytes, end: int) -> bool | None:
        """Say whether the hint matches around a core that ends there; None: it may begin before."""
        cored = self._cored
        start = max(0, end - cored.reach_bytes)
        if self._hint.search(data, start, end + cored.reach_bytes) is not None:
            return True
        if start == 0 or not cored.endless:
            return False
        others = data[start:end].translate(None, cored.endless)
        return False if len(others) > cored.others_max else None


@cache
def _database() -> "hyperscan.Database":
    """Compile what to look for: each is numbered by its place, and the cores stand last."""
    patterns = (*TEXT_HINTS, *(cored.core for cored in CORED_HINTS))
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=[pattern.encode() for pattern in patterns])
    return database
