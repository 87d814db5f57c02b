"""The head of one request, and how it came. It is read by the lanes, which find who answers it."""

import time
from typing import TYPE_CHECKING

from modelyard.domain.hosts import place_at_port
from modelyard.errors import Forbidden, ModelyardError, TooManyRequests, Unauthorized
from modelyard.gateway.answers import plain_error, prediction_error, status_of
from modelyard.gateway.exchange import Reply
from modelyard.gateway.hosts import name_of
from modelyard.gateway.pages import HEAD, error_page
from modelyard.gateway.refusals import Kind
from modelyard.protocol import routes

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection
    from modelyard.gateway.server import Gateway

ACTION_LENGTH_MAX = 200
"""Of what was asked, so much is told in the audit log."""

NOBODY = "nobody"
_SAFE_ID = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")


class Request:
    """`url` is raw and undecoded, `headers` have lower-case names, `fields` the last value of each."""

    __slots__ = ("_id", "connection", "fields", "headers", "method", "path", "query", "upgrade", "url")

    def __init__(
        self,
        connection: "HttpConnection",
        method: bytes,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        *,
        upgrade: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.url = url
        self.path, _, self.query = url.partition(b"?")
        self.headers = headers
        self.fields = fields
        self.upgrade = upgrade
        """Whether it wants the connection to become another protocol's, a WebSocket's."""
        self._id: bytes | None = None

    def below(self, prefix: str) -> "Request":
        """The same, asked at a path below `prefix`."""
        url = prefix.encode() + self.url
        # What somebody has signed in for at the yard counts there alone; a browser shows it at each port of the host.
        fields = {name: value for name, value in self.fields.items() if name != b"cookie"}
        return Request(self.connection, self.method, url, self.headers, fields, upgrade=self.upgrade)

    @property
    def gateway(self) -> "Gateway":
        return self.connection.gateway

    @property
    def address(self) -> str:
        return self.connection.address

    @property
    def host(self) -> bytes:
        return self.fields.get(b"host", b"")

    @property
    def place(self) -> str:
        """The origin that was asked, as sessions know it."""
        name, port = name_of(self.host) or "", self.connection.own_port
        return name if port is None else place_at_port(name, port)

    @property
    def yard_host(self) -> bytes:
        """The yard's own host, where whoever came here signs in."""
        at_own_port = self.connection.own_port is not None
        return self.gateway.login_host(self.host, self.scheme, at_own_port=at_own_port)

    @property
    def scheme(self) -> bytes:
        return b"https" if self.connection.is_encrypted else b"http"

    @property
    def is_signed(self) -> bool:
        """As Amazon's clients sign."""
        return is_signed(self.fields)

    @property
    def id(self) -> bytes:
        """The client's own where it gave one."""
        if self._id is None:
            given = self.fields.get(b"x-request-id")
            self._id = given if given is not None and is_safe_id(given) else self.gateway.next_id()
        return self._id

    @property
    def id_text(self) -> str:
        return self.id.decode("latin-1")

    @property
    def wants_page(self) -> bool:
        """Whether a browser navigates here; what a page of it fetches, it wants no page for."""
        if self.method not in (b"GET", b"HEAD") or self.upgrade:
            return False
        if self.fields.get(b"sec-fetch-mode", b"navigate") != b"navigate":
            return False
        return b"text/html" in self.fields.get(b"accept", b"")

    # -- for the audit log -------------------------------------------------------------------------------------------

    def note(self, error: ModelyardError, *, principal: str | None = None, place: str | None = None) -> None:
        """Remembers who was refused, where it was for want of a right. `principal` is who asked, where that is no key
        or session of the yard's; `place` what was asked, where its paths are not told apart."""
        if not isinstance(error, Unauthorized | Forbidden | TooManyRequests):
            return
        gateway = self.gateway
        if principal is None:
            origin = self.connection.origin_of(self.fields.get(b"host"))
            host = self.place if origin is not None else None
            principal = str(gateway.access.recognise(self.fields, host) or NOBODY)
        asked = place or self.path.decode("latin-1")
        outcome = f"{status_of(error)} {error.code}"
        kind = Kind(principal, f"{self.method.decode('latin-1')} {asked}"[:ACTION_LENGTH_MAX], outcome, self.address)
        gateway.refusals.note(kind, self.id_text, time.time())

    # -- answers that are known --------------------------------------------------------------------------------------

    def reply(self, status: int, head: bytes, body: bytes) -> Reply:
        return Reply(self.connection, status, head, body, self.id, is_head=self.method == b"HEAD")

    def refusal(self, error: ModelyardError, *, status: int | None = None, signed: bool | None = None) -> Reply:
        """In the one shape; where `signed` is given, in that of predictions."""
        self.note(error)
        if signed is None:
            return self.reply(*plain_error(error, self.id_text, status))
        return self.reply(*prediction_error(error, self.id_text, signed=signed, predictor_status=status))

    def page(self, error: ModelyardError) -> Reply:
        """A refusal for people. Who may not come in may have signed in as the wrong one."""
        yard = self.yard_host.decode("latin-1")
        console = f"{self.scheme.decode()}://{yard}{routes.CONSOLE}" if isinstance(error, Forbidden) else None
        return self.reply(status_of(error), HEAD, error_page(error, self.id_text, console))


def is_signed(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256")


def is_safe_id(value: bytes) -> bool:
    return 0 < len(value) <= routes.REQUEST_ID_LENGTH_MAX and _SAFE_ID.issuperset(value)
