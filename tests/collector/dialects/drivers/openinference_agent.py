"""An agent on OpenAI's SDK, traced as Arize Phoenix's users trace it."""

import contextlib
import json

import openai
from openinference.instrumentation import TracerProvider, using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("forecasts")
client = openai.OpenAI()
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]


@tracer.tool
def weather(city: str) -> str:
    if is_down:
        raise LookupError(city)
    return "sunny"


@tracer.agent(name="forecaster")
def forecaster(question: str) -> str:
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
    with (
        using_attributes(session_id="talk-7", user_id="ada"),
        contextlib.suppress(LookupError),
    ):
        forecaster("How is the weather?")
