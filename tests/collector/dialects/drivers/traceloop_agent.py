"""An agent on OpenAI's SDK, traced as OpenLLMetry's users trace it."""

import contextlib
import json
import os

import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, tool

Traceloop.init(
    app_name="forecasts",
    exporter=OTLPSpanExporter(),
    disable_batch=True,
    telemetry_enabled=False,
)
client = openai.OpenAI()
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]


@tool(name="weather")
def weather(city):
    if is_down:
        raise LookupError(city)
    return "sunny"


@agent(name="forecaster")
def forecaster(question):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": question},
    ]
    answer = client.chat.completions.create(
        model="m", messages=messages, tools=TOOLS, temperature=0.5
    )
    message = answer.choices[0].message
    (call,) = message.tool_calls
    result = weather(**json.loads(call.function.arguments))
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    answer = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    return answer.choices[0].message.content


for is_down in (False, True):
    Traceloop.set_association_properties({"user_id": "ada", "session_id": "talk-7"})
    with contextlib.suppress(LookupError):
        forecaster("How is the weather?")
