"""TLS files that are read on, wherever they lie, by a process that may open no file any more.

Landlock holds for the thread that asks for it and for those it starts. So they are read by a thread
that began before, and that does nothing else: no statement of a client runs on it.
"""

from concurrent.futures import ThreadPoolExecutor

from spanlore.schemas.tls import Served, Tls, TlsFiles


class Certificates(Tls):
    """Make it before the process is confined. Raises TlsError where the files do not fit."""

    def __init__(self, files: TlsFiles) -> None:
        self._unconfined = ThreadPoolExecutor(1, thread_name_prefix="certificates")
        self._unconfined.submit(super().__init__, files).result()

    def now(self) -> Served:
        """Give what to serve to a new connection."""
        return self._unconfined.submit(super().now).result()
