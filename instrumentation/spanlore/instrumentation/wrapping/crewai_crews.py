"""CrewAI's crews, their agents and tools; models are traced where the SDKs call them.

CrewAI's own spans, since its version 1.15, hold each call of a model a second time, and go
elsewhere.
"""

from collections.abc import Mapping
from typing import Any

from crewai import Agent, Crew
from crewai.tools import base_tool, structured_tool
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import LocalAgentInvocation
from opentelemetry.util.genai.types import InputMessage, OutputMessage, TextPart

from spanlore.instrumentation.recovery.amending import around
from spanlore.instrumentation.tool_call import Call
from spanlore.instrumentation.wrapping.bracket import Bracket

_handler: TelemetryHandler


def wrap(handler: TelemetryHandler) -> None:
    """Trace what a crew does, and an agent that works alone."""
    global _handler  # noqa: PLW0603  # the library is amended once, whoever traces it
    _handler = handler
    for name in ("kickoff", "akickoff"):
        around(Crew, name, _crew)
        around(Agent, name, _alone)
    for name in ("execute_task", "aexecute_task"):
        around(Agent, name, _task)
    for kind in (base_tool.BaseTool, base_tool.Tool):
        for name in ("run", "arun"):
            around(kind, name, _tool)
    for name in ("invoke", "ainvoke"):
        around(structured_tool.CrewStructuredTool, name, _structured_tool)


def _crew(crew: Any, *_: Any, **__: Any) -> Bracket:
    return Bracket(_handler.workflow(name=crew.name), lambda _: None)


def _task(agent: Any, task: Any, *_: Any, **__: Any) -> Bracket:
    return _agent(agent, task.description)


def _alone(agent: Any, messages: Any = "", *_: Any, **__: Any) -> Bracket:
    return _agent(agent, messages if isinstance(messages, str) else messages[-1].get("content"))


def _agent(agent: Any, asked: Any) -> Bracket:
    invocation = _handler.invoke_local_agent(agent_name=agent.role)
    if _handler.should_capture_content():
        invocation.input_messages = [InputMessage(role="user", parts=[TextPart(str(asked))])]
    return Bracket(invocation, lambda answer: _answered(invocation, answer))


def _answered(invocation: LocalAgentInvocation, answer: Any) -> None:
    if _handler.should_capture_content():
        text = TextPart(str(getattr(answer, "raw", answer)))
        invocation.output_messages = [
            OutputMessage(role="assistant", parts=[text], finish_reason="stop")
        ]


def _tool(tool: Any, *args: Any, **kwargs: Any) -> Call:
    return Call(tool.name, tool._run, args, kwargs, library="crewai")  # noqa: SLF001


def _structured_tool(tool: Any, given: Any, *_: Any, **__: Any) -> Call:
    named = given if isinstance(given, Mapping) else {"input": given}
    return Call(tool.name, tool.func, (), named, library="crewai")
