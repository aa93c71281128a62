"""The order in which findings are told: what is believed first, then the most telling doubt."""

from collections.abc import Iterable

from spanlore.schemas.types import VERDICTS, Finding


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings by verdict as ``VERDICTS`` lists them, then the more frequent first.

    What was held against something else comes before what is only above a tolerable rate; what
    may have an effect but does not show it comes by the p value over everything.
    """
    return sorted(findings, key=_place)


def _place(finding: Finding) -> tuple[int, float, bool, int, str]:
    doubtful = finding.verdict in ("inconclusive", "underpowered")
    p = float(finding.detail.get("p_overall", 1.0)) if doubtful else 0.0
    alone = not finding.adjusted_for
    return VERDICTS.index(finding.verdict), p, alone, -finding.k, finding.finding_id
