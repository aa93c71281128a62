"""The header with which one spanlore tells the next whose data a request is.

A request of a sender with a token for one tenant is that tenant's whatever its attributes say, so
they cannot carry it to the next collector: the header does, on gRPC and HTTP. It says no more than
the attribute `spanlore.tenant.id` may, so it holds only where that does: from a sender who may
speak for every tenant.
"""

from typing import Final
from urllib.parse import unquote

from spanlore.collector.record import TENANT_BYTES_MAX
from spanlore.collector.refusal import malformed

TENANT_HEADER: Final = "spanlore-tenant"


def read_tenant(value: str | bytes | None) -> str:
    """Give the tenant that a header's value (percent-encoded UTF-8) names, "" where there is none.

    Raises Refused (permanent) for a name that is too long.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value or ""
    tenant = unquote(text.strip(), errors="replace")
    if len(tenant.encode()) > TENANT_BYTES_MAX:
        raise malformed("bad_tenant", f"{TENANT_HEADER} is longer than {TENANT_BYTES_MAX} bytes")
    return tenant
