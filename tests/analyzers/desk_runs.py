"""Runs of an order desk, written by hand: forty tasks, optional steps, outcomes as a test says."""

from collections.abc import Callable, Sequence
from random import Random

from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from tests.analyzers.traced import called, run

RUNS = 400
TASKS = 40
ACTIONS = ("refund_order", "cancel_order", "update_address", "track_parcel")
FailChance = Callable[[Sequence[str]], float]


def half(_: Sequence[str]) -> float:
    """Whatever a run does, it fails as often as not."""
    return 0.5


def desk_runs(
    seed: int, fails: FailChance = half, *, runs: int = RUNS, forbidden: float = 0.0
) -> list[RunTrace]:
    """Return runs that fail by what they call; ``forbidden`` is the share that deletes the user."""
    random = Random(seed)
    made = []
    for number in range(runs):
        calls = steps(random, number, forbidden=forbidden)
        failed = random.random() < fails([call.tool for call in calls])
        made.append(
            run(
                number,
                calls=calls,
                task=str(number % TASKS),
                task_type="order",
                outcome="fail" if failed else "pass",
                messages=(
                    Message(role="user", text=f"I am ada{number}@example.com, help me"),
                    Message(role="assistant", text="Done."),
                ),
            )
        )
    return made


def steps(random: Random, number: int, *, forbidden: float = 0.0) -> list[Call]:
    """Return the calls of one run: look up, sometimes check, act, sometimes write."""
    email, order = f"ada{number}@example.com", f"A{1000 + number}"
    found = [
        called("find_customer", {"email": email}, said=f'{{"orders": ["{order}"]}}'),
        called("get_order", {"order_id": order}, said=f'{{"order_id": "{order}"}}'),
    ]
    if random.random() < 0.5:
        found.append(called("check_policy", {"order_id": order}, said='{"allowed": true}'))
    found.append(called(ACTIONS[number % len(ACTIONS)], {"order_id": order}))
    if random.random() < forbidden:
        found.append(called("delete_user", {"email": email, "now": True}))
    if random.random() < 0.5:
        found.append(called("send_mail", {"email": email}))
    return found
