"""Any OpenAI-compatible server, through the official SDK's chat completions."""

from collections.abc import Iterable
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from spanlore.analyzers.models.prompt import Completion, Prompt
from spanlore.analyzers.models.question import ModelRefused
from spanlore.analyzers.models.sdk_errors import not_a_reply, translated, unknown_wish
from spanlore.analyzers.models.settings import ModelSettings


class OpenAIModel:
    """A model behind POST /chat/completions. Safe to use from several threads."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._client = openai.OpenAI(
            api_key=settings.api_key,
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries_max,
            http_client=openai.DefaultHttpxClient(trust_env=not settings.is_on_this_machine),
        )
        self._refused_wishes: set[str] = set()

    def complete(self, prompt: Prompt) -> Completion:
        """Ask once. Raises ModelUnreachable and ModelRefused."""
        with translated(openai, self._settings):
            reply = self._reply(prompt)
        if not isinstance(reply, ChatCompletion) or not reply.choices:
            raise not_a_reply(self._settings)
        choice = reply.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise ModelRefused(f"{self._settings.model} refused to answer")
        return Completion(
            text=choice.message.content or "",
            model=reply.model or self._settings.model,
            input_tokens=reply.usage.prompt_tokens if reply.usage else None,
            output_tokens=reply.usage.completion_tokens if reply.usage else None,
        )

    def _reply(self, prompt: Prompt) -> Any:
        """Ask with all wishes, and again without one that the server says it does not know."""
        turns = [("system", prompt.system), *prompt.turns]
        messages = [{"role": role, "content": text} for role, text in turns]
        while True:
            wishes = self._wishes(prompt)
            try:
                return self._client.chat.completions.create(
                    model=self._settings.model,
                    messages=cast("Iterable[ChatCompletionMessageParam]", messages),
                    extra_body=wishes,
                )
            except openai.BadRequestError as error:
                unknown = unknown_wish(str(error), wishes)
                if unknown is None:
                    raise
                self._refused_wishes.add(unknown)

    def _wishes(self, prompt: Prompt) -> dict[str, object]:
        """Return what not every server and model takes: reasoning models know no temperature."""
        form = {"name": "answer", "strict": True, "schema": prompt.schema}
        wishes: dict[str, object] = {
            "temperature": 0,
            "max_completion_tokens": prompt.output_tokens_max,
            "response_format": {"type": "json_schema", "json_schema": form},
        }
        return {name: one for name, one in wishes.items() if name not in self._refused_wishes}
