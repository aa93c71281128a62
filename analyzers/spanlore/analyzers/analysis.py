"""One analysis: what every analyzer counts over the runs of a window, judged together.

An analyzer waits for the store most of the time, so a few work at once, each on a connection of its
own. What each counts is tested as it comes: the cells of one hypothesis an analyzer are in memory.
"""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from spanlore.analyzers.core.examined import Examined, examined
from spanlore.analyzers.core.findings import judged
from spanlore.analyzers.registry import Analyzer
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding

ANALYZERS_AT_ONCE_MAX = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """The findings of an analysis, and of the analyzers that raised what they said."""

    findings: list[Finding]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What one analyzer counted, tested; nothing where it ``failed`` on the way."""

    name: str
    tested: list[Examined] = field(default_factory=list)
    failed: str = ""


def analysed(store: Store, analyzers: Sequence[Analyzer], window: Window) -> Analysed:
    """Ask every analyzer, and judge what all of them counted together."""
    workers = max(min(os.cpu_count() or 1, ANALYZERS_AT_ONCE_MAX, len(analyzers)), 1)

    def asked(analyzer: Analyzer) -> _Told:
        with Store.open(store.address) as own:
            return _told(own, analyzer, window)

    with ThreadPoolExecutor(workers, thread_name_prefix="analyzer") as pool:
        told = list(pool.map(asked, analyzers))
    return Analysed(
        findings=judged(tested for one in told for tested in one.tested),
        failed={one.name: one.failed for one in told if one.failed},
    )


def _told(store: Store, analyzer: Analyzer, window: Window) -> _Told:
    try:
        tested = [examined(one) for one in analyzer.analyze(store, window)]
    except Exception as error:  # noqa: BLE001 - one analyzer, perhaps somebody else's, must not stop the rest
        _log.exception("the analyzer %s failed; the others go on", analyzer.name)
        return _Told(name=analyzer.name, failed=f"{type(error).__name__}: {error}")
    return _Told(name=analyzer.name, tested=tested)
