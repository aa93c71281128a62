"""Certificates of a test's own CAs, as files that a process of ours reads and may find replaced."""

from pathlib import Path

import trustme

from spanlore.schemas.tls import TlsFiles


def write(path: Path, data: bytes) -> None:
    """Put a file in its place in one step, as certificate managers do."""
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    beside.replace(path)


class Authority:
    """A CA, and what it issues."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes()
        self.path = folder / "ca.pem"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.pem)

    def server(self, folder: Path) -> TlsFiles:
        """Write a certificate for 127.0.0.1 and its key into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        issued = self._ca.issue_cert("127.0.0.1", "localhost")
        files = TlsFiles(certificate=folder / "server.pem", key=folder / "server.key")
        chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
        write(files.key, issued.private_key_pem.bytes())
        write(files.certificate, chain)
        return files

    def client(self, folder: Path) -> TlsFiles:
        """Write a client's certificate and key into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        issued = self._ca.issue_cert("agent@spans.example")
        files = TlsFiles(certificate=folder / "client.pem", key=folder / "client.key")
        write(files.certificate, issued.cert_chain_pems[0].bytes())
        write(files.key, issued.private_key_pem.bytes())
        return files


def options(files: TlsFiles, client_ca: Path | None = None) -> list[str]:
    """Give the options of a door for these files."""
    given = ["--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    return given if client_ca is None else [*given, "--tls-client-ca", str(client_ca)]
