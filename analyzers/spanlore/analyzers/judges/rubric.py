"""Judging by a rubric: a model reads a run as data and says pass, fail, or that it cannot tell."""

import hashlib
from dataclasses import dataclass

from spanlore.analyzers.judges.run_text import quoted_run
from spanlore.analyzers.judges.verdict_of_run import Verdict
from spanlore.analyzers.models.question import ModelClient, Question
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace

_TASK = "Judge the run by the rubric: say why in a sentence or two, then pass, fail or unsure."
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason", "label"],
    "properties": {
        "reason": {"type": "string", "maxLength": 2_000},
        "label": {"type": "string", "enum": ["pass", "fail", "unsure"]},
    },
}
_REASON_CHARACTERS_MAX = 1_000
_VERSION_HEX_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a model is to judge by, in the words of a person."""

    text: str

    @property
    def version(self) -> str:
        """A hash of all that we say: changed words are another judge."""
        said = f"{self.text}\0{_TASK}\0{_SCHEMA}"
        return hashlib.sha256(said.encode()).hexdigest()[:_VERSION_HEX_DIGITS]


def rubric_verdict(rubric: Rubric, run: RunTrace, client: ModelClient) -> Verdict | None:
    """Return what the model says of a run; None where it cannot tell. Raises ModelError."""
    data = quoted_run(run)
    if not data:
        return None
    answer = client.ask(Question(system=rubric.text, task=_TASK, data=data, schema=_SCHEMA))
    label, reason = answer.value["label"], answer.value["reason"]
    if label == "unsure":
        return None
    return Verdict(label=label, reason=plain(reason, chars_max=_REASON_CHARACTERS_MAX))


TASK_SUCCESS = Rubric("""\
You judge whether an AI agent did what it was asked to do. You are shown the record of one run: the
agent's instructions, where they were recorded, and the messages, tool calls and tool answers.

Say "pass" if the record shows that the request was fulfilled, completely and within the agent's
instructions, or that the agent rightly declined what it must not or cannot do and said so.
Say "fail" if something that was asked was not done, was done wrongly or only in part, if the agent
did what its instructions forbid, changed something nobody asked it to change, or claimed what the
record does not bear out.
Say "unsure" if the record does not show how it ended.

Believe what tools answered over what the agent says it did. Being polite, long or confident is not
success. A run is not a failure because a tool failed on the way, if the agent recovered.
""")
