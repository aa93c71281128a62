"""Sets forwarding up at a start: a queue and its sender for each target, ready to be started."""

import logging
from pathlib import Path

from spanlore.collector.config import Config
from spanlore.collector.forwarding.backlog import Backlog
from spanlore.collector.forwarding.forwarder import REQUESTS_MAX, Forwarder
from spanlore.collector.forwarding.sending import sender_to

_logger = logging.getLogger(__name__)


class ForwardingError(Exception):
    """Forwarding cannot work as told; the message says what is wrong and the next step."""


def forwarders_of(config: Config) -> tuple[Forwarder, ...]:
    """Open the queue of every target, with what an earlier process left in it.

    The log's directory must be ours and recovered. Raises ForwardingError.
    """
    _tell_of_others(config.forward_dir, {target.name for target in config.forward})
    found = []
    for target in config.forward:
        directory = config.forward_dir / target.name
        backlog = Backlog(directory, config.log_dir, bytes_max=config.forward_bytes_max)
        try:
            backlog.open()
            sender = sender_to(target, connections_max=REQUESTS_MAX)
        except OSError as error:
            raise ForwardingError(
                f"cannot forward to {target.url} with {directory} as its queue ({error}): the data "
                "directory must be writable, on one file system that has hard links"
            ) from error
        found.append(Forwarder(target, backlog, sender))
    return tuple(found)


def _tell_of_others(directory: Path, names: set[str]) -> None:
    """Say what is kept for targets that are not told any more: nobody else would ever look."""
    if not directory.is_dir():
        return
    for other in sorted(directory.iterdir()):
        if other.name not in names and any(other.glob("*.wal")):
            _logger.warning(
                "%s holds what was not forwarded: forward to a target of that name again, or "
                "remove it",
                other,
            )
