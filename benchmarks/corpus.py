"""Seeded OTLP requests to measure with: spans of AI agents, of long chats, and small classic ones.

Agent spans come as an SDK's batch exporter sends them: one service process a request, spans in
the order in which they ended, several runs interleaved. A run is a root, and in turn a chat span,
whose history grows, and the tool span that it asked for.

Run it to see what a corpus weighs: ``python benchmarks/corpus.py [spans]``.
"""

import gzip
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from spanlore.schemas import semconv
from words import Text

AGENT_SPANS_A_REQUEST: Final = 200
CHAT_SPANS_A_REQUEST: Final = 32  # as many bytes as the agents' 200
CLASSIC_SPANS_A_REQUEST: Final = 512  # what OpenTelemetry's batch processor sends at most

_START_NS: Final = 1_767_607_200_000_000_000  # 2026-01-05T10:00:00Z: one day, one partition
_SERVICES: Final = 12
_CHAT_SERVICES: Final = 4
_TENANTS: Final = 4
_USERS: Final = 400
_TOOL_ERRORS: Final = 0.06
_MODELS: Final = (
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-5.1"),
    ("openai", "gpt-5-mini"),
)

Value = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How the runs of a service look: turns of one, drawn from these, and how many go at once."""

    turns: tuple[int, ...]
    runs_at_once: int


_AGENTS: Final = _Shape(turns=(2, 3, 3, 4, 4, 5), runs_at_once=24)
_CHATS: Final = _Shape(turns=(40,), runs_at_once=4)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Serialized export requests and the number of spans in all of them."""

    name: str
    requests: list[bytes]
    spans: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all requests."""
        return sum(len(request) for request in self.requests)

    def first(self, spans: int | None) -> "Corpus":
        """Give the first requests that hold this many spans; None: all."""
        a_request = self.spans // len(self.requests)
        requests = self.requests if spans is None else self.requests[: -(-spans // a_request)]
        return Corpus(self.name, requests, len(requests) * a_request)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agent:
    """What the runs of one service have in common."""

    name: str
    provider: str
    model: str
    instructions: str
    tools: tuple[str, ...]
    tool_definitions: str
    resource: Mapping[str, Value]


def agent_corpus(spans: int, *, seed: int) -> Corpus:
    """Make agent spans of about 3.8 KB; ``spans`` is rounded up to whole requests."""
    rng = random.Random(seed)
    text = Text(rng)
    services = [_Service(rng, text, number, shape=_AGENTS) for number in range(_SERVICES)]
    return _of_services("agent", services, spans, a_request=AGENT_SPANS_A_REQUEST)


def chat_corpus(spans: int, *, seed: int) -> Corpus:
    """Make runs of 40 turns, each of which sends all that was said before; about 20 KB a span."""
    rng = random.Random(seed)
    text = Text(rng)
    services = [_Service(rng, text, number, shape=_CHATS) for number in range(_CHAT_SERVICES)]
    return _of_services("chats", services, spans, a_request=CHAT_SPANS_A_REQUEST)


def _of_services(
    name: str, services: Sequence["_Service"], spans: int, *, a_request: int
) -> Corpus:
    requests: list[bytes] = []
    while len(requests) * a_request < spans:
        requests.append(services[len(requests) % len(services)].request(a_request))
    return Corpus(name, requests, len(requests) * a_request)


def classic_corpus(spans: int, *, seed: int) -> Corpus:
    """Make HTTP server spans of about 200 bytes."""
    rng = random.Random(seed)
    requests: list[bytes] = []
    while len(requests) * CLASSIC_SPANS_A_REQUEST < spans:
        group = _resource({"service.name": f"shop-{len(requests) % _SERVICES}"})
        scope = group.scope_spans.add()
        scope.scope.name = "http"
        for number in range(CLASSIC_SPANS_A_REQUEST):
            at = _START_NS + (len(requests) * CLASSIC_SPANS_A_REQUEST + number) * 5_000_000
            scope.spans.append(_classic_span(rng, at))
        requests.append(ExportTraceServiceRequest(resource_spans=[group]).SerializeToString())
    return Corpus("classic", requests, len(requests) * CLASSIC_SPANS_A_REQUEST)


def _classic_span(rng: random.Random, at: int) -> Span:
    route = rng.choice(("/cart", "/orders/{id}", "/items/{id}", "/search", "/login"))
    attributes: dict[str, Value] = {
        "http.request.method": rng.choice(("GET", "GET", "GET", "POST")),
        "http.route": route,
        "url.path": route.replace("{id}", str(rng.randrange(100_000))),
        "http.response.status_code": rng.choice((200, 200, 200, 201, 404)),
        "server.port": 443,
    }
    return Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        name=f"{attributes['http.request.method']} {route}",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=at,
        end_time_unix_nano=at + rng.randrange(1_000_000, 400_000_000),
        attributes=_attributes(attributes),
    )


class _Service:
    """One process of a service: it runs several agents at once and exports what ended."""

    def __init__(self, rng: random.Random, text: Text, number: int, *, shape: _Shape) -> None:
        self._rng = rng
        self._shape = shape
        self._text = text
        self._agent = _agent(rng, text, number)
        self._clock_ns = _START_NS + number * 1_000_003
        self._runs = [self._run() for _ in range(shape.runs_at_once)]

    def request(self, spans: int) -> bytes:
        group = _resource(self._agent.resource)
        scope = group.scope_spans.add()
        scope.scope.name = "opentelemetry.instrumentation.genai"
        scope.scope.version = "1.4.0"
        while len(scope.spans) < spans:
            index = self._rng.randrange(len(self._runs))
            span = next(self._runs[index], None)
            if span is None:
                self._runs[index] = self._run()
            else:
                scope.spans.append(span)
        return ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()

    def _run(self) -> Iterator[Span]:  # noqa: PLR0915 - a run told from its first message to its last
        """Yield the spans of one run, its root last."""
        rng, text, agent = self._rng, self._text, self._agent
        trace_id, root_id = rng.randbytes(16), rng.randbytes(8)
        started_ns = self._clock_ns
        common: dict[str, Value] = {
            semconv.CONVERSATION_ID: f"conv_{rng.randbytes(12).hex()}",
            semconv.AGENT_NAME: agent.name,
            semconv.USER_ID: f"user-{rng.randrange(_USERS)}",
            semconv.TASK_TYPE: rng.choice(("refund", "rebook", "search", "advice")),
            semconv.TASK_ID: f"task-{rng.randrange(5000)}",
        }
        question = _message("user", {"type": "text", "content": text.prose(rng.randrange(80, 700))})
        history = [question]
        answer = ""
        for turn, turns_left in enumerate(range(rng.choice(self._shape.turns), 0, -1)):
            call_id = f"call_{rng.randbytes(12).hex()}"
            tool = rng.choice(agent.tools)
            arguments = self._arguments()
            asked = _asked(call_id, tool, arguments) if turns_left > 1 else _said(text.prose(600))
            answer = _message("assistant", *asked)
            span = self._span(trace_id, root_id, f"chat {agent.model}", Span.SPAN_KIND_CLIENT)
            span.attributes.extend(_attributes(self._chat(common, history, answer, turn=turn)))
            yield span
            if turns_left == 1:
                break
            result = self._result()
            span = self._span(trace_id, root_id, f"execute_tool {tool}", Span.SPAN_KIND_INTERNAL)
            span.attributes.extend(_attributes(_tool(common, tool, call_id, arguments, result)))
            if rng.random() < _TOOL_ERRORS:
                self._fail(span)
            yield span
            response = {"type": "tool_call_response", "id": call_id, "response": result}
            history += [answer, _message("tool", response)]
        root = self._span(trace_id, b"", f"invoke_agent {agent.name}", Span.SPAN_KIND_INTERNAL)
        root.span_id = root_id
        root.start_time_unix_nano = started_ns
        root.attributes.extend(_attributes(self._root(common, question, answer)))
        yield root

    def _span(
        self, trace_id: bytes, parent: bytes, name: str, kind: Span.SpanKind.ValueType
    ) -> Span:
        start = self._clock_ns
        self._clock_ns += self._rng.randrange(1_000_000, 60_000_000)
        return Span(
            trace_id=trace_id,
            span_id=self._rng.randbytes(8),
            parent_span_id=parent,
            name=name,
            kind=kind,
            start_time_unix_nano=start,
            end_time_unix_nano=self._clock_ns,
        )

    def _chat(
        self, common: Mapping[str, Value], history: list[str], answer: str, *, turn: int
    ) -> dict[str, Value]:
        agent, rng = self._agent, self._rng
        messages = f"[{','.join(history)}]"
        return {
            semconv.OPERATION_NAME: semconv.OP_CHAT,
            semconv.PROVIDER_NAME: agent.provider,
            semconv.REQUEST_MODEL: agent.model,
            semconv.RESPONSE_MODEL: f"{agent.model}-2026-01-01",
            semconv.RESPONSE_ID: f"resp_{rng.randbytes(16).hex()}",
            **common,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 4096,
            semconv.RESPONSE_FINISH_REASONS: ["stop"],
            semconv.USAGE_INPUT_TOKENS: len(messages) // 4 + rng.randrange(40),
            semconv.USAGE_OUTPUT_TOKENS: len(answer) // 4,
            semconv.USAGE_CACHE_READ: turn * 256,
            "server.address": f"api.{agent.provider}.example",
            "server.port": 443,
            semconv.SYSTEM_INSTRUCTIONS: agent.instructions,
            semconv.TOOL_DEFINITIONS: agent.tool_definitions,
            semconv.INPUT_MESSAGES: messages,
            semconv.OUTPUT_MESSAGES: f"[{answer}]",
        }

    def _root(self, common: Mapping[str, Value], question: str, answer: str) -> dict[str, Value]:
        return {
            semconv.OPERATION_NAME: semconv.OP_INVOKE_AGENT,
            semconv.PROVIDER_NAME: self._agent.provider,
            semconv.REQUEST_MODEL: self._agent.model,
            **common,
            semconv.AGENT_VERSION: "3.2.0",
            semconv.INPUT_MESSAGES: f"[{question}]",
            semconv.OUTPUT_MESSAGES: f"[{answer}]",
        }

    def _arguments(self) -> str:
        rng = self._rng
        names = self._text.words(4)
        return json.dumps(
            {
                names[0]: f"{rng.randrange(10**9):09d}",
                names[1]: round(rng.random() * 900, 2),
                names[2]: self._text.prose(40),
                names[3]: f"2026-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)}",
            }
        )

    def _result(self) -> str:
        """Make what a tool gives back: records of a business, half of them text."""
        rng, text = self._rng, self._text
        records = [
            {
                "id": rng.randbytes(6).hex(),
                "price": round(rng.random() * 1000, 2),
                "at": f"2026-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)}",
                "note": text.prose(rng.randrange(80, 335)),
            }
            for _ in range(rng.randrange(2, 8))
        ]
        return json.dumps(records)

    def _fail(self, span: Span) -> None:
        message = self._text.prose(60)
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=message))
        span.attributes.extend(_attributes({semconv.ERROR_TYPE: "ToolError"}))
        event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
        exception: dict[str, Value] = {
            "exception.type": "ToolError",
            "exception.message": message,
            "exception.stacktrace": f"Traceback (most recent call last):\n{self._text.prose(400)}",
        }
        event.attributes.extend(_attributes(exception))


def _agent(rng: random.Random, text: Text, number: int) -> _Agent:
    provider, model = _MODELS[number % len(_MODELS)]
    tools = tuple("_".join(text.words(2)) for _ in range(3))
    definitions = [
        {
            "type": "function",
            "name": tool,
            "description": text.prose(50),
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
        }
        for tool in tools
    ]
    return _Agent(
        name=f"{text.words(1)[0]}-agent",
        provider=provider,
        model=model,
        instructions=json.dumps([{"type": "text", "content": text.prose(400)}]),
        tools=tools,
        tool_definitions=json.dumps(definitions),
        resource={
            "service.name": f"agents-{number}",
            "service.version": f"1.{number}.0",
            "deployment.environment.name": "production",
            "host.name": f"node-{rng.randrange(10**6):06d}.internal.example",
            "process.pid": rng.randrange(100, 60_000),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
            semconv.TENANT_ID: f"tenant-{number % _TENANTS}",
        },
    )


def _tool(
    common: Mapping[str, Value], tool: str, call_id: str, arguments: str, result: str
) -> dict[str, Value]:
    return {
        semconv.OPERATION_NAME: semconv.OP_EXECUTE_TOOL,
        **common,
        semconv.TOOL_NAME: tool,
        semconv.TOOL_TYPE: "function",
        semconv.TOOL_CALL_ID: call_id,
        semconv.TOOL_CALL_ARGUMENTS: arguments,
        semconv.TOOL_CALL_RESULT: result,
    }


def _asked(call_id: str, tool: str, arguments: str) -> list[dict[str, str]]:
    return [{"type": "tool_call", "id": call_id, "name": tool, "arguments": arguments}]


def _said(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "content": content}]


def _message(role: str, *parts: Mapping[str, str]) -> str:
    return json.dumps({"role": role, "parts": parts})


def _resource(attributes: Mapping[str, Value]) -> ResourceSpans:
    group = ResourceSpans()
    group.resource.attributes.extend(_attributes(attributes))
    return group


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in values.items()]


def _any(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    array = AnyValue()
    array.array_value.values.extend(AnyValue(string_value=item) for item in value)
    return array


def describe(corpus: Corpus) -> str:
    """Say what a corpus weighs and how it compresses (gzip level 6, request by request)."""
    some = corpus.requests[:: max(1, len(corpus.requests) // 20)]
    ratio = sum(map(len, some)) / sum(len(gzip.compress(request, 6)) for request in some)
    return (
        f"{corpus.name}: {corpus.spans:,} spans, {corpus.size_bytes / corpus.spans:,.0f} bytes a "
        f"span, {corpus.spans // len(corpus.requests)} spans a request, gzip-6 {ratio:.1f}:1"
    )


if __name__ == "__main__":
    _SPANS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(describe(agent_corpus(_SPANS, seed=1)))
    print(describe(classic_corpus(_SPANS, seed=1)))
    print(describe(chat_corpus(_SPANS, seed=1)))
