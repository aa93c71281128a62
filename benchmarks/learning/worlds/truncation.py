"""Answers that are cut off."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

SHARE = 0.25
TOKENS_MAX = 1024


def cut_off(seed: int) -> World:
    """In cancellations the answer ends at the limit of tokens."""

    def alter(draft: Draft) -> None:
        if draft.task_type == "cancel" and draft.random.random() < SHARE:
            draft.finish_reason = "length"
            draft.answer_tokens = TOKENS_MAX
            draft.answer = f"{draft.answer} As to the details of the cancellation, " * 20

    return world_of(
        "truncation: answers",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="truncation_and_context_overflow")],
        follows=[Expected(analyzer="latency_and_cost_outliers")],
    )


ALL = (cut_off,)
