"""Which addresses a gateway may ask on somebody's behalf. Pure: names are resolved elsewhere, and what they resolve to
is asked about here, at the moment of connecting, so that a name which means another address the next time gains nothing
(DNS rebinding).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from modelyard.errors import InvalidValue

_NAT64 = ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ip_network("2002::/16")
_METADATA = ip_address("fd00:ec2::254")
"""Where a machine of AWS asks about itself over IPv6; over IPv4 that is a link-local address."""
_SHARED = ip_network("100.64.0.0/10")
"""RFC 6598: between a provider and its customers; clouds have their metadata there too."""


def why_refused(address: str) -> str | None:
    """What is wrong with an address; None where it may be asked. Raises InvalidValue for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError as error:
        raise InvalidValue(f"cannot use address {address[:60]!r}") from error
    inner = _inner(found)
    if inner.is_loopback:
        return "it is a loopback address"
    if inner.is_link_local or inner == _METADATA:
        return "it is a link-local address"
    if inner.is_unspecified or inner.is_multicast or inner == IPv4Address("255.255.255.255"):
        return "it is no address of one machine"
    if inner.is_reserved or (isinstance(inner, IPv4Address) and inner in _SHARED):
        return "it is a reserved address"
    return None


def _inner(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(found, IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    if found in _NAT64:
        return IPv4Address(int(found) & 0xFFFFFFFF)
    if found in _SIX_TO_FOUR:
        return IPv4Address(int(found) >> 80 & 0xFFFFFFFF)
    return found


def targets_from(words: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Reads `ADDRESS:PORT`, `[ADDRESS]:PORT`: what the yard's owner allows although it would be refused. Raises
    InvalidValue."""
    found: set[tuple[str, int]] = set()
    for word in words:
        host, _, port = word.rpartition(":")
        try:
            found.add((str(ip_address(host.strip("[]"))), int(port)))
        except ValueError as error:
            raise InvalidValue(f"cannot read {word[:60]!r}", "write ADDRESS:PORT, such as 127.0.0.1:9000") from error
    return frozenset(found)
