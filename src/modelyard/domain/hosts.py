"""Host names: of the yard, of apps and sites, which of them browsers take for one site, and which are this machine."""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from modelyard.domain.names import name_key
from modelyard.errors import InvalidValue

HOST_LENGTH_MAX = 253
HOSTS_MAX = 20
"""Host names of its own that an app, a site or a gateway has at most."""

LOCAL = "localhost"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_TWO_LEVEL = frozenset({"co", "com", "net", "org", "gov", "edu", "ac", "or", "ne", "go", "gob", "gouv"})
"""Second labels below which countries register names (`example.co.uk`). The whole list is Mozilla's Public Suffix List;
this part of it is enough for a warning."""


def check_host_name(name: str) -> str:
    """A DNS name as it is compared: lower case, without a port or a dot at its end. Raises InvalidValue."""
    found = name.strip().rstrip(".").lower()
    labels = found.split(".")
    if len(found) > HOST_LENGTH_MAX or not all(_LABEL.fullmatch(one) for one in labels) or labels[-1].isdigit():
        raise InvalidValue(f"cannot use {name[:80]!r} as a host name", "write it as dashboards.example.com")
    return found


def check_own_host(name: str) -> str:
    """A host name that an app, a site or a gateway may have for its own. Raises InvalidValue."""
    found = check_host_name(name)
    if "." not in found or found.endswith(f".{LOCAL}"):
        raise InvalidValue(f"cannot use {name[:80]!r} as a host name of its own", "write a name with a domain")
    return found


def registrable(name: str) -> str:
    """The part of a host name that somebody registered; the name itself where it is short."""
    labels = name.split(".")
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _TWO_LEVEL else 2
    return ".".join(labels[-count:])


def shares_domain(one: str, other: str) -> bool:
    """Whether browsers take the two for one site."""
    return registrable(one) == registrable(other)


def is_loopback(host: str) -> bool:
    """Whether a host name or an address means this machine to itself."""
    try:
        found = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host == LOCAL or host.endswith(f".{LOCAL}")
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def own_address(origin: str, name: str, hosts: Sequence[str] = ()) -> str:
    """Where an app or a site is visited: at the first of its own host names, else below localhost at the yard's port.
    `origin` is where the yard is."""
    own = hosts[0] if hosts else f"{name_key(name)}.{LOCAL}"
    split = urlsplit(origin)
    return f"{split.scheme}://{own}" + (f":{split.port}" if split.port is not None else "")
