"""Users who correct the same thing again and again, and users who want something else."""

from collections.abc import Callable
from typing import Any

from learning.draft import Draft, Step
from learning.shop import drafts, world_of
from learning.world import Expected, Said, World

USER = "acme-000"
WANTS = "Porto"
NEVER_THE_SAME = ("Bilbao", "Cork", "Dijon", "Essen", "Faro", "Gdansk", "Hull", "Izmir")
TONES = ("formal", "plain", "cheerful")
THANKS_SHARE = 0.5


def one_value(seed: int) -> World:
    """One user wants parcels to go to the same city, and says so each time, afterwards."""
    return _world("corrections: always to one city", seed, lambda _: WANTS)


def other_values(seed: int) -> World:
    """One user corrects the city each time, to ever other ones."""
    return _world(
        "corrections: to ever other cities", seed, lambda draft: draft.random.choice(NEVER_THE_SAME)
    )


def a_tenants_tone(seed: int) -> World:
    """The users of one tenant change the tone of mails to the same one."""
    made = drafts(seed, alter=add_tone)
    events = [event for draft in made for event in tone_overrides(draft)]
    return world_of(
        "preferences: a tenant's tone",
        made,
        events=events,
        truth=[Expected(analyzer="preference_override", words=("tone", "cheerful", "hooli"))],
        follows=[Expected(analyzer="change_point", words=("changed what",))],
    )


ALL = (one_value, other_values, a_tenants_tone)


def add_tone(draft: Draft) -> None:
    """Let mails have a tone, which the agent proposes to be formal."""
    for step in draft.steps:
        if step.tool == "send_mail":
            step.arguments["tone"] = "formal"
    draft.tools = [_with_tone(tool) for tool in draft.tools]


def tone_overrides(draft: Draft) -> list[Said]:
    """Return what a user made of the tone of a mail."""
    share = 0.9 if draft.tenant == "hooli" else 0.04
    if not draft.has("send_mail") or draft.random.random() >= share:
        return []
    replacement = "cheerful" if draft.tenant == "hooli" else draft.random.choice(TONES[1:])
    return [override(draft, replacement)]


def override(draft: Draft, value: str, *, field: str = "/tone") -> Said:
    """Return the event that a user put another value in the place of a mail's tone."""
    said = {
        "spanlore.override.target": "tool_argument",
        "spanlore.override.field": field,
        "spanlore.override.actor": "user",
        "spanlore.override.id": f"override-{draft.number}",
        "spanlore.override.original": "formal",
        "spanlore.override.replacement": value,
        "gen_ai.tool.name": "send_mail",
    }
    return Said(run_id=draft.run_id, event="spanlore.override", attributes=said)


def _world(name: str, seed: int, wants: Callable[[Draft], str]) -> World:
    def alter(draft: Draft) -> None:
        if draft.number % 16 == 0:  # of a kind of task that changes addresses
            draft.user, draft.tenant = USER, "acme"
            city = draft.steps[draft.at("update_address")].arguments["city"]
            _correct(draft, city, wants(draft))
        elif draft.random.random() < THANKS_SHARE:
            draft.after.append(("Thank you, that is all.", [], "You are welcome."))

    return world_of(
        name,
        drafts(seed, alter=alter),
        truth=[
            Expected(
                analyzer="repeated_correction",
                words=("update_address", USER),
                or_by=("preference_override",),
            )
        ],
        follows=[
            Expected(analyzer="repeated_correction", words=("update_address",)),
            Expected(analyzer="preference_override", words=("update_address",)),
        ],
    )


def _correct(draft: Draft, city: str, wants: str) -> None:
    """Let the user take back the city that was taken, where it is not the one they want."""
    if city == wants:
        draft.after.append(("Thank you, that is all.", [], "You are welcome."))
        return
    first = draft.steps[draft.at("update_address")]
    arguments = {**first.arguments, "city": wants}
    again = Step(tool="update_address", arguments=arguments, result={**arguments, "done": True})
    says = f"No, that is wrong. I meant {wants}, not {city}."
    draft.after.append((says, [again], f"It goes to {wants} now."))


def _with_tone(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["name"] != "send_mail":
        return tool
    properties = {name: {"type": "string"} for name in ("email", "text", "tone")}
    parameters = {"type": "object", "properties": properties, "required": ["email", "text"]}
    return {**tool, "parameters": parameters}
