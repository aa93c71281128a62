"""An agent on OpenAI's SDK. How it is traced is up to who asks it: one maker's ways a driver."""

import contextlib
import json

import openai

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]


def ask_twice(*, agent, tool, client=None, about=contextlib.nullcontext, told=None):
    """Ask an agent whose tool works, then one whose tool fails.

    ``agent`` and ``tool`` decorate its functions, ``about`` gives a context that a run is in, and
    ``told`` is what the model is told besides.
    """
    for is_down in (False, True):
        forecaster = _forecaster(client or openai.OpenAI(), agent, tool, is_down, told or {})
        with about(), contextlib.suppress(LookupError):
            forecaster("How is the weather?")


def _forecaster(client, agent, tool, is_down, told):
    @tool
    def weather(city: str) -> str:
        if is_down:
            raise LookupError(city)
        return "sunny"

    @agent
    def forecaster(question: str) -> str:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": question},
        ]
        answer = client.chat.completions.create(
            model="m", messages=messages, tools=TOOLS, temperature=0.5, **told
        )
        message = answer.choices[0].message
        (call,) = message.tool_calls
        result = weather(**json.loads(call.function.arguments))
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
        answer = client.chat.completions.create(model="m", messages=messages, tools=TOOLS, **told)
        return answer.choices[0].message.content

    return forecaster
