"""What a browser's request says: by which address it reached us, whether a page of ours asked, whose session it is."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from modelyard.domain.hosts import LOCAL, is_loopback, port_of
from modelyard.protocol.routes import APP_COOKIE, PLACE, SECURE_APP_COOKIE, SECURE_SESSION_COOKIE, SESSION_COOKIE

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing (RFC 9110, 9.2.1)."""

PLACES_KEPT_MAX = 1024

_DEFAULT_PORTS = {"http": 80, "https": 443}


def own_origin(headers: Mapping[str, str]) -> str:
    """Scheme, host and port by which the client reached us; the gateway has refused foreign hosts."""
    scheme = headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{headers.get('host', 'localhost')}"


def is_own(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a page's origin is the address by which its request reached us."""
    asked = _parts(origin)
    return asked is not None and asked == _parts(own_origin(headers))


def cookie_at(name: str, port: int | None) -> str:
    """What one of the yard's cookies is called at a port of an app's own: browsers keep cookies by host, so those of
    two ports would be one."""
    return name if port is None else f"{name}_{port}"


@lru_cache(PLACES_KEPT_MAX)
def app_cookies(place: str) -> tuple[str, str]:
    """What the cookie of a session at an app's or a site's origin may be called; the surer one first."""
    port = port_of(place)
    return cookie_at(SECURE_APP_COOKIE, port), cookie_at(APP_COOKIE, port)


def place_asked(headers: Mapping[str, str]) -> str:
    """The origin that was asked, as sessions know it: the name of the host, and the port where it is an app's own."""
    stated = headers.get(PLACE)
    if stated is not None:
        return stated
    return (urlsplit(own_origin(headers)).hostname or "").rstrip(".")


def presented_session(headers: Mapping[str, str]) -> str | None:
    """The session's token in the cookies; None where there is none."""
    return cookie_of(headers, SECURE_SESSION_COOKIE, SESSION_COOKIE)


def cookie_of(headers: Mapping[str, str], *names: str) -> str | None:
    """The value of the first of these cookies that is there.

    Beside ours lie those of other programs at the same host, whatever its port, and some write JSON into theirs: what
    the standard library's parser does not know, and then it forgets all the others.
    """
    found: dict[str, str] = {}
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        found.setdefault(name, value.strip('"'))
    return next((found[name] for name in names if name in found), None)


def keeps_to_tls(headers: Mapping[str, str]) -> bool:
    """Whether a browser may be told to come by TLS alone from now on: it did, by a name that is only ours. What is said
    of localhost would count for every program at every port of its machine, and of an address browsers believe
    nothing."""
    split = urlsplit(own_origin(headers))
    return split.scheme == "https" and not is_loopback(split.hostname or LOCAL)


def _parts(origin: str) -> tuple[str, str, int | None] | None:
    try:
        split = urlsplit(origin)
        port = split.port or _DEFAULT_PORTS.get(split.scheme)
    except ValueError:
        return None
    return (split.scheme, split.hostname, port) if split.hostname else None
