"""Lessons that are delivered and no longer right."""

from learning.shop import drafts, world_of
from learning.world import Expected, Said, World
from learning.worlds.corrections import add_tone, override
from spanlore.schemas.types import Lesson

LESSON_ID = "a" * 32
TENANT = "acme"
CONTRADICTED_SHARE = 0.85


def contradicted(seed: int) -> World:
    """A tenant's users are given a tone that they change back nearly always."""
    made = [draft for draft in drafts(seed, alter=add_tone) if draft.has("send_mail")]
    events = []
    for draft in made:
        if draft.tenant != TENANT:
            continue
        for step in draft.steps:
            if step.tool == "send_mail":
                step.arguments["tone"] = "plain"
        events.append(_exposure(draft.run_id))
        if draft.random.random() < CONTRADICTED_SHARE:
            said = override(draft, "formal")
            attributes = {**said.attributes, "spanlore.override.original": "plain"}
            events.append(Said(run_id=said.run_id, event=said.event, attributes=attributes))
    return world_of(
        "stale memory: contradicted",
        made,
        events=events,
        lessons=[_lesson()],
        truth=[Expected(analyzer="stale_memory", words=(LESSON_ID,))],
        follows=[Expected(analyzer="preference_override", words=("tone", "formal"))],
    )


ALL = (contradicted,)


def _exposure(run_id: str) -> Said:
    said: dict[str, str | int | float] = {
        "spanlore.lesson.id": LESSON_ID,
        "spanlore.lesson.version": 1,
        "spanlore.lesson.arm": "exposed",
    }
    return Said(run_id=run_id, event="spanlore.exposure", attributes=said)


def _lesson() -> Lesson:
    return Lesson(
        lesson_id=LESSON_ID,
        layer="context",
        scope="tenant",
        scope_key=TENANT,
        tenant=TENANT,
        kind="memory",
        title="send_mail /tone: plain for users of acme",
        body="For send_mail, users like this one change /tone to plain.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(),
        evidence=(),
        content={
            "slot": {"tool": "send_mail", "field": "/tone", "part": "value"},
            "value": "plain",
            "instead_of": "formal",
        },
        state="rolled_out",
    )
