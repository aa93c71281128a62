"""Token counts of one model call, in the words of the GenAI conventions."""

from collections.abc import Mapping
from typing import Any

from spanlore.schemas import semconv

_KNOWN = frozenset(
    {
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "completion_tokens",
        "completion_tokens_details",
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "prompt_tokens",
        "prompt_tokens_details",
        "total_tokens",
    }
)


def usage_attributes(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts that are known, by attribute name; input tokens include cached ones.

    OpenAI's ``prompt_tokens`` includes what came from a cache; Anthropic's ``input_tokens`` does
    not, and is told by the cache counts that stand beside it.
    """
    input_details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    output_details = _details(usage, "completion_tokens_details", "output_tokens_details")
    beside_read = _count(usage.get("cache_read_input_tokens"))
    beside_write = _count(usage.get("cache_creation_input_tokens"))
    prompt = _count(usage.get("prompt_tokens"))
    if prompt is None:
        prompt = _count(usage.get("input_tokens"))
        if prompt is not None:
            prompt += (beside_read or 0) + (beside_write or 0)
    output = _count(usage.get("completion_tokens"))
    counts = {
        semconv.USAGE_INPUT_TOKENS: prompt,
        semconv.USAGE_OUTPUT_TOKENS: (
            output if output is not None else _count(usage.get("output_tokens"))
        ),
        semconv.USAGE_CACHE_READ: (
            beside_read if beside_read is not None else _count(input_details.get("cached_tokens"))
        ),
        semconv.USAGE_CACHE_WRITE: beside_write,
        semconv.USAGE_REASONING: _count(output_details.get("reasoning_tokens")),
    }
    return {name: count for name, count in counts.items() if count is not None}


def unknown_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a usage object that have no attribute of their own."""
    return {key: value for key, value in usage.items() if key not in _KNOWN and value is not None}


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found = (usage.get(name) for name in names)
    return next((each for each in found if isinstance(each, dict)), {})


def _count(value: Any) -> int | None:
    """Return a count of tokens that a 64-bit column can hold, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 1 << 62 and value == int(value) else None
