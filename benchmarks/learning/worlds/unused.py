"""Tools that are paid for in every call and never used."""

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, World

SPARE = ("print_label", "book_courier", "translate_text")


def spare_tools(seed: int) -> World:
    """Three tools with long definitions stand in every call, and none is ever called."""

    def alter(draft: Draft) -> None:
        draft.tools += [
            {
                "name": name,
                "description": f"{name} does what its name says. " * 20,
                "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
            }
            for name in SPARE
        ]

    return world_of(
        "unused: spare tools",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="unused_tools_and_context", words=(name,)) for name in SPARE],
    )


ALL = (spare_tools,)
