"""The one way to ask a model: from the cache, else from the provider, and only what fits."""

import json
from pkgutil import resolve_name
from threading import Lock
from typing import Any, Protocol

from spanlore.analyzers.models.answer_cache import AnswerCache
from spanlore.analyzers.models.answer_schema import misfit
from spanlore.analyzers.models.prompt import (
    Completion,
    Prompt,
    asked_again,
    content_hash,
    prompt_of,
)
from spanlore.analyzers.models.question import Answer, BudgetSpent, Question, WrongAnswer
from spanlore.analyzers.models.settings import ModelSettings

_PLACE = "spanlore.analyzers.models"
# Imported when they are asked: neither SDK is needed for the other, nor for anything else.
_PROVIDERS = {
    "openai": f"{_PLACE}.openai_model:OpenAIModel",
    "anthropic": f"{_PLACE}.anthropic_model:AnthropicModel",
}


class Provider(Protocol):
    """Sends a prompt to a model. Raises ModelUnreachable and ModelRefused."""

    def complete(self, prompt: Prompt) -> Completion: ...


class Model:
    """A ``ModelClient``: the configured model, with a cache and a limit of questions.

    ``questions_max`` bounds how many questions go out (None: no bound); one that is answered
    from the cache is free, one that is asked twice for its first answer's sake counts once.
    """

    def __init__(
        self, settings: ModelSettings, cache: AnswerCache, *, questions_max: int | None = None
    ) -> None:
        self._settings = settings
        self._provider: Provider = resolve_name(_PROVIDERS[settings.provider])(settings)
        self._cache = cache
        self._questions_left = questions_max
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Provider and model, as configured."""
        return f"{self._settings.provider}:{self._settings.model}"

    def ask(self, question: Question) -> Answer:
        """Return the answer, which fits the question's schema.

        An answer that does not is shown to the model once, with what is wrong with it. Raises
        ModelUnreachable, ModelRefused, WrongAnswer and BudgetSpent.
        """
        prompt = prompt_of(question)
        key = content_hash(self._settings.identity, prompt)
        if (known := self._cache.get(key)) is not None:
            return known
        self._spend()
        completion = self._provider.complete(prompt)
        value, wrong = _read(completion.text, question)
        if wrong is not None:
            completion = self._provider.complete(asked_again(prompt, completion.text, wrong))
            value, wrong = _read(completion.text, question)
        if wrong is not None:
            raise WrongAnswer(f"{self.name} answered twice with what cannot be used: {wrong}")
        self._cache.put(key, model=completion.model, value=value)
        return Answer(
            value=value,
            model=completion.model,
            cached=False,
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
        )

    def _spend(self) -> None:
        with self._lock:
            if self._questions_left == 0:
                raise BudgetSpent(f"{self.name} was asked as many questions as it may be")
            if self._questions_left is not None:
                self._questions_left -= 1


def _read(text: str, question: Question) -> tuple[Any, str | None]:
    """Return the answer's value, and what is wrong with it or None."""
    try:
        value = json.loads(_unwrapped(text), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None, "it is no JSON" if text.strip() else "it is empty"
    return value, misfit(value, question.schema)


def _unwrapped(text: str) -> str:
    """Return a text without the one code fence that some models put around JSON."""
    lines = text.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1] == "```":  # noqa: PLR2004
        return "\n".join(lines[1:-1])
    return text


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
