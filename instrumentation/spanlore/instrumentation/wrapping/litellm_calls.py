"""LiteLLM's calls of any provider's model, which are OpenAI's in shape, and read as those are.

They are chat, responses, embeddings, and the completion of a text, which is told as a chat is.

A provider's SDK that LiteLLM calls below is traced as well: its instrumentor finds that a call is
going on and adds to its span what it knows, rather than beginning another.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any

import litellm
from openai.types.responses import Response
from opentelemetry.instrumentation.genai.openai import (
    chat_wrappers,
    patch,
    response_extractors,
    response_wrappers,
    utils,
)
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import EmbeddingInvocation, InferenceInvocation
from opentelemetry.util.genai.types import ReasoningPart

from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import around
from spanlore.instrumentation.wrapping.bracket import Bracket
from spanlore.schemas import semconv

# LiteLLM's names of providers, where the conventions have another.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_UNKNOWN = "litellm"

# Given by `wrap`; another where it is asked of another kind.
_handler: TelemetryHandler


def wrap(handler: TelemetryHandler) -> None:
    """Trace the calls that a program makes; what LiteLLM calls of itself is within one."""
    global _handler  # noqa: PLW0603  # the library is amended once, whoever traces it
    _handler = handler
    around(litellm, "completion", partial(_completion, _Stream))
    around(litellm, "acompletion", partial(_completion, _AsyncStream))
    around(litellm, "text_completion", partial(_text_completion, _TextStream))
    around(litellm, "atext_completion", partial(_text_completion, _AsyncTextStream))
    around(litellm, "responses", partial(_responses, _ResponseStream))
    around(litellm, "aresponses", partial(_responses, _AsyncResponseStream))
    for name in ("embedding", "aembedding"):
        around(litellm, name, _embedding)


def _completion(stream: Any, /, model: str, messages: Any = (), **said: Any) -> Bracket:
    handler, name = _of_provider(model, said)
    with_content = _handler.should_capture_content()
    asked = {**said, "model": name, "messages": messages}
    invocation = utils.create_chat_invocation(handler, asked, None, with_content)

    def read(answer: Any) -> None:
        patch._set_response_properties(invocation, answer, with_content)  # noqa: SLF001

    return _Completion(invocation, read, stream)


def _text_completion(stream: Any, /, *given: Any, **said: Any) -> Bracket:
    asked = dict(zip(("prompt", "model"), given, strict=False)) | said
    handler, name = _of_provider(asked.get("model") or asked["engine"], asked)
    handler.operation = semconv.OP_TEXT_COMPLETION
    with_content = _handler.should_capture_content()
    texts = asked["prompt"] if isinstance(asked["prompt"], list) else [asked["prompt"]]
    messages = [{"role": "user", "content": str(text)} for text in texts]
    asked |= {"model": name, "messages": messages}
    invocation = utils.create_chat_invocation(handler, asked, None, with_content)

    def read(answer: Any) -> None:
        chat = SimpleNamespace(**{**dict(answer), "choices": list(map(_as_chat, answer.choices))})
        patch._set_response_properties(invocation, chat, with_content)  # noqa: SLF001

    return _Completion(invocation, read, stream)


def _as_chat(choice: Any) -> Any:
    said = SimpleNamespace(role="assistant", content=choice.text, tool_calls=None)
    return SimpleNamespace(
        index=choice.index, finish_reason=choice.finish_reason, message=said, delta=said
    )


def _responses(stream: Any, /, *given: Any, **said: Any) -> Bracket:
    asked = dict(zip(("input", "model"), given, strict=False)) | said
    handler, name = _of_provider(asked["model"], asked)
    with_content = _handler.should_capture_content()
    params = response_extractors.extract_params(**{**asked, "model": name})
    known: Any = response_extractors.get_inference_creation_kwargs(params, None)
    invocation = handler.inference(**known)
    response_extractors.apply_request_attributes(invocation, params, with_content)

    def read(answer: Any) -> None:
        response_extractors.set_invocation_response_attributes(
            invocation, _as_openais(answer), with_content
        )

    return _Completion(invocation, read, stream)


def _as_openais(response: Any) -> Any:
    """Return LiteLLM's response as one of OpenAI's, which alone are read; not all need be there."""
    if response is None:
        return None
    values = response.model_dump(warnings=False)
    for item in values["output"]:
        if item.get("status") == "stop":  # a chat's word, in what older versions make of one
            item["status"] = "completed"
    return Response.construct(**values)


def _embedding(model: str, *_: Any, **said: Any) -> Bracket:
    handler, name = _of_provider(model, said)
    invocation = patch._create_embedding_invocation(handler, {**said, "model": name}, None)  # noqa: SLF001
    return Bracket(invocation, partial(patch._set_embeddings_response_properties, invocation))  # noqa: SLF001


class _OfProvider:
    """The handler for what takes every provider for OpenAI."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self.operation = semconv.OP_CHAT

    def inference(self, provider: str, **known: Any) -> InferenceInvocation:
        del provider
        return _handler.inference(self._provider, operation_name=self.operation, **known)

    def embedding(self, _: str, **known: Any) -> EmbeddingInvocation:
        return _handler.embedding(provider=self._provider, **known)


def _of_provider(model: str, said: Mapping[str, Any]) -> tuple[Any, str]:
    """Return a handler of the provider that the model's name tells, and the name without it.

    LiteLLM's own function for it prints a page where it knows no provider.
    """
    provider, _, name = model.partition("/")
    if not name or provider not in litellm.provider_list:
        known = litellm.model_cost.get(model, {}).get("litellm_provider", _UNKNOWN)
        provider, name = said.get("custom_llm_provider") or known.partition("-")[0], model
    return _OfProvider(_PROVIDERS.get(provider, provider)), name


class _Completion(Bracket):
    """One answer; where it is a stream the call ends with the stream."""

    def __init__(
        self,
        invocation: InferenceInvocation,
        read: Callable[[Any], None],
        stream: Callable[..., Any],
    ) -> None:
        super().__init__(invocation, read)
        self._stream = stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(self.result, "__next__") or hasattr(self.result, "__anext__"):
            with quiet:
                with_content = _handler.should_capture_content()
                self.result = self._stream(self.result, self._invocation, with_content)
                return
        super().__exit__(kind, error, trace)


class _Streamed:
    """What both kinds of stream do more than those of OpenAI's SDK, whose parts are alike."""

    __wrapped__: Any
    _self_invocation: Any
    _self_usage: Any
    _self_thought: str

    def _process_chunk(self, chunk: Any) -> None:
        with quiet:
            for read in ("_set_response_id", "_set_response_model", "_build_streaming_response"):
                getattr(self, read)(chunk)
            for choice in chunk.choices:
                self._self_thought += getattr(choice.delta, "reasoning_content", None) or ""

    def _chunks(self) -> Any:
        return self.__wrapped__.chunks

    def _set_output_messages(self) -> None:
        super()._set_output_messages()  # type: ignore[misc]  # the stream's, which stands below
        if self._self_thought and self._self_invocation.output_messages:
            thought = ReasoningPart(content=self._self_thought)
            self._self_invocation.output_messages[0].parts.insert(0, thought)

    def _cleanup(self, error: BaseException | None = None) -> None:
        with quiet:
            # LiteLLM keeps the parts, also of the usage that the program did not ask for; some
            # versions have what went in on one part, and what came out on another.
            usages = [getattr(part, "usage", None) for part in self._chunks()]
            known = sorted(filter(None, usages), key=lambda usage: usage.prompt_tokens)
            if known:
                self._self_usage = known[-1].model_copy()
                self._self_usage.completion_tokens = max(usage.completion_tokens for usage in known)
        with quiet:
            super()._cleanup(error)  # type: ignore[misc]  # as above
        finish(self._self_invocation, error)


class _Stream(_Streamed, chat_wrappers.ChatStreamWrapper):
    _self_thought = ""


class _AsyncStream(_Streamed, chat_wrappers.AsyncChatStreamWrapper):
    _self_thought = ""


class _StreamedText:
    """The same of a text, whose parts have no message."""

    __wrapped__: Any
    _self_usage: Any

    def _process_chunk(self, chunk: Any) -> None:
        with quiet:
            self._self_usage = getattr(chunk, "usage", None) or self._self_usage
            choices = list(map(_as_chat, chunk.choices))
            part = SimpleNamespace(id=chunk.id, model=chunk.model, choices=choices)
            super()._process_chunk(part)  # type: ignore[misc]  # as above

    def _chunks(self) -> Any:
        return getattr(self.__wrapped__.completion_stream, "chunks", ())


class _TextStream(_StreamedText, _Stream):
    pass


class _AsyncTextStream(_StreamedText, _AsyncStream):
    pass


class _StreamedResponse:
    def _apply_response_attributes(self, result: Any) -> None:
        with quiet:
            super()._apply_response_attributes(_as_openais(result))  # type: ignore[misc]  # as above


class _ResponseStream(_StreamedResponse, response_wrappers.ResponseStreamWrapper[Any]):
    _self_invocation: Any


class _AsyncResponseStream(_StreamedResponse, response_wrappers.AsyncResponseStreamWrapper[Any]):
    _self_invocation: Any
