"""``python -m spanlore.store_server --data-dir D --port P``: read the arguments and start."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from spanlore.schemas.credentials import CredentialsError
from spanlore.schemas.door_arguments import add_door_arguments, tls_files
from spanlore.schemas.full_disk import reason
from spanlore.schemas.loopback import refusal_to_listen
from spanlore.schemas.tls import TlsError
from spanlore.store_server import process
from spanlore.store_server.errors import LockHeldError, PortBusyError, QueryError

_KEPT: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "PYTHONPATH"})
_CLEAN: Final = "SPANLORE_STORE_ENVIRONMENT"
_MEMORY_SHARE: Final = 0.7
_CANNOT_START: Final = 3


def main() -> int:
    """Run the store's process; gives its exit code: 0 after a drain, 3 when it cannot start."""
    _start_clean()
    for number in (signal.SIGTERM, signal.SIGINT):  # until the event loop takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    arguments = _arguments()
    try:
        process.run(arguments)
    except OSError as error:
        said = reason(error, arguments.data_dir)
    except (LockHeldError, PortBusyError, CredentialsError, QueryError, TlsError) as error:
        said = str(error)
    else:
        return 0
    sys.stderr.write(f"spanlore store: {said}\n")
    return _CANNOT_START


def _start_clean() -> None:
    """Begin again without the user's environment, which queries could read as a file."""
    if os.environ.pop(_CLEAN, "") == "clean":
        return
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    # -P: the directory it was started in is no place to import from, nor to read.
    arguments = [sys.executable, "-P", *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, {**kept, _CLEAN: "clean"})  # noqa: S606


def _arguments() -> process.Arguments:
    parser = argparse.ArgumentParser(prog="spanlore.store_server", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    add_door_arguments(parser)
    parser.add_argument(
        "--local-port",
        type=int,
        default=0,
        help="where --host is not 127.0.0.1 in clear, this machine's programs have a port that is",
    )
    parser.add_argument("--memory-bytes-max", type=int, default=_memory_default())
    parser.add_argument(
        "--unsandboxed-sql",
        action="store_true",
        help="let readers in also where this process cannot be confined",
    )
    parser.add_argument("--drain-s-max", type=float, default=10.0)
    parser.add_argument("--queries-max", type=int, default=64)
    found = parser.parse_args()
    tls = tls_files(parser, found)
    if refusal := refusal_to_listen(found.host, has_tls=tls is not None, insecure=found.insecure):
        parser.error(refusal)
    return process.Arguments(
        data_dir=found.data_dir.absolute(),
        host=found.host,
        port=found.port,
        local_port=found.local_port,
        tls=tls,
        allowed_hosts=tuple(found.allow_host),
        memory_bytes_max=found.memory_bytes_max,
        unsandboxed_sql=found.unsandboxed_sql,
        drain_s_max=found.drain_s_max,
        queries_max=found.queries_max,
    )


def _memory_default() -> int:
    """Give 70 % of this machine's memory, in bytes."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _MEMORY_SHARE)


if __name__ == "__main__":
    sys.exit(main())
