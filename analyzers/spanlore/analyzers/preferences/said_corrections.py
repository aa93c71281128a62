"""Corrections in words: the user says no, and the agent calls the tool again with another value.

A message corrects when it begins like one ("no, I meant", "nein, nicht", "non, pas") or holds a
phrase that little else is said with ("not X but Y", "as I said", "I told you"), in English, German,
French, Spanish, Italian, Portuguese and Dutch. Words alone prove little ("no, thanks"), so that
what counts is a slot that a later call of the same tool changes (``slot_changes``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spanlore.analyzers.preferences.slot_changes import ToolCall, given_by, settled_of
from spanlore.analyzers.preferences.slot_values import Slot
from spanlore.analyzers.runs.run_trace import Message, ToolRequest

MESSAGE_CHARS_MAX = 2_000
_BEGINS = re.compile(
    r"\W*(?:no|nope|nein|nee|non|não|nao|wrong|falsch|faux|incorrect|incorrecto|errado|sbagliato)\b"
    r"|\W*(?:actually|sorry,? i meant|i meant|eigentlich|ich meinte|en fait|je voulais dire|"
    r"en realidad|quise decir|quería decir|in realtà|intendevo|na verdade|quis dizer|ik bedoel)\b",
    re.IGNORECASE,
)
_HOLDS = re.compile(
    r"\b(?:not\b[^.!?\n]{1,60}\bbut\b|(?:as|like) i (?:\w+ )?(?:said|told|mentioned)|"
    r"i (?:already )?(?:said|told you|asked for)|i(?:'ve| have) (?:told|said|asked)|"
    r"that(?:'s| is)(?: not|n't) (?:what|right|correct)|that(?:'s| is) wrong|again,|i prefer|"
    r"nicht\b[^.!?\n]{1,60}\bsondern\b|wie (?:schon )?gesagt|ich habe? (?:doch )?gesagt|"
    r"das stimmt nicht|pas\b[^.!?\n]{1,60}\bmais\b|comme (?:je l'ai )?dit|j'ai (?:déjà )?dit|"
    r"ce n'est pas (?:ce que|ça)|no\b[^.!?\n]{1,60}\bsino\b|como (?:ya )?dije|(?:ya )?te dije|"
    r"no es (?:lo que|correcto)|non\b[^.!?\n]{1,60}\bma\b|come (?:ho )?detto|"
    r"não\b[^.!?\n]{1,60}\bmas\b|como (?:eu )?(?:já )?disse|niet\b[^.!?\n]{1,60}\bmaar\b|"
    r"zoals (?:ik )?(?:al )?(?:zei|gezegd))",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"\W*(?:no|nein|non|não|nee)\W+(?:thanks?|thank you|problem|worries|danke|merci|gracias|grazie|"
    r"obrigad\w|bedankt|that(?:'s| is| will be) (?:all|it|everything)|nothing|more)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A slot whose value the user corrected in words: what the agent sent, and what it sent then.

    ``final`` is "" where the value was taken away.
    """

    slot: Slot
    proposed: str
    final: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a conversation shows: tools that were called before the user spoke, and corrections.

    ``unexplained`` says that the user corrected something that no changed call tells of.
    """

    chances: tuple[str, ...]
    corrections: tuple[Correction, ...]
    has_spoken_again: bool
    unexplained: bool


def is_correction(text: str) -> bool:
    """Whether a user's message corrects what was done or proposed before it."""
    said = text[:MESSAGE_CHARS_MAX]
    if _THANKS.match(said):
        return False
    return _BEGINS.match(said) is not None or _HOLDS.search(said) is not None


def heard(messages: Sequence[Message]) -> Heard:
    """Read a conversation once; a slot that was corrected twice has the last value."""
    standing: dict[str, ToolRequest] = {}
    corrected = set[str]()
    chances: dict[str, None] = {}
    found: dict[Slot, Correction] = {}
    said = spoken = 0
    for message in messages:
        if message.role == "user" and message.text:
            spoken += 1
            chances |= dict.fromkeys(standing)
            if spoken > 1 and is_correction(message.text):
                said += 1
                corrected |= standing.keys()
        for request in message.requests if message.role == "assistant" else ():
            before = standing.get(request.name)
            if before is not None and request.name in corrected:
                for one in _changes(before, request):
                    first = found.get(one.slot, one)
                    found[one.slot] = Correction(
                        slot=one.slot, proposed=first.proposed, final=one.final
                    )
            corrected.discard(request.name)
            standing[request.name] = request
    return Heard(
        chances=tuple(chances),
        corrections=tuple(found.values()),
        has_spoken_again=spoken > 1,
        unexplained=said > 0 and not found,
    )


def _changes(before: ToolRequest, after: ToolRequest) -> Iterator[Correction]:
    """Yield the slots that the second call of a tool changed, if both are the same act."""
    calls = [
        ToolCall(
            trace_id="",
            run=0,
            turn=turn,
            start_ns=turn,
            given=given_by(request.name, request.arguments),
            failed=False,
        )
        for turn, request in enumerate((before, after))
    ]
    for settled in settled_of(calls):
        for slot, (proposed, final) in settled.values().items():
            if proposed != final:
                yield Correction(slot=slot, proposed=proposed, final=final)
