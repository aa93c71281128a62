"""The exit of a `multiprocessing` worker, which does not run what `atexit` was told.

A worker that was forked leaves by `os._exit` (before Python 3.13 always, later without what its
parent registered), so what it did in its last second would be lost.
"""

import sys
from collections.abc import Callable

# After the program's own finalizers, and after the worker's own children have ended.
_LAST = -1_000


def at_worker_exit(leave: Callable[[], None]) -> None:
    """Call ``leave`` when this process ends, if it is a worker; to be called in the worker."""
    # Not imported for this: where nobody imported it there are no workers.
    process, util = map(sys.modules.get, ("multiprocessing.process", "multiprocessing.util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, leave, exitpriority=_LAST)
