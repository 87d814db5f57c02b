"""OpenID providers: which there are. For admins; how somebody comes in by one of them is `logins`."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from modelyard.api.oidc import OidcClient
from modelyard.api.permissions import guarded
from modelyard.api.users import Grants
from modelyard.api.yard import Yard
from modelyard.domain.providers import Provider, check_provider
from modelyard.domain.users import grant_document
from modelyard.errors import NotFound
from modelyard.protocol.browsers import own_origin
from modelyard.protocol.routes import CONSOLE
from modelyard.protocol.views_of_access import CheckedView, GrantView, ProvidersView, ProviderView


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ProviderWish(Strict):
    issuer: str
    client_id: str
    client_secret: str | None = None
    """Name of the secret that holds it, never the value."""
    label: str = ""
    scopes: list[str] = ["openid", "email", "profile"]
    admits: list[str] = []
    grants: Grants = []
    groups_claim: str = "groups"
    groups: dict[str, str] = {}
    """Group there -> group here."""
    trusts_emails: bool = False
    signs_out: bool = False


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "providers")
    oidc = yard.oidc or OidcClient()

    @router.get("/providers")
    def list_providers(request: Request) -> ProvidersView:
        return ProvidersView([_view(one, request) for one in yard.store.providers.select()])

    @router.put("/providers/{provider}")
    def put_provider(provider: str, wish: ProviderWish, request: Request) -> ProviderView:
        """As a whole: what is not given is as if it never had been."""
        fields: dict[str, Any] = {
            **wish.model_dump(),
            "scopes": tuple(wish.scopes),
            "admits": tuple(wish.admits),
            "grants": tuple(one.grant() for one in wish.grants),
            "groups": tuple(wish.groups.items()),
        }
        made = check_provider(Provider(name=provider, **fields))
        if made.client_secret is not None:
            yard.store.secrets.get(made.client_secret)
        there = {one.name.lower() for one in yard.store.users.groups()}
        missing = next((ours for _, ours in made.groups if ours.lower() not in there), None)
        if missing is not None:
            raise NotFound(f"cannot find group {missing!r}", "`modelyard groups put` makes it")
        yard.store.providers.put(made)
        return _view(made, request)

    @router.delete("/providers/{provider}")
    def remove_provider(provider: str, request: Request) -> ProviderView:
        """Nobody signs in by it any more; whoever did stays, with the sessions that they have."""
        found = yard.store.providers.get(provider)
        yard.store.providers.remove(provider)
        return _view(found, request)

    @router.post("/providers/{provider}/check")
    def check(provider: str) -> CheckedView:
        """Asks the provider what it publishes of itself."""
        found = yard.store.providers.get(provider)
        if found.client_secret is not None:
            yard.store.secrets.get(found.client_secret)
        place = str(oidc.discover(found, yard.clock.now())["authorization_endpoint"])
        return CheckedView(found.name, place, f"{found.name} answers; people are sent to {place}")

    return router


def callback_of(provider: Provider, request: Request) -> str:
    return f"{own_origin(request.headers)}{CONSOLE}/login/{provider.name}/callback"


def _view(provider: Provider, request: Request) -> ProviderView:
    return ProviderView(
        name=provider.name,
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        label=provider.label,
        scopes=list(provider.scopes),
        admits=list(provider.admits),
        grants=[GrantView(**grant_document(one)) for one in provider.grants],
        groups_claim=provider.groups_claim,
        groups=dict(provider.groups),
        trusts_emails=provider.trusts_emails,
        signs_out=provider.signs_out,
        callback=callback_of(provider, request),
    )
