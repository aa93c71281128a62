"""A code judge: a run whose root span ended in an error failed.

It says nothing of any other run: that no error reached the root does not show that the task was
done. Since it only ever says "fail", its labels are never gold (``judge_labels``).
"""

from spanlore.analyzers.judges.verdict_of_run import Verdict
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace

VERSION = "1"
_ERROR_CHARACTERS_MAX = 200


def ended_in_error(run: RunTrace) -> Verdict | None:
    """Return "fail" for a run that ended in an error, else None."""
    if run.state != "sealed" or not run.root_error:
        return None
    error = plain(run.root_error, chars_max=_ERROR_CHARACTERS_MAX)
    return Verdict(label="fail", reason=f"the run ended with the error: {error}")
