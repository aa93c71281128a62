"""A new harness, after which runs fail more often."""

from learning.shop import drafts, world_of
from learning.world import Expected, World

BEFORE, AFTER = 0.8, 0.45
FROM_DAY = 15


def worse_harness(seed: int) -> World:
    """From one day on the instructions are others, and fewer runs succeed."""
    made = drafts(seed)
    first = made[0].started
    for draft in made:
        changed = (draft.started - first).days >= FROM_DAY
        chance = AFTER if changed else BEFORE
        draft.outcome = "pass" if draft.random.random() < chance else "fail"
        if changed:
            draft.instructions += " Be brief, and never ask back."
            draft.version = "2"
    return world_of(
        "change: a worse harness",
        made,
        truth=[Expected(analyzer="change_point")],
        follows=[Expected(analyzer="routing", words=("order-desk 1", "order-desk 2"))],
    )


ALL = (worse_harness,)
