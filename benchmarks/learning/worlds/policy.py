"""An action that no run that passed ever did."""

from learning.draft import Draft, Step
from learning.shop import drafts, world_of
from learning.world import Expected, World

SHARE = 0.35
PASS_ELSE = 0.85


def forbidden_action(seed: int) -> World:
    """In refunds the order is cancelled as well, which is against the policy: such runs fail."""

    def alter(draft: Draft) -> None:
        if draft.task_type == "refund":
            draft.outcome = "pass" if draft.random.random() < PASS_ELSE else "fail"
        if draft.task_type == "refund" and draft.random.random() < SHARE:
            order_id = draft.steps[draft.at("refund_order")].arguments["order_id"]
            cancel = Step(
                tool="cancel_order",
                arguments={"order_id": order_id},
                result={"order_id": order_id, "done": True},
            )
            draft.steps.insert(draft.at("refund_order"), cancel)
            draft.outcome = "fail"

    return world_of(
        "policy: a forbidden action",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="policy_violation_actions", words=("cancel_order",))],
        follows=[
            Expected(analyzer="outcome_contrast", words=("cancel_order",)),
            Expected(analyzer="failure_localisation"),
            Expected(analyzer="success_workflow_mining", any_of=("refund", "cancel")),
        ],
    )


ALL = (forbidden_action,)
