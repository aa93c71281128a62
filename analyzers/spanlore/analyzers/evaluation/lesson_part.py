"""What a harness lesson's content says of each finding that it answers."""

from collections.abc import Mapping
from typing import Any

from spanlore.schemas.types import Lesson


def parts_of(lesson: Lesson) -> list[Mapping[str, Any]]:
    """Return (``tool``, ``failure``, ``says``, ``predicate``) of each finding, the first first.

    Empty for a lesson without such content: a quarantined one, or one of another layer.
    """
    content = lesson.content
    if not {"tool", "failure", "says"} <= content.keys():
        return []
    first = {key: value for key, value in content.items() if key != "more"}
    return [{"predicate": None, **one} for one in (first, *content.get("more", ()))]
