"""The order in which findings are told: what is believed first, then the most telling doubt."""

from collections.abc import Iterable

from spanlore.schemas.types import Finding

NOT_CONFIRMED = "not_confirmed"
TOO_FEW = "too_few"
NO_EFFECT = "no_effect"
NOT_COMPARABLE = "not_comparable"

# Why a finding is held back (``detail["held_back"]``), the most telling first.
HELD_BACK = (NOT_CONFIRMED, TOO_FEW, NO_EFFECT, NOT_COMPARABLE)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings: confirmed ones, those with an effect, too few, no effect, not comparable.

    Within each, the more frequent first; what has an effect but is not confirmed, by the p value
    over everything.
    """
    return sorted(findings, key=_place)


def _place(finding: Finding) -> tuple[int, float, int, str]:
    held_back = finding.detail.get("held_back")
    rank = HELD_BACK.index(held_back) + 1 if held_back in HELD_BACK else 0
    p = float(finding.detail["p_overall"]) if held_back == NOT_CONFIRMED else 0.0
    return rank, p, -finding.k, finding.finding_id
