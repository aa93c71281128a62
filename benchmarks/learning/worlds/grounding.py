"""Answers that hold what no tool said."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

SHARE = 0.3


def made_up_order(seed: int) -> World:
    """Some answers name a parcel number that nobody gave."""

    def alter(draft: Draft) -> None:
        if draft.random.random() < SHARE:
            parcel = f"PX{draft.random.randrange(10**8, 10**9)}"
            draft.answer = f"Your parcel {parcel} is on its way."

    return world_of(
        "grounding: a made-up number",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="ungrounded_output")],
    )


ALL = (made_up_order,)
