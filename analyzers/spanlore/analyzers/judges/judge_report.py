"""Every judge's calibration, version by version, as it is listed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.judges.calibration import Calibration, calibrated
from spanlore.analyzers.judges.judge_labels import GOLD, judged_runs
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import JudgementSource


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCalibration:
    """A judge's calibration; ``version`` is "" where its labels name none."""

    judge: str
    source: str
    version: str
    calibration: Calibration

    def json(self) -> dict[str, Any]:
        """Return the JSON object of one row."""
        return {
            "judge": self.judge,
            "source": self.source,
            "version": self.version or None,
            **self.calibration.json(),
        }


def judge_calibrations(
    store: Store, window: Window, gold: Sequence[JudgementSource] = GOLD
) -> Iterator[JudgeCalibration]:
    """Yield each version of each judge, the busiest judge first. Raises StoreError."""
    for judged in judged_runs(store, window, gold):
        for number, version in enumerate(judged.versions):
            yield JudgeCalibration(
                judge=judged.judge,
                source=judged.source,
                version=version,
                calibration=calibrated(judged.confusion(judged.version == number)),
            )
