"""How a browser comes in: a link that works once, within a minute, and the session that it is traded for."""

import secrets
from dataclasses import dataclass

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from modelyard.api.access import digest_of, own_origin
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.errors import Unauthorized
from modelyard.protocol.routes import CONSOLE

LINK_SECONDS = 60.0
SESSION_SECONDS = 12 * 3600.0


class Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


@dataclass(frozen=True, slots=True)
class LinkView:
    url: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class SessionView:
    session: str
    expires_at: str
    seconds: float


def routes(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["links"])

    @router.post("/links", status_code=201)
    def make_link(request: Request) -> LinkView:
        """A link that opens the console in a browser, once."""
        token = secrets.token_urlsafe(32)
        expires_at = yard.clock.now() + LINK_SECONDS
        yard.store.keys.put_link(digest_of(token), expires_at)
        return LinkView(url=f"{own_origin(request.headers)}{CONSOLE}/enter?token={token}", expires_at=iso(expires_at))

    @router.post("/sessions", status_code=201)
    def open_session(ticket: Ticket) -> SessionView:
        """Trades a link's token for a session. The one request that needs no key."""
        now = yard.clock.now()
        if not yard.store.keys.take_link(digest_of(ticket.token), now):
            raise Unauthorized(
                "cannot open the console: the link was used already or is too old", "run `modelyard open` again"
            )
        session = secrets.token_urlsafe(32)
        expires_at = now + SESSION_SECONDS
        yard.store.keys.put_session(digest_of(session), expires_at)
        return SessionView(session=session, expires_at=iso(expires_at), seconds=SESSION_SECONDS)

    return router
