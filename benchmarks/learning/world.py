"""A made-up world: runs as recorded lines, what was said of them, and what is true of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spanlore.schemas.types import Finding, Lesson

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An event that an application sends about a run (an override, an exposure, a judgement).

    ``span`` numbers the span of the run it is about, as the import does: the root is 0, then each
    model call with the tool calls it asked for. None is about the run.
    """

    run_id: str
    event: str
    attributes: Mapping[str, str | int | float]
    span: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A finding that is true: who makes it, and words that its title or its detail hold.

    A word is looked for as it stands, in the title and in the detail's texts; ``any_of`` are
    words of which one is enough. ``or_by`` are analyzers that may say it in the other's place.
    """

    analyzer: str
    words: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    or_by: tuple[str, ...] = ()

    def is_said_by(self, finding: Finding) -> bool:
        """Whether a finding says this."""
        if finding.analyzer not in (self.analyzer, *self.or_by):
            return False
        text = "\n".join([finding.title, *_texts(finding.detail)])
        some = not self.any_of or any(word in text for word in self.any_of)
        return some and all(word in text for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Runs, events about them, and the truth.

    ``truth`` is what must be found, each by at least one confirmed finding. ``follows`` is what
    else is true because of it and may be found. Whatever else is confirmed is false.
    ``attributes`` stand on the root span of the run with that id: what lines have no member for.
    ``lessons`` are those that stand.
    """

    name: str
    lines: tuple[Line, ...]
    truth: tuple[Expected, ...] = ()
    follows: tuple[Expected, ...] = ()
    events: tuple[Said, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


Make = Callable[[int], World]


def _texts(value: Any) -> list[str]:
    """Return every text within a value of JSON, keys too."""
    if isinstance(value, Mapping):
        return [text for key, one in value.items() for text in (str(key), *_texts(one))]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []
