"""Coming in to an app or a site at its own origin: a code for whoever has signed in at the yard, and the session that
it is traded for there."""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.access import client_address, digest_of
from modelyard.api.audit import about
from modelyard.api.hosts import place_at
from modelyard.api.permissions import current, guarded
from modelyard.api.sessions import AGENT_LENGTH_MAX, own_session
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.hosts import HOST_LENGTH_MAX, port_of
from modelyard.domain.users import EntryCode, Session
from modelyard.errors import Forbidden, NotFound, Unauthorized
from modelyard.protocol.browsers import app_cookies, cookie_at, cookie_of, place_asked
from modelyard.protocol.routes import ENTRY_COOKIE
from modelyard.protocol.views_of_access import EntryView, OpenedView

CODE_SECONDS = 60.0
PLACE_LENGTH_MAX = HOST_LENGTH_MAX + len(":65535")


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    host: Annotated[str, Field(min_length=1, max_length=PLACE_LENGTH_MAX)]
    """Name of an app's or a site's host, without a port; with it where that is one of its own."""
    state: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Sha256 of what the browser that comes keeps."""


class Code(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    code: Annotated[str, Field(max_length=128)]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "sessions")

    @router.post("/entries", status_code=201)
    def make_entry(entry: Entry, request: Request) -> EntryView:
        """A code with which this browser comes in at that host, once, within a minute. Only for who has signed in:
        a program sends its key there."""
        session = own_session(yard, request)
        if session is None or current().must_change_password:
            raise Forbidden(f"cannot let {current()} in at {entry.host}", "sign in first, with a password of your own")
        if place_at(yard, entry.host.lower(), host_of(request)) is None:
            raise NotFound(f"cannot let anybody in at {entry.host}: no app and no site answers there")
        code, expires_at = secrets.token_urlsafe(32), yard.clock.now() + CODE_SECONDS
        about(entry.host.lower())
        yard.store.keys.put_code(digest_of(code), EntryCode(entry.host.lower(), entry.state, session.id, expires_at))
        return EntryView(code, iso(expires_at))

    @router.post("/entries/taken", status_code=201)
    def take_entry(given: Code, request: Request) -> OpenedView:
        """Trades the code for a session at the host that this is asked at; it needs no other credential."""
        now = yard.clock.now()
        taken = yard.store.keys.take_code(digest_of(given.code), now)
        host = place_asked(request.headers)
        state = cookie_of(request.headers, cookie_at(ENTRY_COOKIE, port_of(host))) or ""
        kept = hashlib.sha256(state.encode()).hexdigest()
        if taken is None or taken[0].host != host or not hmac.compare_digest(taken[0].state, kept):
            raise Unauthorized("cannot let you in: the code was used already, or is not for here", "open the app again")
        about(f"{taken[1].user or 'owner'} at {host}")
        return _begin(yard, request, host, taken[1])

    @router.delete("/entries/own")
    def leave(request: Request) -> OpenedView:
        """Ends the session of the host that this is asked at."""
        host = place_asked(request.headers)
        token = cookie_of(request.headers, *app_cookies(host))
        session = yard.store.keys.session(digest_of(token), yard.clock.now()) if token else None
        if session is None or session.host != host:
            raise NotFound("cannot sign out: nobody has signed in here")
        about(f"{session.user or 'owner'} at {session.host}")
        yard.store.keys.end_session(session.id)
        yard.poke()
        return OpenedView("", iso(session.expires_at), 0.0)

    return router


def host_of(request: Request) -> str:
    """By which name the yard is asked, with the brackets of an IPv6 address; the gateway has seen to it that it is one
    of this yard's."""
    name = place_asked(request.headers)
    return f"[{name}]" if ":" in name else name


def _begin(yard: Yard, request: Request, host: str, parent: Session) -> OpenedView:
    token, now = secrets.token_urlsafe(32), yard.clock.now()
    session = Session(
        id=f"s-{secrets.token_hex(6)}",
        user=parent.user,
        created_at=now,
        expires_at=parent.expires_at,
        address=client_address(request.headers),
        agent=request.headers.get("user-agent", "")[:AGENT_LENGTH_MAX],
        host=host,
        parent=parent.id,
    )
    yard.store.keys.put_session(digest_of(token), session)
    yard.poke()
    return OpenedView(token, iso(session.expires_at), session.expires_at - now)
