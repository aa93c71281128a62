"""The arguments of a process with a port that others may reach, as argparse reads them."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from spanlore.schemas.tls import TlsError, TlsFiles


def add_door_arguments(parser: ArgumentParser) -> None:
    """Add where to listen, by which names, and with what certificate."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument(
        "--allow-host", action="append", default=[], help="a further name this port answers to"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="listen beyond loopback without TLS"
    )
    parser.add_argument("--tls-cert", type=Path, help="a certificate with its chain (PEM)")
    parser.add_argument("--tls-key", type=Path, help="its key (PEM, not encrypted)")
    parser.add_argument("--tls-client-ca", type=Path, help="the CA of clients, where all need one")


def tls_files(parser: ArgumentParser, found: Namespace) -> TlsFiles | None:
    """Give the files that were named, None where none was; half of them is an error of usage."""
    try:
        return TlsFiles.given(found.tls_cert, found.tls_key, client_ca=found.tls_client_ca)
    except TlsError as error:
        parser.error(str(error))
