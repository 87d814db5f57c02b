"""How somebody comes in with a browser, by password or by a one-time link, and the sessions that come of it."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.access import client_address, digest_of
from modelyard.api.audit import note
from modelyard.api.passwords import hash_password, is_password
from modelyard.api.permissions import current, guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import (
    EMAIL_LENGTH_MAX,
    PASSWORD_LENGTH_MAX,
    Principal,
    PrincipalKind,
    Role,
    allows,
    check_password,
    locked_seconds,
)
from modelyard.domain.audit import Audited
from modelyard.domain.users import Session, User, grant_document
from modelyard.errors import Forbidden, NotFound, TooManyRequests, Unauthorized
from modelyard.protocol.browsers import own_origin, presented_session
from modelyard.protocol.routes import CONSOLE
from modelyard.protocol.views_of_access import GrantView, MeView, OpenedView, SessionsView, SessionView

LINK_SECONDS = 60.0
SESSION_SECONDS = 12 * 3600.0
AGENT_LENGTH_MAX = 200

LOGINS_PER_MINUTE_MAX = 20
"""Tries to sign in from one address; beyond it they wait for the next minute."""
ADDRESSES_WATCHED_MAX = 10_000


class Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    email: Annotated[str, Field(max_length=EMAIL_LENGTH_MAX)]
    password: Annotated[str, Field(max_length=PASSWORD_LENGTH_MAX)]


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    old: Annotated[str, Field(max_length=PASSWORD_LENGTH_MAX)]
    new: Annotated[str, Field(max_length=PASSWORD_LENGTH_MAX)]


@dataclass(frozen=True, slots=True)
class LinkView:
    url: str
    expires_at: str


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "sessions")
    throttle = Throttle()

    @router.post("/links", status_code=201)
    def make_link(request: Request) -> LinkView:
        """A link that opens the console in a browser, once, as the yard's owner."""
        token = secrets.token_urlsafe(32)
        expires_at = yard.clock.now() + LINK_SECONDS
        yard.store.keys.put_link(digest_of(token), expires_at)
        return LinkView(url=f"{own_origin(request.headers)}{CONSOLE}/enter?token={token}", expires_at=iso(expires_at))

    @router.post("/sessions", status_code=201)
    def open_session(ticket: Ticket, request: Request) -> OpenedView:
        """Trades a link's token for a session; it needs no other credential."""
        if not yard.store.keys.take_link(digest_of(ticket.token), yard.clock.now()):
            raise Unauthorized(
                "cannot open the console: the link was used already or is too old", "run `modelyard open` again"
            )
        _audit(yard, request, "owner", "sign in by link", "201")
        return begin_session(yard, request, None)

    @router.post("/login", status_code=201)
    def sign_in(login: Login, request: Request) -> OpenedView:
        """Trades an e-mail address and a password for a session. Raises alike for an unknown address and a wrong
        password, and in the same time."""
        throttle.check(client_address(request.headers), yard.clock.now())
        user = _checked(yard, login, request)
        _audit(yard, request, f"user {user.email}", "sign in", "201")
        return begin_session(yard, request, user)

    @router.get("/me")
    def get_me() -> MeView:
        """Who asks, and what they were granted."""
        return _me(current())

    @router.put("/me/password")
    def change_password(change: PasswordChange, request: Request) -> OpenedView:
        """One's own password. Every session ends, and a new one begins."""
        principal = current()
        if principal.kind is not PrincipalKind.USER:
            raise Forbidden(f"cannot change the password of {principal}", "sign in with a password first")
        throttle.check(client_address(request.headers), yard.clock.now())
        user = _checked(yard, Login(email=principal.id, password=change.old), request)
        if change.new == change.old:
            raise Forbidden("cannot keep the same password", "choose another")
        encoded = hash_password(check_password(change.new, user.email))
        changed = yard.store.users.change(user.email, lambda one: replace(one, must_change_password=False), encoded)
        return begin_session(yard, request, changed)

    @router.get("/sessions")
    def list_sessions(request: Request) -> SessionsView:
        """One's own, newest first; an admin's list has everybody's."""
        own = own_session_id(yard, request)
        return SessionsView([_view(one, own) for one in _own_sessions(yard)])

    @router.delete("/sessions/{session}")
    def end_session(session: str, request: Request) -> SessionView:
        """Whoever has it is asked to sign in again. Answers with what it was."""
        found = next((one for one in _own_sessions(yard) if one.id == session), None)
        if found is None:
            raise NotFound(f"cannot find session {session[:40]!r}", "list them with GET /sessions")
        yard.store.keys.end_session(found.id)
        yard.poke()
        return _view(found, own_session_id(yard, request))

    return router


def begin_session(yard: Yard, request: Request, user: User | None) -> OpenedView:
    """A new session of a user, or of the owner. Its token is new at each login: none from before can be fixed on
    somebody."""
    token = secrets.token_urlsafe(32)
    now = yard.clock.now()
    session = Session(
        id=f"s-{secrets.token_hex(6)}",
        user=user.email if user is not None else None,
        created_at=now,
        expires_at=now + SESSION_SECONDS,
        address=client_address(request.headers),
        agent=request.headers.get("user-agent", "")[:AGENT_LENGTH_MAX],
    )
    yard.store.keys.put_session(digest_of(token), session)
    yard.poke()
    return OpenedView(
        session=token,
        expires_at=iso(session.expires_at),
        seconds=SESSION_SECONDS,
        must_change_password=user is not None and user.must_change_password,
    )


class Throttle:
    """Counts tries by address and minute. Bounded: beyond `ADDRESSES_WATCHED_MAX` the address seen first goes."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, int], int] = OrderedDict()

    def check(self, address: str, now: float) -> None:
        """Raises TooManyRequests beyond `LOGINS_PER_MINUTE_MAX`."""
        place = (address, int(now // 60))
        self._tries[place] = self._tries.get(place, 0) + 1
        while len(self._tries) > ADDRESSES_WATCHED_MAX:
            self._tries.popitem(last=False)
        if self._tries[place] > LOGINS_PER_MINUTE_MAX:
            raise TooManyRequests("cannot try to sign in again so soon", "wait a minute")


def _checked(yard: Yard, login: Login, request: Request) -> User:
    """The user, if the password is right; counts it where it is wrong. Raises Unauthorized."""
    now, email = yard.clock.now(), login.email.strip().lower()
    user = next((one for one in [find_user(yard, email)] if one is not None and not one.disabled), None)
    locked = user is not None and user.locked_until > now
    right = is_password(login.password, yard.store.users.password(email) if user is not None and not locked else None)
    if user is None or not right:
        if user is not None and not locked:
            yard.store.users.change(email, lambda one: _failed(one, now))
        _audit(yard, request, "nobody", f"sign in as {email}", "401 locked" if locked else "401")
        raise Unauthorized(
            "cannot sign in: the address or the password is wrong, or the account waits after wrong tries",
            "try again later; an admin can give a new password",
        )
    return yard.store.users.change(email, lambda one: replace(one, failures=0, locked_until=0.0, last_login_at=now))


def find_user(yard: Yard, email: str) -> User | None:
    try:
        return yard.store.users.get(email)
    except NotFound:
        return None


def _failed(user: User, now: float) -> User:
    failures = user.failures + 1
    return replace(user, failures=failures, locked_until=now + locked_seconds(failures))


def _own_sessions(yard: Yard) -> list[Session]:
    principal = current()
    there = yard.store.keys.sessions(yard.clock.now())
    if allows(principal, Role.ADMIN):
        return there
    return [one for one in there if principal.kind is PrincipalKind.USER and one.user == principal.id]


def _view(session: Session, own: str | None) -> SessionView:
    return SessionView(
        id=session.id,
        user=session.user,
        created_at=iso(session.created_at),
        expires_at=iso(session.expires_at),
        address=session.address,
        agent=session.agent,
        host=session.host,
        own=session.id == own,
    )


def own_session_id(yard: Yard, request: Request) -> str | None:
    found = own_session(yard, request)
    return found.id if found is not None else None


def own_session(yard: Yard, request: Request) -> Session | None:
    """The session of the yard's that asks; None where something else does."""
    token = presented_session(request.headers)
    found = yard.store.keys.session(digest_of(token), yard.clock.now()) if token is not None else None
    return found if found is not None and found.host is None else None


def _me(principal: Principal) -> MeView:
    return MeView(
        kind=principal.kind.value,
        id=principal.id,
        groups=list(principal.groups),
        grants=[GrantView(**grant_document(one)) for one in principal.grants],
        must_change_password=principal.must_change_password,
    )


def _audit(yard: Yard, request: Request, who: str, action: str, outcome: str) -> None:
    address = client_address(request.headers)
    note(yard, Audited(yard.clock.now(), who, action, outcome, address, request.scope["state"]["request_id"]))
