"""An agent on Amazon Bedrock by boto3: one run a scenario, named by it."""

import contextlib
import json

import spanlore.auto
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from spanlore.instrumentation import run, tool

client = boto3.client(
    "bedrock-runtime", config=Config(retries={"mode": "standard", "max_attempts": 3})
)
CLAUDE = "anthropic.claude-m"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
SPEC = {"name": "weather", "description": "The weather.", "inputSchema": {"json": SCHEMA}}
TOOLS = {"tools": [{"toolSpec": SPEC}]}
BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]}
        ],
    }
)


def said(*parts, role="user"):
    return {"role": role, "content": list(parts)}


QUESTION = [said({"text": "How is the weather?"})]


@tool
def weather(city):
    if failing:
        raise LookupError(city)
    return "sunny"


def agent():
    answer = client.converse(modelId="m", messages=QUESTION, toolConfig=TOOLS)["output"]["message"]
    (call,) = [part["toolUse"] for part in answer["content"]]
    result = {"toolUseId": call["toolUseId"]}
    try:
        result["content"] = [{"text": weather(**call["input"])}]
    except LookupError as error:
        result |= {"content": [{"text": repr(error)}], "status": "error"}
    messages = [*QUESTION, answer, said({"toolResult": result})]
    client.converse(modelId="m", messages=messages, toolConfig=TOOLS)


with run("chat"):
    client.converse(
        modelId="m",
        system=[{"text": "Be brief."}],
        messages=QUESTION,
        inferenceConfig={"temperature": 0.5, "maxTokens": 64},
    )
with run("stream"):
    for _ in client.converse_stream(modelId="m", messages=QUESTION)["stream"]:
        pass
with run("abandoned stream"):
    for _ in client.converse_stream(modelId="m", messages=QUESTION)["stream"]:
        break
failing = False
with run("tools"):
    agent()
failing = True
with run("tool error"):
    agent()
with run("reasoning"):
    client.converse(modelId="thinking-m", messages=QUESTION)
with run("error"), contextlib.suppress(ClientError):
    client.converse(modelId="refused-m", messages=QUESTION)
with run("retry"):
    client.converse(modelId="busy-m", messages=QUESTION)
with run("invoked"):
    client.invoke_model(modelId=CLAUDE, body=BODY)["body"].read()
with run("invoked stream"):
    for _ in client.invoke_model_with_response_stream(modelId=CLAUDE, body=BODY)["body"]:
        pass
with run("embeddings"):
    client.invoke_model(
        modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "sunny"})
    )
