"""A model that is better on one kind of task."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

BETTER, WORSE = 0.85, 0.35
# A half has to show it among the refunds of two models alone, and tasks decide the half.
RUNS, TASKS = 800, 80


def better_at_refunds(seed: int) -> World:
    """Half of all tasks go to another model, which is better at refunds and at nothing else."""

    def alter(draft: Draft) -> None:
        other = draft.random.random() < 0.5
        draft.model = "model-b" if other else "model-a"
        if draft.task_type == "refund":
            chance = BETTER if other else WORSE
            draft.outcome = "pass" if draft.random.random() < chance else "fail"

    return world_of(
        "routing: better at refunds",
        drafts(seed, runs=RUNS, tasks=TASKS, alter=alter),
        truth=[Expected(analyzer="routing", words=("refund",))],
        follows=[Expected(analyzer="routing", any_of=("model-a", "model-b"))],
    )


ALL = (better_at_refunds,)
