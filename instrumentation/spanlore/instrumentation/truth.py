"""The one reader of variables that say yes or no.

Imported at every start of a Python program under `spanlore run`, so it imports next to nothing.
"""

from collections.abc import Mapping
from typing import Final

_YES: Final = ("true", "1", "yes", "on")
_NO: Final = ("false", "0", "no", "off")


def truth(environment: Mapping[str, str], name: str, *, unclear: bool) -> bool | None:
    """Say what a variable says, in any case; None where it says nothing.

    A word that is neither is complained of, and counts as ``unclear``.
    """
    text = environment.get(name, "").strip().lower()
    if not text:
        return None
    if text in (*_YES, *_NO):
        return text in _YES
    from spanlore.instrumentation.complaint import complain  # noqa: PLC0415

    complain(f"spanlore: {name} is neither true nor false; taken as {str(unclear).lower()}")
    return unclear
