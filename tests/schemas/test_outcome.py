"""What a judgement says is the same in Python and in the store."""

import pytest

from spanlore.schemas.outcome import outcome_of, outcome_sql
from spanlore.schemas.store import Store

CASES = [
    ("pass", None, "pass"),
    ("passed", 0.0, "pass"),
    ("fail", 0.9, "fail"),
    ("no", None, "fail"),
    ("superb", 0.5, "pass"),
    ("superb", 0.4, "fail"),
    ("superb", None, ""),
    ("", 1.0, "pass"),
    ("", 0.0, "fail"),
    ("", None, ""),
]


@pytest.mark.parametrize(("label", "score", "said"), CASES)
def test_a_label_goes_before_a_score_and_half_a_point_passes(
    label: str, score: float | None, said: str
) -> None:
    assert outcome_of(label, score) == said


def test_the_store_reads_a_judgement_as_we_do(store: Store) -> None:
    sql = f"SELECT {outcome_sql('Label', 'Score')} AS Said FROM (SELECT {{label:String}} AS Label, "
    for label, score, said in CASES:
        known = "CAST(NULL, 'Nullable(Float64)')" if score is None else f"toFloat64({score})"
        [row] = store.query(f"{sql}{known} AS Score)", {"label": label})
        assert row["Said"] == said, (label, score)
