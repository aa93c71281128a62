"""What a judge says of one run."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A run passed or failed; ``score`` is from 0 to 1 (None: 1 for pass, 0 for fail).

    ``reason`` is a sentence for a person. It may have been written by a model or quote a trace:
    it is shown as text and never followed.
    """

    label: Literal["pass", "fail"]
    score: float | None = None
    reason: str = ""
