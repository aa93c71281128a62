"""Around every piece of our own code in the user's process: what fails there stays there.

The one place of that kind. It never stands around a call into the user's code or a model's SDK,
so that their exceptions pass through untouched.
"""

from collections import deque
from types import TracebackType

# Where the last faults happened ("ValueError at tool_call.py:71"), for a developer to look at.
faults: deque[str] = deque(maxlen=32)


class _Quiet:
    """Swallow an exception and note it; what is no Exception (an interrupt, an exit) passes."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        code = trace.tb_frame.f_code if trace else None
        where = f"{code.co_filename}:{trace.tb_lineno}" if code and trace else "?"
        faults.append(f"{type(error).__qualname__} at {where}")
        return True


quiet = _Quiet()
