"""Errors with one text: since a version, at many tools, ever more often."""

from learning.draft import Draft
from learning.shop import drafts, failed, world_of
from learning.world import Expected, World

SHARE = 0.25
FROM_DAY = 15
SESSION_TOOLS = ("update_address", "refund_order", "cancel_order", "track_parcel")


def new_error(seed: int) -> World:
    """Since version 2, ``get_order`` fails with a text it did not have before."""
    made = drafts(seed)
    first = made[0].started
    for draft in made:
        if (draft.started - first).days >= FROM_DAY:
            draft.version = "2"
            draft.instructions += " Look up orders with all their shelves."
            shelf = draft.random.randrange(10**4)
            _fail(draft, "get_order", f"Error: stock ledger out of step at shelf {shelf}")
    return world_of(
        "error cluster: new with a version",
        made,
        truth=[Expected(analyzer="error_clusters", words=("stock ledger",))],
        follows=[
            *_follows("get_order"),
            Expected(analyzer="change_point", words=("tokens",)),  # of longer instructions, retries
        ],
    )


def shared_error(seed: int) -> World:
    """Four tools fail with one text: what they share is at fault, not one of them."""

    def alter(draft: Draft) -> None:
        for tool in SESSION_TOOLS:
            if draft.has(tool):
                _fail(draft, tool, "Error: the session with the warehouse has expired")

    return world_of(
        "error cluster: one text at many tools",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="error_clusters", words=("session", "warehouse"))],
        follows=[one for tool in SESSION_TOOLS for one in _follows(tool)],
    )


def drifting_tool(seed: int) -> World:
    """A tool grows worse by itself: nobody changed the harness."""
    made = drafts(seed)
    for draft in made:
        worse = 0.5 * draft.number / len(made)
        if draft.has("track_parcel") and draft.random.random() < worse:
            said = f"Error: courier gateway refused request {draft.random.randrange(10**6)}"
            _fail(draft, "track_parcel", said, share=1.0)
    return world_of(
        "error cluster: drifting tool",
        made,
        truth=[
            Expected(
                analyzer="tool_argument_misuse", words=("track_parcel",), or_by=("error_clusters",)
            )
        ],
        follows=_follows("track_parcel"),
    )


ALL = (new_error, shared_error, drifting_tool)


def _fail(draft: Draft, tool: str, says: str, *, share: float = SHARE) -> None:
    if draft.random.random() < share:
        at = draft.at(tool)
        draft.steps.insert(at, failed(draft.steps[at], says))


def _follows(tool: str) -> list[Expected]:
    names = ("error_clusters", "tool_argument_misuse", "retry_storm_and_loops")
    more = ("latency_and_cost_outliers", "change_point")
    return [Expected(analyzer=name, words=(tool,)) for name in (*names, *more)]
