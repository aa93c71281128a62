"""A ratio of sums over runs - tokens wasted of tokens spent - with its interval."""

from dataclasses import dataclass
from typing import Any

Z_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentRatio:
    """``part`` of ``whole``, and the 95 % interval of their ratio; None for fewer than two units.

    Units (tasks, else users, else runs) are what looks alike and is drawn anew: the interval is
    that of the ratio estimator by linearisation (Cochran 1977, Sampling Techniques, 6.3, with
    units as clusters), clipped at 0.
    """

    part: float
    whole: float
    ratio: float
    interval: tuple[float, float] | None

    def json(self) -> dict[str, Any]:
        """Return it as a finding's detail."""
        return {
            "part": round(self.part),
            "whole": round(self.whole),
            "ratio": round(self.ratio, 4),
            "interval": None if self.interval is None else [round(one, 4) for one in self.interval],
        }


def spent_ratio_sql(*, part: str, whole: str) -> str:
    """SQL for the columns that ``spent_ratio`` reads, over rows of one unit each."""
    return f"""sum({part}) AS Part, sum({whole}) AS Whole, sum({part} * {part}) AS PartPart,
        sum({part} * {whole}) AS PartWhole, sum({whole} * {whole}) AS WholeWhole,
        count() AS UnitCount"""


def spent_ratio(row: dict[str, Any]) -> SpentRatio | None:
    """Return the ratio of a row of ``spent_ratio_sql``, None where nothing was spent."""
    part, whole, units = float(row["Part"]), float(row["Whole"]), row["UnitCount"]
    if whole <= 0:
        return None
    ratio = part / whole
    interval = None
    if units > 1:
        residuals = row["PartPart"] - 2 * ratio * row["PartWhole"] + ratio**2 * row["WholeWhole"]
        half = Z_95 * (max(residuals, 0.0) * units / (units - 1)) ** 0.5 / whole
        interval = (max(ratio - half, 0.0), ratio + half)
    return SpentRatio(part=part, whole=whole, ratio=ratio, interval=interval)
