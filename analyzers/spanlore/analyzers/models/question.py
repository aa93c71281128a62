"""What a model is asked, what it answers, and what can go wrong in between."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from spanlore.analyzers.models.answer_schema import check_schema

OUTPUT_TOKENS_MAX = 1_024
_NAME = re.compile(r"[a-z][a-z0-9_ -]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """Text that somebody else wrote, shown to a model as data: ``name`` is ours, ``text`` theirs.

    Raises ValueError for a name that is more than a few plain words.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"not a name for quoted data: {self.name[:80]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to a model.

    ``system`` and ``task`` are written by us or by the user and never hold text of a trace; all
    of that is in ``data``. ``schema`` is the JSON schema of the answer, an object
    (``answer_schema`` says which keywords); a schema that it does not know raises ValueError.
    """

    system: str
    task: str
    data: tuple[Quoted, ...]
    schema: Mapping[str, Any]
    output_tokens_max: int = OUTPUT_TOKENS_MAX

    def __post_init__(self) -> None:
        check_schema(self.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered: ``value`` fits the question's schema.

    ``model`` is the model as its server names it. ``cached`` answers were given earlier to the
    very same question and cost nothing; tokens are None where the server did not count them.
    """

    value: Mapping[str, Any]
    model: str
    cached: bool
    input_tokens: int | None = None
    output_tokens: int | None = None


class ModelClient(Protocol):
    """A model that can be asked. ``name`` is "provider:model", as the user configured it."""

    @property
    def name(self) -> str: ...

    def ask(self, question: Question) -> Answer:
        """Return the answer. Raises ModelError; safe to call from several threads."""
        ...


class ModelError(Exception):
    """The model gave no answer that can be used."""


class ModelUnreachable(ModelError):
    """Nothing answered, or not now, after a few tries: trying again later may help."""


class ModelRefused(ModelError):
    """The provider refuses the request or the model to answer: trying again will not help."""


class WrongAnswer(ModelError):
    """The model answered twice with what does not fit the schema."""


class BudgetSpent(ModelError):
    """As many questions were asked as may be; answers from the cache are not counted."""
