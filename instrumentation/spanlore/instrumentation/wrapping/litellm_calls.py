"""LiteLLM's calls of any provider's model, which are OpenAI's in shape, and read as those are.

A provider's SDK that LiteLLM calls below is traced as well: its instrumentor finds that a call is
going on and adds to its span what it knows, rather than beginning another.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import litellm
from opentelemetry.instrumentation.genai.openai import chat_wrappers, patch, utils
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import EmbeddingInvocation, InferenceInvocation
from opentelemetry.util.genai.types import ReasoningPart

from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import around
from spanlore.instrumentation.wrapping.bracket import Bracket

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
    for name in ("embedding", "aembedding"):
        around(litellm, name, _embedding)


def _completion(stream: Any, /, model: str, messages: Any = (), **said: Any) -> Bracket:
    handler, name = _of_provider(model, said)
    with_content = _handler.should_capture_content()
    asked = {**said, "model": name, "messages": messages}
    invocation = utils.create_chat_invocation(handler, asked, None, with_content)

    def read(answer: Any) -> None:
        patch._set_response_properties(invocation, answer, with_content)  # noqa: SLF001

    def read_later(parts: Any) -> Any:
        return stream(parts, invocation, with_content)

    return _Completion(invocation, read, read_later)


def _embedding(model: str, *_: Any, **said: Any) -> Bracket:
    handler, name = _of_provider(model, said)
    invocation = patch._create_embedding_invocation(handler, {**said, "model": name}, None)  # noqa: SLF001
    return Bracket(invocation, partial(patch._set_embeddings_response_properties, invocation))  # noqa: SLF001


class _OfProvider:
    """The handler for what takes every provider for OpenAI."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def inference(self, _: str, **known: Any) -> InferenceInvocation:
        return _handler.inference(self._provider, **known)

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
        read_later: Callable[[Any], Any],
    ) -> None:
        super().__init__(invocation, read)
        self._read_later = read_later

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(self.result, litellm.CustomStreamWrapper):
            with quiet:
                self.result = self._read_later(self.result)
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

    def _set_output_messages(self) -> None:
        super()._set_output_messages()  # type: ignore[misc]  # the stream's, which stands below
        if self._self_thought and self._self_invocation.output_messages:
            thought = ReasoningPart(content=self._self_thought)
            self._self_invocation.output_messages[0].parts.insert(0, thought)

    def _cleanup(self, error: BaseException | None = None) -> None:
        with quiet:
            # LiteLLM keeps the parts, also of the usage that the program did not ask for; some
            # versions have what went in on one part, and what came out on another.
            usages = [getattr(part, "usage", None) for part in self.__wrapped__.chunks]
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
