"""Take from this process, for good, what the engine never needs: other files, TCP, other processes.

Linux's Landlock does it without privileges, see landlock(7). It holds for the calling thread and
what that one starts later, so it must come before chDB is imported, whose threads would stay free.
"""

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# System calls have one number on every machine since Linux 5.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_GET_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

# The first version that can allow renames between directories, which a store cannot do without.
_VERSION_MIN: Final = 2
_VERSION_TRUNCATE: Final = 3
_VERSION_TCP: Final = 4
_VERSION_IOCTL: Final = 5
_VERSION_SCOPE: Final = 6

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_ALL_OF_VERSION_2: Final = (1 << 14) - 1
_TRUNCATE: Final = 1 << 14
_IOCTL_DEVICE: Final = 1 << 15
_EXECUTE: Final = 1 << 0
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_TCP: Final = 0b11  # bind and connect
_SCOPE: Final = 0b11  # abstract Unix sockets of others, and signals to them

# What chDB and Python read of the machine: libraries, time zones, sizes of memory and processor.
_MACHINE: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self/auxv",  # unread, chDB looks for it behind the environment, which has moved: SIGSEGV
    "/proc/self/cgroup",
    "/proc/self/maps",
    "/proc/self/stat",
    "/proc/self/statm",
    "/proc/self/status",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
)


class UnconfinedError(Exception):
    """This machine cannot confine the process; the message says why."""


def confine(*writable: Path, reads: Iterable[Path] = ()) -> None:
    """Leave this process the directories ``writable``, and to read ``reads``, Python and libraries.

    Where the kernel can it may also open no TCP port and reach none any more (one that listens
    already goes on), nor signal other processes. Raises UnconfinedError when nothing was taken.
    """
    if sys.platform != "linux":
        raise UnconfinedError("Landlock is a part of Linux alone")
    version = _call(_CREATE_RULESET, None, 0, _GET_VERSION)
    if version < _VERSION_MIN:
        raise UnconfinedError(f"Landlock has version {version} here, {_VERSION_MIN} is needed")
    handled = _ALL_OF_VERSION_2
    handled |= _TRUNCATE if version >= _VERSION_TRUNCATE else 0
    handled |= _IOCTL_DEVICE if version >= _VERSION_IOCTL else 0
    attributes = struct.pack("=Q", handled)
    attributes += struct.pack("=Q", _TCP) if version >= _VERSION_TCP else b""
    attributes += struct.pack("=Q", _SCOPE) if version >= _VERSION_SCOPE else b""
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        _allow(ruleset, writable, handled & ~_EXECUTE)
        _allow(ruleset, [*reads, *_readable()], _READ_FILE | _READ_DIR)
        _allow(ruleset, [Path("/dev/null")], _READ_FILE | _WRITE_FILE)
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise UnconfinedError(f"prctl failed: {os.strerror(ctypes.get_errno())}")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _readable() -> list[Path]:
    """Give where Python's modules and libraries lie, and what the machine tells about itself."""
    python = [*sys.path, f"{sys.prefix}/lib", f"{sys.base_prefix}/lib"]
    return [Path(name) for name in (*python, *_MACHINE) if name]


def _allow(ruleset: int, paths: Iterable[Path], access: int) -> None:
    """Allow ``access`` to these files and all beneath these directories, where they are there."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there needs no rule
        try:
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            granted = access if is_directory else access & _OF_FILES
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", granted, descriptor), 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call; raises UnconfinedError with the kernel's reason."""
    native = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *native))
    if result < 0:
        raise UnconfinedError(f"Landlock is not to be had: {os.strerror(ctypes.get_errno())}")
    return result
