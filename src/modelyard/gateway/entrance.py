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
from modelyard.domain.hosts import port_of
from modelyard.errors import Forbidden, NotReady
from modelyard.gateway.answers import plain_error, status_line
from modelyard.gateway.identity import Tokens
from modelyard.gateway.passing import Headers, cookie, is_own_page
from modelyard.gateway.shown import Shown
from modelyard.protocol.browsers import app_cookies, cookie_at
from modelyard.protocol.routes import CONSOLE, ENTRANCE, ENTRY_COOKIE
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


def way_to_login(yard: bytes, scheme: bytes, place: str, url: bytes) -> tuple[bytes, bytes]:
    """(address of the yard's login, headers that go with it) for somebody who asked for `url` at `place`. `yard` is the
    yard's own host, with its port."""
    value = secrets.token_urlsafe(24)
    state = hashlib.sha256(value.encode()).hexdigest()
    query = urlencode({"host": place, "next": next_of(url), "state": state})
    address = b"%b://%b%b?%b" % (scheme, yard, f"{CONSOLE}/entrance".encode(), query.encode())
    secure = "; Secure" if scheme == b"https" else ""
    name = cookie_at(ENTRY_COOKIE, port_of(place))
    kept = f"{name}={value}; Path={ENTRANCE}/; Max-Age={ENTRY_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    return address, _REDIRECT % address + b"set-cookie: %b\r\n" % kept.encode()


def next_of(url: bytes) -> str:
    """Where at the same origin to go on; the beginning where that is too long, or leads elsewhere."""
    text = url.decode("latin-1")
    plain = text.isprintable() and text.isascii() and "\\" not in text and len(text) <= NEXT_LENGTH_MAX
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


def check_origin(shown: Shown, method: bytes, fields: dict[bytes, bytes], scheme: bytes, *, upgrade: bool) -> None:
    """Raises Forbidden for what a page of another origin would have somebody do who has signed in here."""
    changes = upgrade or method not in (b"GET", b"HEAD", b"OPTIONS")
    if shown.by_cookie and changes and not is_own_page(fields, scheme):
        origin = fields[b"origin"][:200].decode("latin-1")
        raise Forbidden(
            f"cannot {method.decode('latin-1')} for a page of {origin}", "open the app itself, or send a key"
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

    def __init__(self, connection: "HttpConnection", place: str, query: bytes, request_id: bytes) -> None:
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._request_id = request_id
        self._gone = False
        self._place = place
        wanted = parse_qs(query.decode("latin-1")).get("next", ["/"])[0]
        self._next = next_of(wanted.encode("latin-1", "replace"))
        self._token = cookie(dict(connection.headers).get(b"cookie"), *(one.encode() for one in app_cookies(place)))
        self._until = connection.gateway.loop.time() + HEARD_SECONDS

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        if self._gone:
            return
        gateway = self._connection.gateway
        if self._token is not None and gateway.access.knows_session(self._token.decode("latin-1"), self._place):
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
