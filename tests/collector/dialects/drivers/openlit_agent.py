"""An agent on OpenAI's SDK, traced as OpenLIT's users trace it."""

import contextlib
import json
import os

import openai
import openlit

openlit.init(
    application_name="forecasts",
    otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    disable_batch=True,
    disable_metrics=True,
    disabled_instrumentors=["httpx"],
    pricing_json=os.environ["PRICES"],
)
client = openai.OpenAI()
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]


@openlit.trace
def weather(city):
    if is_down:
        raise LookupError(city)
    return "sunny"


@openlit.trace
def forecaster(question):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": question},
    ]
    answer = client.chat.completions.create(
        model="m", messages=messages, tools=TOOLS, temperature=0.5, user="ada"
    )
    message = answer.choices[0].message
    (call,) = message.tool_calls
    result = weather(**json.loads(call.function.arguments))
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    answer = client.chat.completions.create(model="m", messages=messages, tools=TOOLS, user="ada")
    return answer.choices[0].message.content


for is_down in (False, True):
    with contextlib.suppress(LookupError):
        forecaster("How is the weather?")
