"""The collector's own HTTP door: ask what it counted, ask it to load all it accepted."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from spanlore.cli.connection import HOST, Running
from spanlore.cli.errors import CannotReach

__all__ = ["REFUSES_EVERYTHING", "collector_status", "door_problem", "flush", "problem_of"]

REFUSES_EVERYTHING = "refuses everything"
_CONNECT_TIMEOUT_S = 5.0
_GATEWAY_TIMEOUT = 504


def collector_status(running: Running) -> dict[str, Any]:
    """Return the collector's counters. Raises CannotReach."""
    return _ask(running, "GET", "/status", timeout_s=_CONNECT_TIMEOUT_S)


def problem_of(counters: dict[str, Any]) -> str | None:
    """Say that the collector with these counters takes nothing, and why; None where it does."""
    refuses = counters.get("refuses")
    return f"{REFUSES_EVERYTHING}: {refuses}" if refuses else None


def door_problem(running: Running, url: str) -> str | None:
    """Say why a running spanlore takes nothing at one of its doors.

    None where it takes, where the URL is another's, and where the collector does not tell us.
    """
    doors = {urlsplit(door).netloc for door in (running.grpc_endpoint, running.http_url)}
    if urlsplit(url).netloc.replace("localhost", HOST) not in doors:
        return None
    try:
        return problem_of(collector_status(running))
    except CannotReach:
        return None


def flush(running: Running, *, timeout_s: float = 60.0) -> dict[str, Any]:
    """Load and seal everything accepted so far; return ``{"loaded_seq", "sealed_runs"}``.

    Raises CannotReach when that is not done within ``timeout_s``: the spans are safe in the log
    and will be loaded later.
    """
    path = f"/flush?timeout_s={timeout_s:g}"
    return _ask(running, "POST", path, timeout_s=timeout_s + _CONNECT_TIMEOUT_S)


def _ask(running: Running, method: str, path: str, *, timeout_s: float) -> dict[str, Any]:
    """Talk to the door directly: a proxy of the environment is not asked for loopback."""
    address = urlsplit(running.http_url)
    where = f"the collector at {running.http_url}"
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {running.collector_token or ''}"}
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotReach(f"cannot reach {where}: {error}; see `spanlore status`") from error
    finally:
        connection.close()
    if answer.status == _GATEWAY_TIMEOUT:
        raise CannotReach(
            f"{where} did not load everything within {timeout_s:.0f} s; "
            "the spans are safe in its log: see `spanlore status`, and try again"
        )
    if answer.status != http.client.OK:
        reason = body[:200].decode(errors="replace").strip() or answer.reason
        raise CannotReach(
            f"{where} answered {answer.status} to {method} {path.partition('?')[0]}: {reason}; "
            "is --data-dir the one that it runs on?"
        )
    document: dict[str, Any] = json.loads(body)
    return document
