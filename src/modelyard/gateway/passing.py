"""Which headers pass between a browser and an app. What is the yard's own stays here: an app must neither see nor set
what lets somebody in, and what this gateway states about a request nobody else can."""

import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

OWN_COOKIES = (b"modelyard_", b"__Host-modelyard_", b"__Secure-modelyard_")
"""What the names of the yard's cookies begin with."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, 7.6.1."""

_STATED_HERE = frozenset({b"expect", b"forwarded", b"x-real-ip", b"x-request-id", b"cookie", b"content-length"})
_STATED_PREFIXES = (b"x-forwarded-", b"x-modelyard-")
_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"x-amz-security-token"})
_ANSWERED_HERE = frozenset({b"date", b"x-request-id"})
_DOMAIN = re.compile(rb";\s*domain\s*(?:=[^;]*)?(?=;|$)", re.IGNORECASE)


def request_headers(headers: Headers, *, credential: bool) -> Headers:
    """What an app is sent of a request's headers, but for those of framing and those that the gateway states.
    `credential` says that what the client showed was meant for the yard; then the app does not see it."""
    named = _named_by_connection(headers)
    passed: Headers = []
    cookies: list[bytes] = []
    for name, value in headers:
        if name == b"cookie":
            cookies += foreign_cookies(value)
        elif name in named or is_stated_here(name):
            continue
        elif not (credential and name in _CREDENTIALS):
            passed.append((name, value))
    if cookies:
        passed.append((b"cookie", b"; ".join(cookies)))
    return passed


def is_stated_here(name: bytes) -> bool:
    """Whether a request's header is of the hop, or of those that the gateway states. To a WSGI application `_` and `-`
    are the same: `x_forwarded_email` would be read as who is there."""
    plain = name.replace(b"_", b"-")
    return plain in HOP_BY_HOP or plain in _STATED_HERE or plain.startswith(_STATED_PREFIXES)


def is_forwarding(name: bytes) -> bool:
    """Whether a header says by which way a request came."""
    return name.replace(b"_", b"-").startswith(_STATED_PREFIXES[0])


def foreign_cookies(header: bytes) -> list[bytes]:
    """The pairs of a Cookie header that are not the yard's."""
    pairs = (one.strip() for one in header.split(b";"))
    return [one for one in pairs if one and not one.startswith(OWN_COOKIES)]


def cookie(header: bytes | None, *names: bytes) -> bytes | None:
    """The value of the first of these cookies that is there."""
    if header is None or not any(name in header for name in names):
        return None
    found: dict[bytes, bytes] = {}
    for pair in header.split(b";"):
        name, _, value = pair.strip().partition(b"=")
        found.setdefault(name, value.strip(b'"'))
    return next((found[name] for name in names if name in found), None)


def is_own_page(fields: dict[bytes, bytes], scheme: bytes = b"http") -> bool:
    """Whether a request comes of a page of the origin that it goes to, or of no page. Where that origin is behind a
    proxy, its own scheme may be HTTPS all the same."""
    origin = fields.get(b"origin")
    own = fields.get(b"host", b"").lower()
    return origin is None or origin.lower() in (b"%b://%b" % (scheme, own), b"https://%b" % own)


def answer_headers(headers: Headers) -> Headers:
    """What a browser is sent of an app's answer, but for those of framing. A cookie stays at the app's own host."""
    named = _named_by_connection(headers)
    passed: Headers = []
    for name, value in headers:
        if name in HOP_BY_HOP or name in _ANSWERED_HERE or name in named:
            continue
        given = value if name != b"set-cookie" else cookie_of_this_host(value)
        if given is not None:
            passed.append((name, given))
    return passed


def cookie_of_this_host(value: bytes) -> bytes | None:
    """What of a `Set-Cookie` goes to a browser: it stays at the host that set it. None for one of the yard's own, which
    nobody behind a gateway may set; a name left out counts too, since `=a=b` comes back as `a=b`."""
    if value.lstrip(b" \t=").startswith(OWN_COOKIES):
        return None
    return _DOMAIN.sub(b"", value)


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Headers that `Connection` says are for the next hop alone."""
    for name, value in headers:
        if name == b"connection":
            tokens = frozenset(one.strip().lower() for one in value.split(b","))
            return tokens - {b"close", b"keep-alive", b"upgrade", b"host", b"cookie", b"content-type"}
    return frozenset()
