"""Who asks. Everything under /api wants a key or a session; foreign pages may change nothing.

    key       `Authorization: Bearer KEY` or `x-api-key: KEY`, the owner's or a program's; the store has its sha256
    token     `Authorization: Bearer TOKEN`: a job's, or that of an app which asks in a person's place
    session   a cookie that a login or a one-time link was traded for; only for requests that change nothing, or that
              come from a page of our own origin

What they may do is `permissions`' to say. Keys are compared as digests of 256-bit secrets: the time that a look-up
takes says nothing about the key. This is also where every request gets its id, where bodies meet their limit, and where
the audit log hears of changes and refusals.
"""

import hashlib
import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.api.audit import Auditor, listening
from modelyard.api.errors import respond
from modelyard.api.permissions import OPEN, PRINCIPAL
from modelyard.api.yard import Yard
from modelyard.domain.access import TRACKING_SERVER, Principal, PrincipalKind
from modelyard.domain.job_tokens import is_tracking_token, may_be_tracking_token
from modelyard.domain.tokens import acting_for
from modelyard.errors import Forbidden, ModelyardError, TooLarge, Unauthorized
from modelyard.protocol.browsers import SAFE_METHODS, is_own, keeps_to_tls, presented_session
from modelyard.protocol.routes import (
    API,
    BODY_BYTES_MAX_API,
    KEY,
    REQUEST_ID,
    REQUEST_ID_LENGTH_MAX,
)
from modelyard.protocol.tokens import TokenKey, looks_signed
from modelyard.settings import read_key

_ARTIFACTS = f"{API}/artifacts/"
TLS_KEPT_SECONDS = 30 * 86400
"""For how long a browser that came by TLS comes so again, whatever a link says."""

DRAINED_BYTES_MAX = 64 * 2**20
"""What is read of a body that is too large, so that its sender reads the refusal."""

_OPEN = re.compile("|".join(re.sub(r"\{\w+\}", "[^/]+", f"{method} {path}") for method, path in sorted(OPEN)))


def digest_of(secret: str) -> str:
    """What the store has in place of a key, a link's token, a session."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Access:
    """Stands before the whole application."""

    def __init__(self, app: ASGIApp, yard: Yard) -> None:
        self._app = app
        self._yard = yard
        self._auditor = Auditor(yard)
        self._token_key = TokenKey(yard.home.token_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                answered = MutableHeaders(scope=message)
                answered[REQUEST_ID] = request_id
                answered.setdefault("cache-control", "no-store")
                answered.setdefault("x-content-type-options", "nosniff")
                if keeps_to_tls(headers):
                    answered.setdefault("strict-transport-security", f"max-age={TLS_KEPT_SECONDS}")
            await send(message)

        # Forgotten at the end: another request may be answered in the same context.
        recognised = PRINCIPAL.set(None)
        with listening() as told:
            try:
                PRINCIPAL.set(self._check(scope, headers))
                await self._app(scope, _limited(scope, receive), send_with_id)
            except ModelyardError as refusal:
                await respond(refusal, request_id)(scope, receive, send_with_id)
            finally:
                principal = PRINCIPAL.get()
                PRINCIPAL.reset(recognised)
                await self._auditor.note(scope, principal, status, client_address(headers), request_id, told)

    def _check(self, scope: Scope, headers: Headers) -> Principal | None:
        """Who asks; None on the paths that recognise nobody. Raises what refuses the request."""
        method, path = scope["method"], scope["path"]
        changes = method not in SAFE_METHODS
        origin = headers.get("origin")
        if changes and origin is not None and not is_own(origin, headers):
            raise Forbidden(
                f"cannot {method} {path} for a page of {origin[:200]}", "use the console, or a client with the key"
            )
        is_open = path.startswith(API) and _OPEN.fullmatch(f"{method} {path.removeprefix(API)}") is not None
        guarded = path.startswith("/api") and not is_open
        principal = self._recognise(headers, browser_may=not changes or origin is not None) if guarded else None
        if not path.startswith(_ARTIFACTS) and int(headers.get("content-length") or 0) > BODY_BYTES_MAX_API:
            raise TooLarge(f"cannot take the body of {method} {path}: the limit is {BODY_BYTES_MAX_API} bytes")
        return principal

    def _recognise(self, headers: Headers, *, browser_may: bool) -> Principal:
        keys, now = self._yard.store.keys, self._yard.clock.now()
        key = presented_key(headers)
        if key is not None:
            principal = self._tracking_server(key) or keys.principal(digest_of(key), now)
            if principal is None and looks_signed(key.encode()):
                return self._acting(key)
            if principal is None or principal.kind is PrincipalKind.USER:
                raise Unauthorized(
                    "cannot answer: the key is not this yard's, or no longer",
                    "the owner's is in the home's file `key`; `modelyard keys list` shows the others",
                )
            return principal
        session = presented_session(headers)
        principal = keys.principal(digest_of(session), now) if session is not None and browser_may else None
        if principal is None:
            raise Unauthorized(
                "cannot answer without a key",
                "send `Authorization: Bearer KEY` (the home's file `key` has the owner's); `modelyard open` lets a "
                "browser in",
            )
        return principal

    def _tracking_server(self, token: str) -> Principal | None:
        if may_be_tracking_token(token) and is_tracking_token(read_key(self._yard.home), token):
            return TRACKING_SERVER
        return None

    def _acting(self, token: str) -> Principal:
        """Who asks with a person's token."""
        claims = self._token_key.check(token)
        person = self._yard.store.keys.principal(claims["sid"], self._yard.clock.now())
        if person is None:
            raise Unauthorized(f"cannot take the token: {claims['sub']} may not come in any more")
        return acting_for(person, str(claims.get("client_id")), str(claims.get("scope")))


def client_address(headers: Headers) -> str:
    """Where the client is, as the gateway saw it; it passes on no such header of the client's own."""
    return headers.get("x-forwarded-for", "")


def presented_key(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return headers.get(KEY)


def _request_id(headers: Headers) -> str:
    """The gateway's, or one of our own where the request did not come through it."""
    given = headers.get(REQUEST_ID, "")
    if 0 < len(given) <= REQUEST_ID_LENGTH_MAX and given.isascii() and given.isprintable():
        return given
    return secrets.token_hex(12)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive` that breaks off a body without a stated length when it is over the limit."""
    if scope["path"].startswith(_ARTIFACTS) and scope["method"] == "PUT":
        return receive
    taken = 0

    async def receive_within_limit() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES_MAX_API:
            # Whoever sends is not told before it has sent; closing on what is not read would lose the answer.
            while message.get("more_body") and taken < DRAINED_BYTES_MAX:
                message = await receive()
                taken += len(message.get("body", b""))
            # The framework hands on this type alone from inside the reading of a body.
            raise HTTPException(413)
        return message

    return receive_within_limit
