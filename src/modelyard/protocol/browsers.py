"""What a browser's request says: by which address it reached us, whether a page of ours asked, whose session it is."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from modelyard.protocol.routes import SECURE_SESSION_COOKIE, SESSION_COOKIE

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing (RFC 9110, 9.2.1)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def own_origin(headers: Mapping[str, str]) -> str:
    """Scheme, host and port by which the client reached us; the gateway has refused foreign hosts."""
    scheme = headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{headers.get('host', 'localhost')}"


def is_own(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a page's origin is the address by which its request reached us."""
    asked = _parts(origin)
    return asked is not None and asked == _parts(own_origin(headers))


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


def _parts(origin: str) -> tuple[str, str, int | None] | None:
    try:
        split = urlsplit(origin)
        port = split.port or _DEFAULT_PORTS.get(split.scheme)
    except ValueError:
        return None
    return (split.scheme, split.hostname, port) if split.hostname else None
