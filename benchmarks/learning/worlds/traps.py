"""Worlds in which nothing is to be found, though much looks as if."""

from learning.draft import Draft, Step
from learning.shop import TASKS, drafts, world_of
from learning.world import Expected, World


def nothing(seed: int) -> World:
    """No fault at all."""
    return world_of("trap: nothing", drafts(seed))


def nothing_between_versions(seed: int) -> World:
    """A/A: two versions of the agent by turns, which are the same."""

    def alter(draft: Draft) -> None:
        draft.version = str(1 + draft.random.randrange(2))

    return world_of("trap: A/A", drafts(seed, alter=alter))


def hard_tasks_for_one_agent(seed: int) -> World:
    """One agent is given the hard tasks and works its own way; within a task both are equal."""

    def alter(draft: Draft) -> None:
        task = draft.number % TASKS
        hard = task >= TASKS // 2
        if draft.random.random() < (0.85 if hard else 0.15):
            draft.agent = "night-desk"
        draft.outcome = "pass" if draft.random.random() < (0.3 if hard else 0.85) else "fail"
        _keep_check(draft, 0.9 if draft.agent == "night-desk" else 0.2)

    return world_of("trap: hard tasks for one agent", drafts(seed, alter=alter))


def habits_of_a_worse_agent(seed: int) -> World:
    """One agent is worse at everything and has a habit, which is not why."""

    def alter(draft: Draft) -> None:
        worse = draft.random.random() < 0.5
        draft.agent = "night-desk" if worse else draft.agent
        draft.model = "model-b" if worse else draft.model
        draft.outcome = "pass" if draft.random.random() < (0.35 if worse else 0.8) else "fail"
        _keep_check(draft, 0.85 if worse else 0.15)

    return world_of(
        "trap: a worse agent's habit",
        drafts(seed, alter=alter),
        follows=[Expected(analyzer="routing", any_of=("night-desk", "model-b", "model-a"))],
    )


ALL = (nothing, nothing_between_versions, hard_tasks_for_one_agent, habits_of_a_worse_agent)


def _keep_check(draft: Draft, share: float) -> None:
    """Look at the policy in this share of runs."""
    has = draft.has("check_policy")
    wanted = draft.random.random() < share
    if has and not wanted:
        draft.steps = [step for step in draft.steps if step.tool != "check_policy"]
    elif wanted and not has:
        at = draft.at("get_order") + 1
        order_id = draft.steps[at - 1].arguments["order_id"]
        draft.steps.insert(at, _check(draft, order_id))


def _check(draft: Draft, order_id: str) -> Step:
    return Step(
        tool="check_policy",
        arguments={"order_id": order_id},
        result={"order_id": order_id, "allowed": True},
        took_ms=draft.random.lognormvariate(4.6, 0.4),
        model_ms=draft.random.lognormvariate(6.5, 0.3),
        output_tokens=draft.random.randrange(25, 60),
    )
