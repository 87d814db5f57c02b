"""Keys of programs: made within what one has oneself, shown once, known by their hash."""

import secrets
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.access import digest_of
from modelyard.api.audit import about
from modelyard.api.permissions import current, guarded
from modelyard.api.users import Grants
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Principal, PrincipalKind, Role, allows, within
from modelyard.domain.tokens import Prefix
from modelyard.domain.users import NAME_LENGTH_MAX, ApiKey, grant_document
from modelyard.errors import Forbidden, NotFound
from modelyard.protocol.views_of_access import GrantView, KeysView, KeyView

SECONDS_MAX = 10 * 365 * 86400.0


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
    grants: Annotated[Grants, Field(min_length=1)]
    expires_in_seconds: Annotated[float | None, Field(gt=0, le=SECONDS_MAX)] = None


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "keys")

    @router.get("/keys")
    def list_keys() -> KeysView:
        """One's own, oldest first; an admin's list has everybody's."""
        return KeysView([_view(one) for one in _own_keys(yard)])

    @router.post("/keys", status_code=201)
    def make_key(wish: NewKey) -> KeyView:
        """A key with these grants, none of which may be more than one has oneself. The answer shows it, once."""
        principal = _maker()
        grants = tuple(one.grant() for one in wish.grants)
        beyond = within(grants, principal)
        if beyond is not None:
            raise Forbidden(f"cannot make key {wish.name}: {principal} is not {beyond}", "grant it what you have")
        now = yard.clock.now()
        secret = Prefix.KEY + secrets.token_urlsafe(32)
        key = ApiKey(
            id=f"k-{secrets.token_hex(6)}",
            name=wish.name,
            owner=principal.id if principal.kind is PrincipalKind.USER else None,
            grants=grants,
            created_at=now,
            expires_at=now + wish.expires_in_seconds if wish.expires_in_seconds is not None else None,
        )
        about(f"{key.id} ({key.name})", *map(str, grants))
        yard.store.keys.put_key(digest_of(secret), key)
        yard.poke()
        return _view(key, secret)

    @router.delete("/keys/{key}")
    def delete_key(key: str) -> KeyView:
        """It opens nothing any more. Answers with what it was."""
        found = next((one for one in _own_keys(yard) if one.id == key), None)
        if found is None:
            raise NotFound(f"cannot find key {key[:40]!r}", "list them with GET /keys")
        deleted = yard.store.keys.delete_key(found.id)
        yard.poke()
        return _view(deleted)

    return router


def _maker() -> Principal:
    """Who makes a key. A key makes none: whoever finds one must not be able to keep what it opens."""
    principal = current()
    if principal.kind not in (PrincipalKind.OWNER, PrincipalKind.USER) or principal.must_change_password:
        raise Forbidden(f"cannot make a key as {principal}", "sign in, or use the owner's key")
    return principal


def _own_keys(yard: Yard) -> list[ApiKey]:
    principal = current()
    there = yard.store.keys.api_keys()
    if allows(principal, Role.ADMIN):
        return there
    return [one for one in there if principal.kind is PrincipalKind.USER and one.owner == principal.id]


def _view(key: ApiKey, secret: str | None = None) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        owner=key.owner,
        grants=[GrantView(**grant_document(one)) for one in key.grants],
        created_at=iso(key.created_at),
        expires_at=iso(key.expires_at) if key.expires_at is not None else None,
        last_used_at=iso(key.last_used_at) if key.last_used_at is not None else None,
        key=secret,
    )
