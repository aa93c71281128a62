"""Calls that take far longer than is usual, and answers that cost far more."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

SHARE = 0.12
TIMES = 40


def slow_tool(seed: int) -> World:
    """Some look-ups of an order take forty times as long."""

    def alter(draft: Draft) -> None:
        if draft.random.random() < SHARE:
            draft.steps[draft.at("get_order")].took_ms *= TIMES

    return world_of(
        "outliers: a slow tool",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="latency_and_cost_outliers", words=("get_order",))],
    )


ALL = (slow_tool,)
