"""Coming in to an app or a site: who may, how somebody who has not signed in gets to the yard's login and back, and
what the app is told of who is there.

An origin of its own has a session of its own. The way to it: the gateway sends the browser to the yard's login with the
name of the host and the hash of a value that it puts into a cookie; whoever has signed in there is sent back with a
code, good once, for a minute, at that host, in that browser; the code is traded for a cookie of that host alone.
"""

import hashlib
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from modelyard.domain.access import Policy, policy_from
from modelyard.errors import Forbidden, NotReady
from modelyard.gateway.answers import plain_error, status_line
from modelyard.gateway.hosts import name_of
from modelyard.gateway.identity import Tokens
from modelyard.gateway.passing import Headers, cookie
from modelyard.gateway.shown import Shown
from modelyard.protocol.routes import APP_COOKIE, CONSOLE, ENTRANCE, ENTRY_COOKIE, SECURE_APP_COOKIE
from modelyard.protocol.table import HostEntry

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection

ENTERED = f"{ENTRANCE}/entered".encode()

ENTRY_SECONDS = 600
"""How long somebody may take to sign in."""

HEARD_SECONDS = 3.0
"""How long a session that has just begun may take to become known to the gateway."""

HEARD_PAUSE_SECONDS = 0.02
NEXT_LENGTH_MAX = 300
_REDIRECT = b"location: %b\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"


def policy_of(entry: HostEntry, by_default: Policy) -> Policy:
    return policy_from(entry.access) if entry.access is not None else by_default


def way_to_login(yard: bytes, scheme: bytes, host: str, url: bytes) -> tuple[bytes, bytes]:
    """(address of the yard's login, headers that go with it) for somebody who asked for `url` at `host`. `yard` is the
    yard's own host, with its port."""
    value = secrets.token_urlsafe(24)
    state = hashlib.sha256(value.encode()).hexdigest()
    query = urlencode({"host": host, "next": next_of(url), "state": state})
    address = b"%b://%b%b?%b" % (scheme, yard, f"{CONSOLE}/entrance".encode(), query.encode())
    secure = "; Secure" if scheme == b"https" else ""
    kept = f"{ENTRY_COOKIE}={value}; Path={ENTRANCE}/; Max-Age={ENTRY_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    return address, _REDIRECT % address + b"set-cookie: %b\r\n" % kept.encode()


def next_of(url: bytes) -> str:
    """Where at the same origin to go on; the beginning where that is too long, or leads elsewhere."""
    text = url.decode("latin-1")
    plain = text.isprintable() and text.isascii() and "\\" not in text and len(text) <= NEXT_LENGTH_MAX
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


def check_origin(shown: Shown, method: bytes, fields: dict[bytes, bytes], scheme: bytes, *, upgrade: bool) -> None:
    """Raises Forbidden for what a page of another origin would have somebody do who has signed in here."""
    origin = fields.get(b"origin")
    changes = upgrade or method not in (b"GET", b"HEAD", b"OPTIONS")
    if origin is None or not shown.by_cookie or not changes:
        return
    own = fields.get(b"host", b"").lower()
    if origin.lower() not in (b"%b://%b" % (scheme, own), b"https://%b" % own):
        raise Forbidden(
            f"cannot {method.decode('latin-1')} for a page of {origin[:200].decode('latin-1')}",
            "open the app itself, or send a key",
        )


def who_is_there(shown: Shown, tokens: Tokens | None) -> Headers:
    """What an app is told; nothing of somebody who was not recognised."""
    principal = shown.principal
    if principal is None:
        return []
    name = principal.id or principal.kind.value
    told = [
        (b"x-forwarded-user", _plain(name)),
        (b"x-forwarded-groups", _plain(",".join(principal.groups))),
    ]
    if "@" in principal.id:
        told.append((b"x-forwarded-email", _plain(principal.id)))
    if tokens is not None:
        told += [(b"x-modelyard-identity", tokens.identity), (b"x-modelyard-token", tokens.person)]
    return told


def _plain(text: str) -> bytes:
    return "".join(one for one in text if one.isprintable()).encode("latin-1", "replace")


class Entered:
    """The exchange that answers once the gateway knows the session which has just begun: before that it would send
    people back to the login."""

    def __init__(self, connection: "HttpConnection", host: bytes, query: bytes, request_id: bytes) -> None:
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._request_id = request_id
        self._gone = False
        self._host = name_of(host) or ""
        wanted = parse_qs(query.decode("latin-1")).get("next", ["/"])[0]
        self._next = next_of(wanted.encode("latin-1", "replace"))
        self._token = cookie(dict(connection.headers).get(b"cookie"), SECURE_APP_COOKIE.encode(), APP_COOKIE.encode())
        self._until = connection.gateway.loop.time() + HEARD_SECONDS

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        if self._gone:
            return
        gateway = self._connection.gateway
        if self._token is not None and gateway.access.knows_session(self._token.decode("latin-1"), self._host):
            self._answer(303, _REDIRECT % self._next.encode("latin-1"), b"")
        elif self._token is None or gateway.loop.time() >= self._until:
            error = NotReady("cannot let you in: the session is not known here", "open the app again")
            self._answer(*plain_error(error, self._request_id.decode("latin-1")))
        else:
            gateway.loop.call_later(HEARD_PAUSE_SECONDS, self.start)

    def abort(self) -> None:
        self._gone = True

    def can_write(self) -> None:
        """It is written at once."""

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        self._connection.write_answer(status_line(status) + head, body, self._request_id, self.keep_alive)
        self._connection.finished(self)
