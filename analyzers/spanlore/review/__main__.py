"""``python -m spanlore.review --data-dir D --port P``: read the arguments and open the door."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from spanlore.review.lock import LockHeld
from spanlore.review.server import Arguments, CannotStart, run
from spanlore.schemas.credentials import CredentialsError
from spanlore.schemas.door_arguments import add_door_arguments, tls_files
from spanlore.schemas.full_disk import reason
from spanlore.schemas.tls import TlsError

_STORE_URL: Final = "SPANLORE_STORE_URL"
_CANNOT_START: Final = 3


def main() -> int:
    """Run the door's process; gives its exit code: 0 after a drain, 3 when it cannot start."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until the event loop takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    arguments = _arguments()
    try:
        run(arguments)
    except (CannotStart, TlsError, LockHeld, CredentialsError, OSError) as error:
        said = reason(error, arguments.data_dir) if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"spanlore review: {said}\n")
        return _CANNOT_START
    logging.shutdown()
    # All that could be written is. A thread that a hung store still holds would keep the
    # interpreter from ending for minutes.
    os._exit(0)


def _arguments() -> Arguments:
    parser = argparse.ArgumentParser(prog="spanlore.review", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    add_door_arguments(parser)
    parser.add_argument(
        "--require-token", action="store_true", help="ask for a token for memories on loopback too"
    )
    parser.add_argument("--store-wait-s-max", type=float, default=20.0)
    found = parser.parse_args()
    tls = tls_files(parser, found)
    # Not an option: a command line can be read by every user of the machine.
    store_url = os.environ.get(_STORE_URL)
    if not store_url:
        parser.error(f"set {_STORE_URL} to the store's URL, with its admin login")
    return Arguments(
        data_dir=found.data_dir.absolute(),
        store_url=store_url,
        host=found.host,
        port=found.port,
        require_token=found.require_token,
        insecure=found.insecure,
        tls=tls,
        allowed_hosts=tuple(found.allow_host),
        store_wait_s_max=found.store_wait_s_max,
    )


if __name__ == "__main__":
    sys.exit(main())
