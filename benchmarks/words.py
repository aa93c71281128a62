"""English-like text without a corpus: sentence templates filled with Zipf-distributed words.

Random letters compress far worse than language and a few repeated sentences far better; what an
engine pays to compress, and so every figure about storing, hangs on the text.
"""

import random
from collections.abc import Iterator
from itertools import accumulate, count, islice
from typing import Final

_FUNCTION_WORDS: Final = (  # noqa: SIM905 - words read better as text
    "the of and to a in is that it was for on are with as be at one have this from or had by "
    "not but what all were when we there can an your which their said if do will each about how "
    "up out them then she many some so these would other into has more two like him see time "
    "could no make than first been its who now people my made over did down only way find use "
    "may water long little very after words called just where most know"
).split()
_ONSETS: Final = "b c d f g h j k l m n p r s t v w br ch cl cr dr fl fr gr pl pr sh sl sp st th tr"
_VOWELS: Final = "a e i o u ai ea ee io oa ou"
_CODAS: Final = "b d g k l m n p r s t ck ct ft ld ll lt mp nd ng nk nt rd rk rn rt ss st"
_ENDINGS: Final = ("", "", "", "ed", "ing", "er", "ion", "ly", "s", "al", "able", "ment")
_CONTENT_WORDS: Final = 6000
_ZIPF_SHIFT: Final = 2.7  # Mandelbrot's, as fitted to English
_WORDS_A_REFILL: Final = 100_000

# {} is a word; # is a number, which is what makes records of a business hard to compress.
_TEMPLATES: Final = (
    "{} {} {} {} {} {} {} {}, {} {} {} {}.",
    "The {} {} {} {} the {} {} {}.",
    "{} {} {} {} {} {} {} {} {} {} {} {} {}.",
    "I {} the {} {} and {} {} {} {} {} #.",
    "Could you {} {} {} {} before # {} {}?",
    "It {} {} {} {} {}; {} {} {} {} {} {} {}.",
    "Order # {} {} {} {} {} for {} {}, {} {}.",
    "If {} {} {} {} {} {}, {} {} {} {} {} {} {} {}.",
    "{} {} {} {} (see {} #), so {} {} {} {} {} {}.",
    "Please {} {} {} {} {} {} {} {}.",
    "{}: {} {} {} {} {} {}, # {} {} {}.",
    "We {} {} {} {} {} {} {} {} because {} {} {} {} {} {} {}.",
)


class Text:
    """An endless source of words and sentences, the same for the same generator's seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        content = {_content_word(rng) for _ in range(_CONTENT_WORDS)}
        words = [*_FUNCTION_WORDS, *sorted(content, key=lambda _: rng.random())]
        weights = list(accumulate(1 / (rank + _ZIPF_SHIFT) for rank in range(len(words))))
        self._words = self._endless(words, weights)
        self._templates = [template.replace("{}", "%s") for template in _TEMPLATES]
        self._slots = [template.count("{}") for template in _TEMPLATES]
        self._shares = list(accumulate(1 / rank for rank in range(1, len(_TEMPLATES) + 1)))

    def _endless(self, words: list[str], weights: list[float]) -> Iterator[str]:
        for _ in count():
            yield from self._rng.choices(words, cum_weights=weights, k=_WORDS_A_REFILL)

    def words(self, number: int) -> list[str]:
        """Give the next words."""
        return list(islice(self._words, number))

    def prose(self, characters: int) -> str:
        """Give sentences that add up to at least this many characters."""
        sentences: list[str] = []
        while characters > 0:
            index = self._rng.choices(range(len(self._templates)), cum_weights=self._shares)[0]
            sentence = self._templates[index] % tuple(islice(self._words, self._slots[index]))
            if "#" in sentence:
                sentence = sentence.replace("#", str(self._rng.randrange(10_000_000)))
            sentences.append(sentence)
            characters -= len(sentence) + 1
        return " ".join(sentences)


def _content_word(rng: random.Random) -> str:
    syllables = "".join(
        rng.choice(_ONSETS.split()) + rng.choice(_VOWELS.split())
        for _ in range(rng.choice((1, 1, 2)))
    )
    return syllables + rng.choice(_CODAS.split()) + rng.choice(_ENDINGS)
