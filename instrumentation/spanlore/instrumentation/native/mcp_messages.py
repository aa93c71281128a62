"""MCP's own spans of each message, client and server, with the trace carried in ``_meta``.

They go to the global provider, which in a server of nothing else nobody would have set.
"""

from typing import Any

from mcp.shared import _otel
from opentelemetry.trace import ProxyTracer, TracerProvider

from spanlore.instrumentation.native.untold import UntellingTracer


def switch_on(provider: TracerProvider, *, with_content: bool) -> None:
    """Let the spans go through the provider; they hold no content."""
    del with_content
    module: Any = _otel
    if isinstance(module._tracer, ProxyTracer):  # noqa: SLF001  # else a provider is set already
        tracer = UntellingTracer(provider.get_tracer("mcp-python-sdk"))
        module._tracer = tracer  # noqa: SLF001
