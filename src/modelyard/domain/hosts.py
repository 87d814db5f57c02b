"""Host names and ports: of the yard, of apps and sites, which of them browsers take for one site, and which are this
machine."""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from modelyard.domain.names import name_key
from modelyard.errors import InvalidValue

HOST_LENGTH_MAX = 253
HOSTS_MAX = 20
"""Host names of its own that an app, a site or a gateway has at most."""

PORT_MIN = 1
"""Below 1024 the system may keep them for others; then that is said when it is tried."""
PORT_MAX = 65535
PORTS_MAX = 200
"""Ports of their own that a yard's apps, sites and gateways have together: so many listeners are handed over at once
(SCM_MAX_FD of Linux is 253)."""

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


def check_own_port(port: int) -> int:
    """A port that an app, a site or a gateway may have for its own. Raises InvalidValue."""
    if not PORT_MIN <= port <= PORT_MAX:
        raise InvalidValue(f"cannot use {port} as a port", f"{PORT_MIN} to {PORT_MAX}")
    return port


def own_address(
    origin: str, name: str, hosts: Sequence[str] = (), port: int | None = None, *, encrypted: bool = False
) -> str:
    """Where an app or a site is visited: at a port of its own, else at the first of its own host names, else below
    localhost at the yard's port. `origin` is where the yard is; `encrypted` says that it has TLS, and own ports then
    speak nothing else."""
    split = urlsplit(origin)
    if port is not None:
        found = split.hostname or LOCAL
        if is_loopback(found):
            # Where the console is opened on this machine: a session at 127.0.0.1 is unknown there.
            found = LOCAL
        return f"{'https' if encrypted else 'http'}://{f'[{found}]' if ':' in found else found}:{port}"
    own = hosts[0] if hosts else f"{name_key(name)}.{LOCAL}"
    return f"{split.scheme}://{own}" + (f":{split.port}" if split.port is not None else "")


def place_at_port(name: str, port: int) -> str:
    """How sessions and codes know the origin at a port of its own; others they know by the name alone. `name` has the
    brackets of an IPv6 address."""
    return f"{name}:{port}"


def port_of(place: str) -> int | None:
    """The port of a place, None where it has none of its own."""
    name, colon, port = place.rpartition(":")
    return int(port) if colon and name and port.isascii() and port.isdigit() else None
