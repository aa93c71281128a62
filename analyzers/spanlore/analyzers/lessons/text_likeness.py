"""How alike two texts are: the Jaccard index of their character n-grams."""

from functools import lru_cache

GRAM_CHARS = 5
_TEXTS_KEPT = 4_096

Grams = frozenset[str]


@lru_cache(_TEXTS_KEPT)
def grams(text: str) -> Grams:
    """Return the n-grams of a text, its case and white space evened out; a short text is one."""
    even = " ".join(text.lower().split())
    starts = range(max(len(even) - GRAM_CHARS + 1, 1))
    return frozenset(even[start : start + GRAM_CHARS] for start in starts)


def likeness(one: Grams, other: Grams) -> float:
    """Return the Jaccard index of two sets of n-grams, from 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
