"""What runs beside an agent and turns its work, past or present, into OpenTelemetry spans.

    init()                                switch tracing on (as do `spanlore run`, `spanlore.auto`)
    with run("assistant", user=…): …      one run of an agent
    @tool                                 a function that an agent calls
    judge("pass"), feedback(score=1)      how a run went, what the user thought of it
    override(field="/start", …)           what was changed in the end
    approval("rejected", tool=…)          what somebody decided about what the agent wanted
    env=os.environ | child_environment()  a child process that goes on in this run
    lessons_for().text                    what earlier runs taught

None of them raises, prints, or waits on the network for longer than it says; an exception of the
program passes through untouched. A call that cannot be meant is a warning of the logger
``spanlore``. Importing this package imports none of them: that is done at the first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanlore.instrumentation.agent_run import run
    from spanlore.instrumentation.delivery import DeliveredLesson, Lessons, lessons_for
    from spanlore.instrumentation.identity import CurrentRun
    from spanlore.instrumentation.parent_process import child_environment
    from spanlore.instrumentation.said import approval, feedback, judge, override
    from spanlore.instrumentation.switch import init
    from spanlore.instrumentation.tool_function import tool

__all__ = [
    "CurrentRun",
    "DeliveredLesson",
    "Lessons",
    "approval",
    "child_environment",
    "feedback",
    "init",
    "judge",
    "lessons_for",
    "override",
    "run",
    "tool",
]

_HOMES = {
    "CurrentRun": "identity",
    "DeliveredLesson": "delivery",
    "Lessons": "delivery",
    "approval": "said",
    "child_environment": "parent_process",
    "feedback": "said",
    "init": "switch",
    "judge": "said",
    "lessons_for": "delivery",
    "override": "said",
    "run": "agent_run",
    "tool": "tool_function",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
