"""A way of working that succeeds more often than others."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

PASS_WITH, PASS_WITHOUT = 0.9, 0.45


def check_then_mail(seed: int) -> World:
    """Looking at the policy before, and writing to the customer after, is what succeeds."""

    def alter(draft: Draft) -> None:
        whole = draft.has("check_policy") and draft.has("send_mail")
        chance = PASS_WITH if whole else PASS_WITHOUT
        draft.outcome = "pass" if draft.random.random() < chance else "fail"

    return world_of(
        "workflow: check, act, write",
        drafts(seed, alter=alter),
        truth=[
            Expected(analyzer="success_workflow_mining", words=("check_policy", "send_mail")),
        ],
        follows=[
            Expected(analyzer="success_workflow_mining", any_of=("check_policy", "send_mail")),
            Expected(analyzer="outcome_contrast"),
            Expected(analyzer="failure_localisation"),
            Expected(analyzer="policy_violation_actions"),
        ],
    )


ALL = (check_then_mail,)
