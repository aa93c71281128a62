"""What stands around a call of a library: its span ends with it, and holds what is read of it."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from opentelemetry.util.genai.invocation import GenAIInvocation

from spanlore.instrumentation.outcome import finish
from spanlore.instrumentation.quiet import quiet


class Bracket:
    """One call; ``read(result)`` is asked, where it did not fail, before its span ends."""

    def __init__(self, invocation: GenAIInvocation, read: Callable[[Any], None]) -> None:
        self._invocation = invocation
        self._read = read
        self.result: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            with quiet:
                self._read(self.result)
        finish(self._invocation, error)
