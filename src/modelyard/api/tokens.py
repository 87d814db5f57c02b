"""What whoever is given a signed token of the yard checks it with."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.protocol.tokens import TokenKey


@dataclass(frozen=True, slots=True)
class TokenKeysView:
    keys: list[dict[str, Any]]
    """JSON Web Keys (RFC 7517), their public halves."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "tokens")
    key = TokenKey(yard.home.token_key)

    @router.get("/tokens/keys")
    def list_token_keys() -> TokenKeysView:
        """The JWKS: with it an app checks who opened it. For everybody."""
        return TokenKeysView(key.public_keys()["keys"])

    return router
