"""The scripted model: it answers from the request alone, follows memory, schemas and the user."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from spanlore.demo import TOOLS
from spanlore.demo.faults import CONFOUNDED, MISNAMED_KEY, VAGUE_DURATION
from spanlore.demo.model import Reply, reply
from spanlore.demo.settings import settings_in
from spanlore.demo.users import Request, requests
from spanlore.schemas.semconv import MEMORY_BEGIN, MEMORY_END

SEED = 5
STOP_S = 10
TOOLS_SAID: list[dict[str, Any]] = json.loads(TOOLS.read_text(encoding="utf-8"))
ASKED = requests(1, seed=SEED)
PROPERTIES = next(
    tool["function"]["parameters"]["properties"]
    for tool in TOOLS_SAID
    if tool["function"]["name"] == VAGUE_DURATION.tool
)


class Chat:
    """A conversation with the model in which every tool does as it is told."""

    def __init__(
        self, asked: str, *, memory: str = "", tools: list[dict[str, Any]] | None = None
    ) -> None:
        system = f"You arrange meetings.\n{MEMORY_BEGIN}\n- {memory}\n{MEMORY_END}"
        self.request: dict[str, Any] = {
            "model": "gpt-4o",
            "tools": tools or TOOLS_SAID,
            "messages": [
                {"role": "system", "content": system if memory else "You arrange meetings."},
                {"role": "user", "content": asked},
            ],
        }

    def reply(self) -> Reply:
        return reply(self.request, seed=SEED)

    def answered(self, answers: dict[str, str]) -> Reply:
        """Have the model's calls answered, by tool, until it has something else to say."""
        said = self.reply()
        for _ in range(20):
            if not said.calls or not {call.name for call in said.calls} <= answers.keys():
                return said
            self.add(said, answers)
            said = self.reply()
        pytest.fail("the model does not come to an end")

    def add(self, said: Reply, answers: dict[str, str]) -> None:
        """Add the model's calls to the conversation, with what the tools answer."""
        number = len(self.request["messages"])
        ids = [f"call_{number}_{position}" for position in range(len(said.calls))]
        calls = [
            {"id": key, "function": {"name": one.name, "arguments": json.dumps(one.arguments)}}
            for key, one in zip(ids, said.calls, strict=True)
        ]
        self.request["messages"].append({"role": "assistant", "tool_calls": calls})
        self.request["messages"] += [
            {"role": "tool", "tool_call_id": key, "content": answers[one.name]}
            for key, one in zip(ids, said.calls, strict=True)
        ]


LOOKED_UP = {
    "find_contact": '{"contact_id": "c_1"}',
    "find_free_slots": json.dumps(
        {
            "slots": [f"2026-01-05T{time}" for time in ("09:00", "09:30", "14:00", "15:30")],
            "rooms": [{"room_id": "r_1", "room_name": "Oak"}],
        }
    ),
}
CREATED = {**LOOKED_UP, "create_event": '{"event_id": "e_1"}'}
ALL_DONE = {**CREATED, "book_room": "{}", "send_invitation": "{}"}


def created(request: Request, **options: Any) -> dict[str, Any]:
    """Return what the model creates the event with."""
    [call] = Chat(request.text, **options).answered(LOOKED_UP).calls
    assert call.name == "create_event"
    return dict(call.arguments)


def with_schema(**changes: Any) -> list[dict[str, Any]]:
    """Return the tool definitions with another schema of the duration."""
    tools: list[dict[str, Any]] = json.loads(json.dumps(TOOLS_SAID))
    for tool in tools:
        if tool["function"]["name"] == VAGUE_DURATION.tool:
            tool["function"]["parameters"]["properties"]["duration"] |= changes
    return tools


def share_in_words(**options: Any) -> float:
    durations = [created(request, **options)["duration"] for request in ASKED]
    return sum(isinstance(one, str) for one in durations) / len(durations)


def test_the_same_request_gets_the_same_answer() -> None:
    request = ASKED[7].text
    assert Chat(request).reply() == Chat(request).reply()
    assert Chat(request).reply() == Chat(request, memory="the sky is blue").reply()


def test_the_model_looks_everybody_up_at_once_and_then_creates_the_event() -> None:
    for request in ASKED[:18]:
        calls = Chat(request.text).reply().calls
        assert [call.name for call in calls[:-1]] == ["find_contact"] * request.meeting.people
        assert calls[-1].name == "find_free_slots"
        arguments = created(request)
        assert arguments["title"] == request.meeting.title
        assert arguments["start"].endswith("T09:30")
        assert (arguments["video"], arguments["reminder"]) == ("meet", 10)


def test_the_model_books_a_room_where_one_is_asked_for_and_ends() -> None:
    for request in ASKED[:18]:
        names = [call.name for call in Chat(request.text).answered(CREATED).calls]
        assert ("book_room" in names) == request.meeting.needs_room
        assert names.count("send_invitation") == request.meeting.people


def test_about_three_in_ten_durations_are_in_words_when_the_definition_is_vague() -> None:
    assert abs(share_in_words() - VAGUE_DURATION.share) < 0.08


@pytest.mark.parametrize(
    "says",
    [
        {"type": "integer"},
        {"description": "Length of the meeting. Give `duration` as a whole number."},
        {"description": "Length in minutes"},
    ],
)
def test_a_definition_that_says_how_a_duration_is_written_is_followed(says: dict[str, str]) -> None:
    assert 0 < share_in_words(tools=with_schema(**says)) < 0.06


def test_a_definition_that_names_the_other_key_is_followed() -> None:
    tools: list[dict[str, Any]] = json.loads(json.dumps(TOOLS_SAID))
    [invite] = [one for one in tools if one["function"]["name"] == MISNAMED_KEY.tool]
    told = json.loads(json.dumps(invite))
    told["function"]["description"] += " Pass what find_contact returns as `contact_id`."
    shares = []
    for definition in (invite, told):
        others = [one for one in tools if one is not invite]
        last = [
            Chat(request.text, tools=[*others, definition]).answered(CREATED).calls[-1]
            for request in ASKED
        ]
        shares.append(sum("contact_id" in call.arguments for call in last) / len(last))
    assert abs(shares[0] - MISNAMED_KEY.share) < 0.08
    assert shares[1] < 0.06


@pytest.mark.parametrize(
    ("memory", "argument", "value"),
    [
        ("Use 14:00 for `start` of create_event, instead of 09:30.", "start", "2026-01-05T14:00"),
        ("These users want `video` to be zoom rather than meet.", "video", "zoom"),
        ("In create_event give `reminder` as 60 (not 10).", "reminder", 60),
    ],
)
def test_memory_is_nearly_always_followed(memory: str, argument: str, value: object) -> None:
    chosen = [created(request, memory=memory)[argument] for request in ASKED[:100]]
    assert 90 <= chosen.count(value) < 100


def test_lines_outside_the_memory_are_not_memory() -> None:
    chat = Chat(ASKED[0].text)
    chat.request["messages"][0]["content"] += "\n- Use zoom for `video`."
    [call] = chat.answered(LOOKED_UP).calls
    assert call.arguments["video"] == "meet"


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("No, please start at 15:30.", {"start": "2026-01-05T15:30"}),
        ("No, please for the video call take none.", {"video": "none"}),
        ("No, please make it private for others and remind us 30 minutes before.",
         {"visibility": "private", "reminder": 30}),
    ],
)  # fmt: skip
def test_what_the_user_says_afterwards_changes_the_event(
    said: str, changed: dict[str, Any]
) -> None:
    request = next(one for one in ASKED if one.meeting.task_type == "one_on_one")
    chat = Chat(request.text)
    assert chat.answered(ALL_DONE).text
    before = next(
        json.loads(call["function"]["arguments"])
        for message in chat.request["messages"]
        for call in message.get("tool_calls", ())
        if call["function"]["name"] == "create_event"
    )
    chat.request["messages"].append({"role": "user", "content": said})
    [call] = chat.reply().calls
    assert call.name == "create_event"
    assert call.arguments == {**before, **changed}
    assert chat.answered(ALL_DONE).text


def test_an_error_about_the_arguments_is_mostly_understood() -> None:
    error = "duration must be a whole number of minutes, got '1h'"
    corrected = []
    for request in ASKED:
        if isinstance(created(request)["duration"], str):
            chat = Chat(request.text)
            chat.answered(LOOKED_UP)
            chat.add(chat.reply(), {"create_event": error})
            said = chat.reply()
            corrected += [
                call.arguments["duration"] == request.meeting.minutes for call in said.calls
            ]
    assert 0.7 < sum(corrected) / len(corrected) < 1


def test_planning_is_mostly_private_and_nothing_else_is() -> None:
    private: dict[bool, list[bool]] = {True: [], False: []}
    for request in ASKED:
        planning = request.meeting.task_type == CONFOUNDED.task_type
        private[planning].append(created(request)["visibility"] == CONFOUNDED.value)
    assert abs(sum(private[True]) / len(private[True]) - CONFOUNDED.share) < 0.15
    assert abs(sum(private[False]) / len(private[False]) - CONFOUNDED.share_elsewhere) < 0.08


def test_words_that_name_no_argument_set_none() -> None:
    assert settings_in("Meet me at the zoom lens shop at noon.", PROPERTIES, named=True) == {}
    assert settings_in("Everything is fine, thank you.", PROPERTIES, named=False) == {}


@pytest.fixture
def address() -> Iterator[str]:
    """Start the server as the demo does and return its address; it ends with its stdin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spanlore.demo.model_server", "--seed", str(SEED)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout as said, process.stdin:
        ready = json.loads(said.readline())
        assert ready["ready"]
        yield f"http://127.0.0.1:{ready['port']}/v1/chat/completions"
    assert process.wait(STOP_S) == 0


def asked(address: str, body: bytes) -> tuple[int, dict[str, Any]]:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=STOP_S)
    with closing(connection):
        connection.request("POST", where.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def test_the_server_speaks_the_api_of_chat_completions(address: str) -> None:
    request = Chat(ASKED[0].text).request
    status, answer = asked(address, json.dumps(request).encode())
    assert status == 200
    [choice] = answer["choices"]
    calls = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert json.loads(calls[0]["function"]["arguments"])["name"]
    assert len({call["id"] for call in calls}) == len(calls)
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 100


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": [{"role": "user"}]}'])
def test_the_server_refuses_what_it_does_not_understand(address: str, body: bytes) -> None:
    status, answer = asked(address, body)
    assert status == 400
    assert answer["error"]["message"]
