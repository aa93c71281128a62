"""Is it this machine? What may be trusted with content, or needs no proxy and no token."""

import ipaddress


def refusal_to_listen(host: str, *, has_tls: bool, insecure: bool) -> str:
    """Say why a port may not listen on a host as it is, and the next step; "" where it may.

    ``insecure`` is what the user said in words, and it means this one thing: without TLS.
    """
    if is_loopback(host) or has_tls or insecure:
        return ""
    return (
        f"{host} is not loopback, and secrets and what is stored would cross the network in clear: "
        "give --tls-cert and --tls-key, bind 127.0.0.1, or say --insecure if the network itself is "
        "closed"
    )


def is_loopback(host: str) -> bool:
    """Say whether a host (a name or an address, also in brackets) is nothing but this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
