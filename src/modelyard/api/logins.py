"""How somebody comes in by way of an OpenID provider, and goes out again."""

import hashlib
import hmac
import logging
from collections import OrderedDict
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.access import client_address
from modelyard.api.audit import note
from modelyard.api.oidc import Attempt, OidcClient, new_attempt
from modelyard.api.permissions import current, guarded
from modelyard.api.providers import callback_of
from modelyard.api.sessions import Throttle, begin_session, find_user, own_session_id
from modelyard.api.yard import Yard
from modelyard.domain.access import PrincipalKind
from modelyard.domain.audit import TEXT_LENGTH_MAX, Audited
from modelyard.domain.providers import Admission, Provider, admit
from modelyard.domain.users import User
from modelyard.errors import ModelyardError, NotFound, Unauthorized
from modelyard.protocol.browsers import own_origin
from modelyard.protocol.routes import CONSOLE, NEXT_LENGTH_MAX
from modelyard.protocol.views_of_access import (
    BegunView,
    ButtonsView,
    ButtonView,
    SignedInView,
    SignedOutView,
)

ATTEMPT_SECONDS = 600.0
"""How long somebody may take to sign in at the provider."""
ATTEMPTS_MAX = 10_000
"""Logins under way; beyond it those that began first must begin again."""

_log = logging.getLogger("modelyard.control")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Begin(Strict):
    next: Annotated[str, Field(max_length=NEXT_LENGTH_MAX)] = CONSOLE


class Finish(Strict):
    code: Annotated[str, Field(max_length=4096)]
    state: Annotated[str, Field(max_length=256)]
    binding: Annotated[str, Field(max_length=256)]
    issuer: Annotated[str | None, Field(max_length=TEXT_LENGTH_MAX)] = None
    """What the provider said of itself beside the code (RFC 9207)."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "logins")
    oidc = yard.oidc or OidcClient()
    attempts, throttle = Attempts(), Throttle()

    @router.get("/login/providers")
    def list_buttons() -> ButtonsView:
        """By whom one can sign in. For everybody."""
        return ButtonsView([ButtonView(one.name, one.label or one.name) for one in yard.store.providers.select()])

    @router.post("/login/{provider}/begin", status_code=201)
    def begin(provider: str, wish: Begin, request: Request) -> BegunView:
        """A login that goes by way of the provider. Needs no credential."""
        now = yard.clock.now()
        throttle.check(client_address(request.headers), now)
        found = yard.store.providers.get(provider)
        attempt, binding = new_attempt(found.name, callback_of(found, request), wish.next, now + ATTEMPT_SECONDS)
        url = oidc.login_url(found, attempt, now)
        attempts.add(attempt)
        return BegunView(url, binding, ATTEMPT_SECONDS)

    @router.post("/login/{provider}/finish", status_code=201)
    def finish(provider: str, wish: Finish, request: Request) -> SignedInView:
        """Trades what the provider sent the browser back with for a session: once, in the browser that began it. Needs
        no other credential."""
        now = yard.clock.now()
        throttle.check(client_address(request.headers), now)
        who = "nobody"
        try:
            attempt = attempts.take(provider, wish, now)
            found = yard.store.providers.get(provider)
            if wish.issuer is not None and wish.issuer != found.issuer:
                raise Unauthorized("cannot sign in: the answer is another provider's", "begin again")
            secret = found.client_secret
            value = yard.store.secrets.reveal({secret})[secret] if secret is not None else None
            claims = oidc.claims(found, value, attempt, wish.code, now)
            linked = yard.store.users.find(found.issuer, str(claims.get("sub")))
            by_email = find_user(yard, str(claims.get("email")).strip())
            who = f"user {linked.email if linked is not None else claims.get('email')}"[:TEXT_LENGTH_MAX]
            user = _let_in(yard, found, admit(found, claims, linked, by_email), now)
        except ModelyardError as error:
            _audit(yard, request, who, f"sign in by {provider}", f"refused: {error.message}")
            raise
        _audit(yard, request, f"user {user.email}", f"sign in by {found.name}", "201")
        opened = begin_session(yard, request, user)
        return SignedInView(
            opened.session, opened.expires_at, opened.seconds, opened.must_change_password, attempt.target
        )

    @router.post("/logout")
    def sign_out(request: Request) -> SignedOutView:
        """Ends the session that asks. Answers with where the browser signs out of the provider too that it came by,
        where there is one that wants that."""
        own = own_session_id(yard, request)
        if own is not None:
            yard.store.keys.end_session(own)
            yard.poke()
        return SignedOutView(_logout_at_provider(yard, request, oidc))

    return router


class Attempts:
    """Logins under way. They are forgotten with the process: whoever was at it begins again."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, Attempt] = OrderedDict()

    def add(self, attempt: Attempt) -> None:
        self._attempts[attempt.state] = attempt
        while len(self._attempts) > ATTEMPTS_MAX:
            self._attempts.popitem(last=False)

    def take(self, provider: str, wish: Finish, now: float) -> Attempt:
        """Once: whatever comes of it, the same state is good no more. Raises Unauthorized."""
        attempt = self._attempts.pop(wish.state, None)
        digest = hashlib.sha256(wish.binding.encode()).hexdigest()
        if (
            attempt is None
            or attempt.expires_at <= now
            or attempt.provider.lower() != provider.lower()
            or not hmac.compare_digest(digest, attempt.binding)
        ):
            raise Unauthorized(
                "cannot sign in: this login did not begin in this browser, took too long, or was used already",
                "begin again",
            )
        return attempt


def _let_in(yard: Yard, provider: Provider, admission: Admission, now: float) -> User:
    users = yard.store.users
    if admission.is_new:
        new = User(admission.email, admission.name, now, provider.grants, has_password=False)
        users.add(new, None)
    subject, issuer = admission.subject, provider.issuer
    users.change(admission.email, lambda one: replace(one, issuer=issuer, subject=subject, last_login_at=now))
    for groups, member in ((admission.joins, True), (admission.leaves, False)):
        for group in groups:
            try:
                users.put_member(group, admission.email, member=member)
            except NotFound as error:
                _log.warning("provider %s: %s", provider.name, error.message)
    yard.poke()
    return users.get(admission.email)


def _logout_at_provider(yard: Yard, request: Request, oidc: OidcClient) -> str | None:
    principal = current()
    user = find_user(yard, principal.id) if principal.kind is PrincipalKind.USER else None
    if user is None or user.issuer is None:
        return None
    provider = next((one for one in yard.store.providers.select() if one.issuer == user.issuer), None)
    if provider is None or not provider.signs_out:
        return None
    return oidc.logout_url(provider, f"{own_origin(request.headers)}{CONSOLE}/login", yard.clock.now())


def _audit(yard: Yard, request: Request, who: str, action: str, outcome: str) -> None:
    address = client_address(request.headers)
    entry = Audited(
        yard.clock.now(), who, action, outcome[:TEXT_LENGTH_MAX], address, request.scope["state"]["request_id"]
    )
    note(yard, entry)
