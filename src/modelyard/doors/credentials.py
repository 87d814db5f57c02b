"""The key, as clients of other protocols can present it: HTTP basic with a fixed user, or a header.

Keys are compared as digests of 256-bit secrets: the time that a look-up takes says nothing about the key.
"""

import base64
import binascii
import hashlib

from starlette.datastructures import Headers

from modelyard.domain.access import Principal, PrincipalKind, Role, allows
from modelyard.errors import Forbidden, Unauthorized
from modelyard.protocol.browsers import SAFE_METHODS
from modelyard.protocol.routes import KEY
from modelyard.store.ports import Keys

USER = "yard"
"""The user of HTTP basic; the password is the key."""


def check_key(keys: Keys, headers: Headers, method: str, now: float) -> Principal:
    """Who asks: a viewer of the whole yard reads, a deployer of it also writes, since what lies behind a door belongs
    to no project. Raises Unauthorized without a key of this yard, Forbidden where a web page asks for a change, or the
    key is not granted as much."""
    origin = headers.get("origin")
    if origin is not None and method not in SAFE_METHODS:
        raise Forbidden(f"cannot {method} for a page of {origin[:200]}", "use a client, not a browser")
    key = presented_key(headers)
    if key is None:
        raise Unauthorized(
            "cannot answer without the yard's key",
            f"use HTTP basic with user {USER} and the key as password, or the header {KEY}",
        )
    principal = keys.principal(hashlib.sha256(key.encode()).hexdigest(), now)
    if principal is None or principal.kind is PrincipalKind.USER:
        raise Unauthorized("cannot answer: the key is not this yard's, or no longer", "use one that is")
    needed = Role.VIEWER if method in SAFE_METHODS else Role.DEPLOYER
    if principal.scopes is not None or not allows(principal, needed):
        raise Forbidden(f"cannot {method}: {principal} is no {needed.word} on the yard", "an admin can grant that")
    return principal


def presented_key(headers: Headers) -> str | None:
    """The key in a request, right or wrong; None where there is none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            return _basic_password(value.strip())
        case _:
            return headers.get(KEY)


def _basic_password(encoded: str) -> str | None:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password if colon and user == USER else None
