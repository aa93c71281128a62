"""How often a request was sent again, on the span of the call that it belongs to.

OpenAI's and Anthropic's SDKs retry below the call that is traced. Each attempt builds a request,
which bears in a header how often it was sent before.
"""

from types import ModuleType
from typing import Any

from opentelemetry import trace

from spanlore.instrumentation.recovery.amending import after
from spanlore.schemas import semconv

_HEADER = "x-stainless-retry-count"


def recover(base_client: ModuleType) -> None:
    """Amend the client that an SDK's ``_base_client`` module defines."""
    after(vars(base_client)["BaseClient"], "_build_request", _noted)


def _noted(request: Any, *_: Any, **__: Any) -> Any:
    resent = request.headers.get(_HEADER, "")
    if resent not in ("", "0"):
        trace.get_current_span().set_attribute(semconv.HTTP_RESEND_COUNT, int(resent))
    return request
