"""Runs that fail more often when a step is left out, whatever the task."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

PASS_WITH, PASS_WITHOUT = 0.85, 0.4


def check_left_out(seed: int) -> World:
    """Where the policy was not looked at, the run fails more often."""

    def alter(draft: Draft) -> None:
        chance = PASS_WITH if draft.has("check_policy") else PASS_WITHOUT
        draft.outcome = "pass" if draft.random.random() < chance else "fail"

    return world_of(
        "outcome: a step left out",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="outcome_contrast", words=("check_policy",))],
        follows=[
            Expected(analyzer="outcome_contrast"),
            Expected(analyzer="success_workflow_mining", words=("check_policy",)),
            Expected(analyzer="failure_localisation"),
            Expected(analyzer="policy_violation_actions"),
        ],
    )


ALL = (check_left_out,)
