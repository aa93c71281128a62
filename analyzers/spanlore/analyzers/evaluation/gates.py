"""Which gate a lesson has to pass before anybody may approve it."""

from collections.abc import Mapping
from typing import Any

from spanlore.analyzers.evaluation.memory_gate import evaluate_memory
from spanlore.analyzers.evaluation.replay_gate import evaluate_harness
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson


def evaluate(store: Store, lesson: Lesson, window: Window) -> Mapping[str, Any]:
    """Return the verdict (pass, fail, inconclusive) of the lesson's gate, with its numbers.

    A memory is held against runs it was not discovered on, a harness lesson replayed on other
    tasks. What has no gate is inconclusive, never passed. Raises StoreError.
    """
    match lesson.layer:
        case "context" if "workflow" in lesson.content:
            return {
                "verdict": "inconclusive",
                "gate": "none",
                "reason": "a way of working cannot be replayed: whether an agent that reads it "
                "does better is for your own evaluation, or a roll-out held out from some, to show",
            }
        case "context":
            return evaluate_memory(store, lesson, window)
        case "harness":
            return evaluate_harness(store, lesson, window)
        case "model":
            return {
                "verdict": "inconclusive",
                "gate": "none",
                "reason": "there is no gate for a lesson of the model layer here; a named person "
                "has to judge it by their own evaluation",
            }
