"""Is it this machine? What may be trusted with content, or needs no proxy and no token."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether a host (a name or an address, also in brackets) is nothing but this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
