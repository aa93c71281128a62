"""Whether a tool changes anything, as its name says: ``get_order`` reads, ``send_mail`` does not.

A trace does not tell what a call changed in the world. Names of tools mostly begin with a verb,
and those that only read are few; whatever does not begin with one of them counts as changing.
"""

import re

NAME_CHARS_MAX = 120
_READING = re.compile(
    "browse|calc|calculate|check|compare|compute|convert|count|describe|detect|"
    "diff|estimate|evaluate|exists|explain|extract|fetch|filter|find|get|glob|"
    "grep|has|head|inspect|is|list|load|locate|look|lookup|ls|match|open|parse|"
    "peek|plan|preview|query|read|recall|retrieve|scan|search|see|select|show|"
    "sort|stat|status|summarise|summarize|tail|test|think|track|translate|validate|"
    "verify|view|wait|watch|whoami"
)
# What stands before the verb: ``mcp__orders__get_order``, ``orders.get``.
_PLACE = re.compile(r"^.*(?:__|[./:])")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def changes_state(tool: str) -> bool:
    """Whether a call of this tool may change something outside the conversation."""
    words = _WORD.findall(_PLACE.sub("", tool))
    return not words or _READING.fullmatch(words[0].lower()) is None


def key_part(name: str) -> str:
    """Return a name as part of a fact's key: without its separator, of bounded length."""
    return " ".join(name.replace("|", "/").split())[:NAME_CHARS_MAX]
