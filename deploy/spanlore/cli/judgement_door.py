"""Judgements on their way to the collector: events, as every judgement travels."""

import os
from typing import TYPE_CHECKING

from spanlore.cli.connection import Running
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.signals import in_thread

if TYPE_CHECKING:
    from spanlore.instrumentation.history.sending import Rejected

__all__ = ["send_judgements"]


def send_judgements(running: Running, request: bytes) -> None:
    """Send an export request of judgements and wait until it is durable.

    Raises CannotReach, or CommandFailed when the collector will not take it.
    """
    from spanlore.instrumentation.history import Refused, Sender, Unreachable, parse_endpoint

    headers = running.otlp_headers or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    sender = Sender(parse_endpoint(running.grpc_endpoint, headers=headers))

    def send() -> "Rejected":
        sender.start()
        return sender.send_judgements(request)

    try:
        rejected = in_thread(send, stop=sender.stop)
    except Unreachable as error:
        raise CannotReach(str(error)) from error
    except Refused as error:
        raise CommandFailed(str(error)) from error
    if rejected.judgements:
        message = f"the collector rejected the judgement: {'; '.join(rejected.reasons)}"
        raise CommandFailed(message)
