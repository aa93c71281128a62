"""A small agent on the `openai` SDK that books meetings; runs against any compatible server.

    spanlore run -- python examples/traced_agent.py "Lunch with Bea on Friday"

OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL say which server and model.
"""

import json
import os
import sys
from typing import Any

from openai import OpenAI

from spanlore.instrumentation import judge, lessons_for, run, tool

INSTRUCTIONS = "You book meetings with create_event. Times are the user's own."
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "create_event",
            "description": "Create a calendar event.",
            "parameters": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "start": {"type": "string"}},
                "required": ["title", "start"],
            },
        },
    }
]
TURNS_MAX = 5


@tool
def create_event(title: str, start: str) -> dict[str, str]:
    """Book it, here only in memory."""
    return {"title": title, "start": start, "status": "booked"}


def answer(client: OpenAI, messages: list[Any]) -> str:
    """Let the model call the tool until it answers in words."""
    for _ in range(TURNS_MAX):
        reply = client.chat.completions.create(
            model=os.environ.get("OPENAI_MODEL", "gpt-5-mini"), messages=messages, tools=TOOLS
        )
        message = reply.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message)
        for call in message.tool_calls:
            if call.type != "function":
                continue
            result = create_event(**json.loads(call.function.arguments))
            messages.append(
                {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)}
            )
    return "I could not do it."


def main() -> None:
    """Book what the command line asks for."""
    wish = " ".join(sys.argv[1:]) or "Book a stand-up for tomorrow"
    with run("assistant", user="ann", tenant="acme", task="scheduling"):
        system = f"{INSTRUCTIONS}\n{lessons_for().text}".strip()
        messages = [{"role": "system", "content": system}, {"role": "user", "content": wish}]
        said = answer(OpenAI(), messages)
        judge("pass" if "booked" in said.lower() else "fail", reason=said)
    print(said)


if __name__ == "__main__":
    main()
