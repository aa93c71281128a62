"""TLS of a listening port from files, which may be replaced while it listens.

The files are looked at with each new connection. New ones count from that connection on when they
fit together; while they do not (a key of another certificate, half of two written) the last ones
that did are served on.
"""

import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["Served", "Tls", "TlsError", "TlsFiles"]

_log = logging.getLogger(__name__)

_READS_MAX: Final = 3


class TlsError(Exception):
    """The files cannot be used; the message says which, why, and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: a certificate with its chain, its key, and whose certificates clients must show.

    Without ``client_ca`` no client is asked for a certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        """Take the paths from here, wherever the process goes later."""
        for name in ("certificate", "key", "client_ca"):
            path = getattr(self, name)
            object.__setattr__(self, name, path and path.absolute())

    @classmethod
    def given(
        cls, certificate: Path | None, key: Path | None, *, client_ca: Path | None
    ) -> "TlsFiles | None":
        """Give the files that options named, None where none did. Raises TlsError for half."""
        if certificate is not None and key is not None:
            return cls(certificate=certificate, key=key, client_ca=client_ca)
        if certificate is None and key is None and client_ca is None:
            return None
        raise TlsError("TLS takes --tls-cert and --tls-key together: give both, or none")

    def paths(self) -> tuple[Path, ...]:
        """Give the paths there are: certificate, key and, where there is one, client CA."""
        given = (self.certificate, self.key, self.client_ca)
        return tuple(path for path in given if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is served now: the files' bytes, and the same as a context of ``ssl``."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext = field(repr=False)


class Tls:
    """The present content of the files. Raises TlsError where they do not fit at the start."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = self._look()
        self._served = _read(files)

    @property
    def asks_clients(self) -> bool:
        """Whether a client must show a certificate."""
        return self._files.client_ca is not None

    def now(self) -> Served:
        """Give what to serve to a new connection."""
        stamp = self._look()
        if stamp != self._stamp:
            # Also where they do not fit: they are read once, and again when they change again.
            self._stamp = stamp
            try:
                self._served = _read(self._files)
            except TlsError as error:
                _log.warning("%s; the last ones that could be used are served on", error)
            else:
                _log.info("the certificate of %s is served now", self._files.certificate)
        return self._served

    def context(self) -> ssl.SSLContext:
        """Give a context for a listener of asyncio or uvloop that follows the files."""
        context = _Following(ssl.PROTOCOL_TLS_SERVER)
        context.tls = self
        return context

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._files.paths())


class _Following(ssl.SSLContext):
    """A context that makes each connection with what is served at that moment.

    Changing one context in place would do for the certificate, but a client CA that was taken away
    would stay trusted.
    """

    tls: Tls

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.tls.now().context.wrap_bio(*args, **kwargs)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(files: TlsFiles) -> Served:
    """Read the files as they stand together at one moment. Raises TlsError."""
    for _ in range(_READS_MAX):
        content = _content(files)
        context = _context(files)
        if content == _content(files):
            client_ca = content[2] if len(content) > 2 else None  # noqa: PLR2004 - the third
            return Served(
                certificate=content[0], key=content[1], client_ca=client_ca, context=context
            )
    raise TlsError(f"{files.certificate} and its key keep changing: write them once")


def _content(files: TlsFiles) -> list[bytes]:
    try:
        return [path.read_bytes() for path in files.paths()]
    except OSError as error:
        raise TlsError(f"cannot read {error.filename}: {error.strerror}") from error


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 or newer
    context.set_alpn_protocols(["http/1.1"])
    try:
        # The password is for a key that is encrypted, which would be asked for on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ValueError) as error:
        raise TlsError(
            f"{files.certificate} and {files.key} cannot be used ({error}): give a certificate in "
            "PEM with its chain, and its own key, not encrypted"
        ) from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (OSError, ValueError) as error:
            raise TlsError(
                f"{files.client_ca} cannot be used ({error}): give the clients' CA in PEM"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
