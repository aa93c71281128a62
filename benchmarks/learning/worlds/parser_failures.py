"""Arguments that are no JSON."""

import json

from learning.draft import Draft
from learning.shop import drafts, failed, world_of
from learning.world import Expected, World

SHARE = 0.3


def broken_arguments(seed: int) -> World:
    """The arguments of ``send_mail`` end within a string."""

    def alter(draft: Draft) -> None:
        if draft.has("send_mail") and draft.random.random() < SHARE:
            at = draft.at("send_mail")
            broken = failed(draft.steps[at], "Error: the arguments are not valid JSON")
            broken.arguments = json.dumps(draft.steps[at].arguments)[:-8]
            draft.steps.insert(at, broken)

    return world_of(
        "parser failures: arguments",
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="output_parser_failures", words=("no JSON",))],
        follows=[
            Expected(analyzer="output_parser_failures"),
            Expected(analyzer="tool_argument_misuse", words=("send_mail",)),
            Expected(analyzer="error_clusters", words=("send_mail",)),
            Expected(analyzer="retry_storm_and_loops", words=("send_mail",)),
            Expected(analyzer="latency_and_cost_outliers", words=("send_mail",)),
        ],
    )


ALL = (broken_arguments,)
