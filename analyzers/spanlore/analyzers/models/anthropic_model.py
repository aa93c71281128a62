"""Anthropic's messages API, through the official SDK."""

from collections.abc import Iterable
from typing import Any, cast

import anthropic
from anthropic.types import Message, MessageParam

from spanlore.analyzers.models.prompt import Completion, Prompt
from spanlore.analyzers.models.question import ModelRefused
from spanlore.analyzers.models.sdk_errors import not_a_reply, translated, unknown_wish
from spanlore.analyzers.models.settings import ModelSettings


class AnthropicModel:
    """A model behind POST /v1/messages. Safe to use from several threads."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._client = anthropic.Anthropic(
            api_key=settings.api_key,
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries_max,
            http_client=_http_client(settings),
        )
        self._refused_wishes: set[str] = set()

    def complete(self, prompt: Prompt) -> Completion:
        """Ask once. Raises ModelUnreachable and ModelRefused."""
        with translated(anthropic, self._settings):
            reply = self._reply(prompt)
        if not isinstance(reply, Message):
            raise not_a_reply(self._settings)
        if reply.stop_reason == "refusal":
            raise ModelRefused(f"{self._settings.model} refused to answer")
        usage = reply.usage
        return Completion(
            text="".join(block.text for block in reply.content or () if block.type == "text"),
            model=reply.model or self._settings.model,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
        )

    def _reply(self, prompt: Prompt) -> Any:
        """Ask with all wishes, and again without one that the server says it does not know."""
        messages = [{"role": role, "content": text} for role, text in prompt.turns]
        while True:
            wishes = self._wishes(prompt)
            try:
                return self._client.messages.create(
                    model=self._settings.model,
                    system=prompt.system,
                    messages=cast("Iterable[MessageParam]", messages),
                    max_tokens=prompt.output_tokens_max,
                    extra_body=wishes,
                )
            except anthropic.BadRequestError as error:
                unknown = unknown_wish(str(error), wishes)
                if unknown is None:
                    raise
                self._refused_wishes.add(unknown)

    def _wishes(self, prompt: Prompt) -> dict[str, object]:
        """Return what not every model takes: the newest know no temperature."""
        wishes: dict[str, object] = {
            "temperature": 0,
            "output_config": {"format": {"type": "json_schema", "schema": prompt.schema}},
        }
        return {name: one for name, one in wishes.items() if name not in self._refused_wishes}


def _http_client(settings: ModelSettings) -> anthropic.DefaultHttpxClient:
    """Return the SDK's own client; it asks a proxy of the environment unless it is told not to."""
    if not settings.is_on_this_machine:
        return anthropic.DefaultHttpxClient()
    direct = dict.fromkeys(("http://", "https://", "all://"))
    return anthropic.DefaultHttpxClient(trust_env=False, mounts=direct)
