"""The agent at work: everything its users ask for in a phase, in several threads.

`spanlore run -- python -m spanlore.demo.workday --phase 1 --seed 7 --tools tools.json` needs the
model's address in OPENAI_BASE_URL. What comes of a run depends on its number and the seed, not
on the order in which the threads get to it.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from openai import OpenAI

from spanlore.demo.agent import AGENT, Agent
from spanlore.demo.faults import CONFOUNDED, TIMEOUTS, TIMEOUTS_IN_PLANNING
from spanlore.demo.office import Office
from spanlore.demo.users import Person, Request, requests
from spanlore.instrumentation import judge, run

__all__ = ["main", "serve"]

_THREADS = 2


def serve(request: Request, *, client: OpenAI, tools: Sequence[Any], seed: int) -> bool:
    """Have the assistant do what a user asks for; say whether the meeting stands in the end."""
    user, meeting = request.user, request.meeting
    planning = meeting.task_type == CONFOUNDED.task_type
    office = Office(
        Random(f"{seed}/{request.phase}/{request.number}/office"),
        timeouts=TIMEOUTS_IN_PLANNING if planning else TIMEOUTS,
    )
    person = Person(request, seed=seed)
    with run(
        AGENT,
        user=user.user_id,
        tenant=user.tenant,
        task=meeting.task_type,
        task_id=meeting.task_id,
        session=f"{user.user_id}-{request.phase}-{request.number:04d}",
        segments={"time_zone": user.time_zone},
    ):
        agent = Agent(client, office, tools=tools, asker=person)
        agent.ask(request.text)
        for event in list(office.events.values()):
            if objection := person.objection(event):
                agent.ask(objection)
        stands = len(office.invited) == meeting.people
        judge("pass" if stands else "fail", reason="everybody is invited" if stands else None)
    return stands


def main() -> None:
    """Serve every request of a phase, or this process's part of them."""
    parser = argparse.ArgumentParser(description="The meeting assistant at work.")
    parser.add_argument("--phase", type=int, choices=(1, 2), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--part", default="0/1", help="k/n: every n-th request, from the k-th on")
    options = parser.parse_args()
    first, parts = map(int, options.part.split("/"))
    mine = requests(options.phase, seed=options.seed)[first::parts]
    tools = json.loads(options.tools.read_text(encoding="utf-8"))
    with OpenAI() as client, ThreadPoolExecutor(_THREADS) as threads:
        work = partial(serve, client=client, tools=tools, seed=options.seed)
        stands = sum(threads.map(work, mine))
    print(f"{len(mine)} requests, {stands} meetings stand")  # noqa: T201 - what it was run for


if __name__ == "__main__":
    main()
