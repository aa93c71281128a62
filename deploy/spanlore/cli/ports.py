"""Ports: is one free, and if not, whose is it."""

import contextlib
import os
import socket
from pathlib import Path

from spanlore.cli.errors import CannotReach

__all__ = ["owner_pid", "require_free"]

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_PROC = Path("/proc")


def require_free(host: str, port: int, *, option: str) -> None:
    """Raise CannotReach, naming the port and its owner, when it cannot be bound; 0 always can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            pid = owner_pid(port)
            owner = f" by process {pid}" if pid else ""
            raise CannotReach(
                f"port {port} is in use{owner} ({error.strerror}); "
                f"stop it, or choose another port with {option} (0 takes a free one)"
            ) from error


def owner_pid(port: int) -> int | None:
    """Return the process that listens on a TCP port; None where /proc does not tell."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and sockets & set(_open_files(entry / "fd")):
            return int(entry.name)
    return None


def _listening_inodes(port: int) -> set[str]:
    """Columns of /proc/net/tcp: 1 the local address with the port in hex, 3 the state, 9 inode."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and fields[1].endswith(f":{port:04X}"):
                found.add(fields[9])
    return found


def _open_files(descriptors: Path) -> list[str]:
    """Return where a process's descriptors point; empty for a process that is not ours to see."""
    links = []
    with contextlib.suppress(OSError):
        for name in os.listdir(descriptors):  # noqa: PTH208 - a Path each is ten times slower
            with contextlib.suppress(OSError):  # it was closed meanwhile
                links.append(os.readlink(descriptors / name))  # noqa: PTH115
    return links
