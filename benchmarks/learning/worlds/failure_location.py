"""Failures that people looked at: which step was the one that decided them."""

from learning.draft import Draft
from learning.shop import ACTIONS, drafts, world_of
from learning.world import Expected, Said, World

LABELLED_SHARE = 0.7
SPANS_A_STEP = 2  # a model call, then the call it asked for


def labelled_steps(seed: int) -> World:
    """What decides a failure is the action, wherever it stands; people say so of most failures."""
    made = drafts(seed)
    events = [
        _label(draft)
        for draft in made
        if draft.outcome == "fail" and draft.random.random() < LABELLED_SHARE
    ]
    return world_of(
        "failure location: labelled steps",
        made,
        events=events,
        truth=[Expected(analyzer="failure_localisation", words=("constant guess",))],
    )


ALL = (labelled_steps,)


def _label(draft: Draft) -> Said:
    at = draft.at(ACTIONS[draft.task_type])
    said = {
        "gen_ai.evaluation.name": "task_success",
        "gen_ai.evaluation.score.label": "fail",
        "spanlore.evaluation.source": "human",
        "spanlore.evaluation.evaluator.id": "ada",
        "spanlore.evaluation.id": f"step-{draft.number}",
    }
    return Said(
        run_id=draft.run_id,
        event="gen_ai.evaluation.result",
        attributes=said,
        span=SPANS_A_STEP * (at + 1),
    )
