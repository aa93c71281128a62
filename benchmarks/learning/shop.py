"""An order desk without any fault: the runs that every world starts from.

Forty tasks of four types, some harder than others, done by one agent for the users of three
tenants. Some steps are optional and some tools fail now and then, and neither has to do with how
a run comes out: that is a matter of the task alone. So nothing is to be found here.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from learning.draft import Draft, Step
from learning.world import Expected, Said, World
from spanlore.schemas.types import Lesson

RUNS = 400
TASKS = 40
TYPES = ("change_address", "refund", "where_is_it", "cancel")
TENANTS = {"acme": 80, "globex": 60, "hooli": 40}  # tenant -> users
FIRST_DAY = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAYS = 30
MAIL_SHARE = CHECK_SHARE = 0.5
TIMEOUT_SHARE = 0.02
AGENT, VERSION, MODEL = "order-desk", "1", "model-a"
INSTRUCTIONS = (
    "You help the customers of a shop with their orders. Look up the customer and the order "
    "before you change anything."
)
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ida", "Jon")
_CITIES = ("Lyon", "Graz", "Turin", "Porto", "Ghent", "Malmo")
# True of every world here: its agents fail at four tasks in ten, and that costs tokens; one run in
# twelve meets a timeout, which is more than the one in twenty that is tolerable.
ALWAYS = (
    Expected(analyzer="latency_and_cost_outliers", words=("spends tokens on runs that fail",)),
    Expected(analyzer="error_clusters", words=("upstream timeout",)),
)
Alter = Callable[[Draft], None]


def _tool(name: str, says: str, **properties: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {"name": name, "description": says, "parameters": parameters}


TOOLS = (
    _tool("find_customer", "Find a customer by e-mail address.", email="string"),
    _tool("get_order", "Look up an order.", order_id="string"),
    _tool("check_policy", "Say what is allowed for an order.", order_id="string"),
    _tool("update_address", "Send an order elsewhere.", order_id="string", city="string"),
    _tool("refund_order", "Refund an amount.", order_id="string", amount="number"),
    _tool("cancel_order", "Cancel an order.", order_id="string"),
    _tool("track_parcel", "Say where a parcel is.", order_id="string"),
    _tool("send_mail", "Write to the customer.", email="string", text="string"),
)
ACTIONS = {
    "change_address": "update_address",
    "refund": "refund_order",
    "where_is_it": "track_parcel",
    "cancel": "cancel_order",
}


def drafts(
    seed: int, *, runs: int = RUNS, tasks: int = TASKS, alter: Alter | None = None
) -> list[Draft]:
    """Return the runs of a seed in the order of time, each changed by ``alter``."""
    random = Random(f"{seed}/tasks")
    chances = [random.betavariate(3, 2) for _ in range(tasks)]
    made = [_draft(seed, number, runs, chances) for number in range(runs)]
    for draft in made:
        if alter is not None:
            alter(draft)
    return made


def world_of(  # noqa: PLR0913 - the parts of a world
    name: str,
    made: Sequence[Draft],
    *,
    truth: Sequence[Expected] = (),
    follows: Sequence[Expected] = (),
    events: Sequence[Said] = (),
    attributes: dict[str, dict[str, str]] | None = None,
    lessons: Sequence[Lesson] = (),
) -> World:
    """Write the runs of a world down."""
    return World(
        name=name,
        lines=tuple(draft.line() for draft in made),
        truth=tuple(truth),
        follows=(*follows, *ALWAYS),
        events=tuple(events),
        attributes=attributes or {},
        lessons=tuple(lessons),
    )


def _draft(seed: int, number: int, runs: int, chances: Sequence[float]) -> Draft:
    random = Random(f"{seed}/{number}")
    task = number % len(chances)
    kind = TYPES[task % len(TYPES)]
    tenant = random.choices(list(TENANTS), weights=list(TENANTS.values()))[0]
    user = f"{tenant}-{random.randrange(TENANTS[tenant]):03}"
    started = FIRST_DAY + timedelta(days=DAYS * number / runs, seconds=random.randrange(600))
    order = {
        "order_id": f"A{random.randrange(10**6, 10**7)}",
        "total": random.randrange(500, 20_000) / 100,
        "status": random.choice(("packed", "sent", "paid")),
    }
    person, city = random.choice(_NAMES), random.choice(_CITIES)
    email = f"{person.lower()}{random.randrange(10**4)}@example.com"
    steps = list(_steps(random, kind, email=email, order=order, city=city))
    return Draft(
        number=number,
        random=random,
        task_type=kind,
        task_id=f"{kind}-{task:02}",
        user=user,
        tenant=tenant,
        agent=AGENT,
        version=VERSION,
        model=MODEL,
        started=started,
        instructions=INSTRUCTIONS,
        tools=[dict(tool) for tool in TOOLS],
        asks=_asks(kind, email, city),
        steps=[step for one in steps for step in _with_timeouts(random, one)],
        answer=f"Done: order {order['order_id']} of {order['total']} for {email} is settled.",
        outcome="pass" if random.random() < chances[task] else "fail",
        answer_ms=random.lognormvariate(6.8, 0.3),
    )


def _asks(kind: str, email: str, city: str) -> str:
    wish = {
        "change_address": f"please send my order to {city}",
        "refund": "I would like my money back",
        "where_is_it": "where is my parcel",
        "cancel": "please cancel my order",
    }[kind]
    return f"Hello, this is {email}: {wish}."


def _steps(
    random: Random, kind: str, *, email: str, order: dict[str, Any], city: str
) -> list[Step]:
    order_id = order["order_id"]
    customer = {"customer_id": f"C{random.randrange(10**5)}", "orders": [order_id], "email": email}
    action: dict[str, Any] = {"order_id": order_id}
    action |= {"city": city} if kind == "change_address" else {}
    action |= {"amount": order["total"]} if kind == "refund" else {}
    steps = [
        _step(random, "find_customer", {"email": email}, customer),
        _step(random, "get_order", {"order_id": order_id}, order),
    ]
    if random.random() < CHECK_SHARE:
        allowed = {"order_id": order_id, "allowed": True}
        steps.append(_step(random, "check_policy", {"order_id": order_id}, allowed))
    steps.append(_step(random, ACTIONS[kind], action, {**action, "done": True}))
    if random.random() < MAIL_SHARE:
        text = {"email": email, "text": f"Your order {order_id} is settled."}
        steps.append(_step(random, "send_mail", text, {"sent": True}))
    return steps


def _step(random: Random, tool: str, arguments: dict[str, Any], result: dict[str, Any]) -> Step:
    return Step(
        tool=tool,
        arguments=arguments,
        result=result,
        took_ms=random.lognormvariate(4.6, 0.4),
        model_ms=random.lognormvariate(6.5, 0.3),
        output_tokens=random.randrange(25, 60),
    )


def _with_timeouts(random: Random, step: Step) -> list[Step]:
    """Let a call fail now and then; then it is made again."""
    if random.random() >= TIMEOUT_SHARE:
        return [step]
    return [failed(step, "Error: upstream timeout"), step]


def failed(step: Step, says: str, **arguments: Any) -> Step:
    """Return the step as it goes wrong, with these arguments in the place of its own."""
    return Step(
        tool=step.tool,
        arguments={**step.arguments, **arguments},
        result=says,
        error=True,
        took_ms=step.took_ms,
        model_ms=step.model_ms,
        output_tokens=step.output_tokens,
    )
