"""Which Host headers are answered. A name that an attacker's DNS points at this machine must not reach an open port:
that is DNS rebinding, and on a control API it is remote code execution."""

import ipaddress
import re

HOST_PORT = re.compile(rb":\d+$")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


def name_of(header: bytes) -> str | None:
    """The name or address in a Host header, as it is compared; None where the header is none."""
    match = _HOST.fullmatch(header.decode("latin-1"))
    return match[1].lower().rstrip(".") if match is not None else None


def host_is_ours(header: bytes, names: frozenset[str]) -> bool:
    """Whether `header` names this yard: localhost and names below it, one of `names`, or an address.

    An address cannot be rebound, so any address that the connection arrived at is as good as any other.
    """
    host = name_of(header)
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost") or host in names:
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
