"""The same call again and again."""

from copy import copy

from learning.draft import Draft
from learning.shop import Alter, drafts, failed, world_of
from learning.world import Expected, World

SHARE = 0.3


def identical_calls(seed: int) -> World:
    """Where a parcel is, is asked three to five times with the same arguments."""

    def alter(draft: Draft) -> None:
        if draft.has("track_parcel") and draft.random.random() < SHARE:
            at = draft.at("track_parcel")
            again = [copy(draft.steps[at]) for _ in range(draft.random.randrange(2, 5))]
            draft.steps[at:at] = again

    return _world("loops: identical calls", seed, alter, "track_parcel")


def retries_after_errors(seed: int) -> World:
    """What failed is tried again with the same arguments, and fails again."""

    def alter(draft: Draft) -> None:
        if draft.has("cancel_order") and draft.random.random() < SHARE:
            at = draft.at("cancel_order")
            again = failed(draft.steps[at], "Error: the order is locked by another session")
            draft.steps[at:at] = [copy(again) for _ in range(draft.random.randrange(3, 6))]

    return _world("loops: retries of what fails", seed, alter, "cancel_order")


ALL = (identical_calls, retries_after_errors)


def _world(name: str, seed: int, alter: Alter, tool: str) -> World:
    return world_of(
        name,
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="retry_storm_and_loops", words=(tool,))],
        follows=[
            Expected(analyzer="tool_argument_misuse", words=(tool,)),
            Expected(analyzer="error_clusters", words=(tool,)),
            Expected(analyzer="latency_and_cost_outliers", words=(tool,)),
            Expected(analyzer="success_workflow_mining", words=(tool,)),
        ],
    )
