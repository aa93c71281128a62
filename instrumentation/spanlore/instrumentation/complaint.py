"""A mistake in how spanlore is called: said once, as a warning of the logger ``spanlore``.

It is no exception, for a program must not fail because of what watches it; and it is no silence,
for a judgement that goes nowhere must be found.
"""

import logging

_logger = logging.getLogger("spanlore")
_said: set[str] = set()
_SAID_MAX = 1_000


def complain(message: str) -> None:
    """Log a warning, the first time it is said."""
    if message in _said or len(_said) >= _SAID_MAX:
        return
    _said.add(message)
    _logger.warning(message)
