"""A tool called with the wrong arguments: another key, another type, none, an id's other name."""

from collections.abc import Callable, Mapping
from typing import Any

from learning.draft import Draft, Step
from learning.shop import drafts, failed, world_of
from learning.world import Expected, World

SHARE = 0.3
TICKET_TOOL = {
    "name": "open_ticket",
    "description": "Open a ticket for a customer.",
    "parameters": {
        "type": "object",
        "properties": {"client_number": {"type": "string"}},
        "required": ["client_number"],
    },
}


def wrong_key(seed: int) -> World:
    """Refunds name the order ``order``; the tool wants ``order_id``."""

    def alter(draft: Draft) -> None:
        _spoil(draft, "refund_order", _order_under_a_wrong_key)

    return _world("misuse: wrong key", seed, alter, tool="refund_order", key="order_id")


def wrong_type(seed: int) -> World:
    """Amounts are sent as text with a currency."""

    def alter(draft: Draft) -> None:
        _spoil(draft, "refund_order", _amount_as_text)

    return _world("misuse: wrong type", seed, alter, tool="refund_order", key="amount")


def missing_key(seed: int) -> World:
    """An address is changed without saying which city."""

    def alter(draft: Draft) -> None:
        _spoil(draft, "update_address", _without_city)

    return _world("misuse: missing key", seed, alter, tool="update_address", key="city")


def other_name(seed: int) -> World:
    """A ticket wants ``client_number``; ``find_customer`` called the same ``customer_id``."""

    def alter(draft: Draft) -> None:
        draft.tools.append(TICKET_TOOL)
        number = draft.steps[draft.at("get_order") - 1].result["customer_id"]
        ticket = Step(
            tool="open_ticket", arguments={"client_number": number}, result={"opened": True}
        )
        draft.steps.insert(draft.at("get_order") + 1, ticket)
        _spoil(draft, "open_ticket", _under_its_other_name)

    return _world(
        "misuse: id under another name", seed, alter, tool="open_ticket", key="client_number"
    )


ALL = (wrong_key, wrong_type, missing_key, other_name)
_Spoilt = tuple[Mapping[str, Any], str]


def _spoil(draft: Draft, tool: str, spoilt: Callable[[Step], _Spoilt]) -> None:
    """Let a share of the runs call a tool wrongly before they call it right."""
    if draft.has(tool) and draft.random.random() < SHARE:
        at = draft.at(tool)
        arguments, says = spoilt(draft.steps[at])
        wrong = failed(draft.steps[at], says)
        wrong.arguments = dict(arguments)
        draft.steps.insert(at, wrong)


def _order_under_a_wrong_key(step: Step) -> _Spoilt:
    rest = {key: value for key, value in step.arguments.items() if key != "order_id"}
    return {"order": step.arguments["order_id"], **rest}, "Error: missing required field order_id"


def _amount_as_text(step: Step) -> _Spoilt:
    amount = f"{step.arguments['amount']} EUR"
    return {**step.arguments, "amount": amount}, f"Error: amount must be a number, got '{amount}'"


def _without_city(step: Step) -> _Spoilt:
    rest = {key: value for key, value in step.arguments.items() if key != "city"}
    return rest, "Error: missing required field city"


def _under_its_other_name(step: Step) -> _Spoilt:
    number = step.arguments["client_number"]
    return {"customer_id": number}, "Error: missing required field client_number"


def _world(name: str, seed: int, alter: Callable[[Draft], None], *, tool: str, key: str) -> World:
    return world_of(
        name,
        drafts(seed, alter=alter),
        truth=[Expected(analyzer="tool_argument_misuse", words=(tool, key))],
        follows=[
            Expected(analyzer="tool_argument_misuse", words=(tool,)),
            Expected(analyzer="error_clusters", words=(tool,)),
            Expected(analyzer="retry_storm_and_loops", words=(tool,)),
            Expected(analyzer="latency_and_cost_outliers", words=(tool,)),
            Expected(analyzer="output_parser_failures", words=("require",)),
        ],
    )
