"""Tokens that an issuer has signed (JWT, RFC 7519), for routes with an authorizer.

Only asymmetric algorithms are taken, whatever a token says of itself: `none` and shared secrets prove nothing to
somebody who knows but the issuer's public keys. The keys are fetched from where the issuer says that they are, kept for
a while, and fetched again where a token names one that is not among them.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from modelyard.domain.gateways import Authorizer
from modelyard.errors import Forbidden, ModelyardError, NotReady, Unauthorized
from modelyard.gateway.outgoing import Outgoing

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEYS_SECONDS = 3600.0
"""How long an issuer's keys are believed."""
ASK_AGAIN_SECONDS = 30.0
"""How often they are fetched at most, whatever tokens name."""
FETCH_SECONDS = 10.0
LEEWAY_SECONDS = 10.0
"""Clocks of two machines may differ by so much."""
TOKEN_BYTES_MAX = 16 * 2**10
PROVED_MAX = 4096
"""Tokens that were proved and are believed until they expire, so that each is computed once."""

_DISCOVERY = "/.well-known/openid-configuration"


class _Keys(NamedTuple):
    by_id: dict[str | None, Any]
    fetched_at: float


class Issuers:
    """The issuers' keys, and what they signed. Times are wall clock."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._keys: dict[tuple[str, str | None], _Keys] = {}
        self._fetching: dict[tuple[str, str | None], asyncio.Task[_Keys]] = {}
        self._proved: dict[bytes, tuple[dict[str, Any], float]] = {}

    def knows(self, authorizer: Authorizer, token: str) -> bool:
        """Whether it can be judged without asking the issuer."""
        found = self._keys.get(_place(authorizer))
        if found is None or time.time() - found.fetched_at > KEYS_SECONDS:
            return False
        return _key_id(token) in found.by_id or time.time() - found.fetched_at < ASK_AGAIN_SECONDS

    async def ask(self, authorizer: Authorizer, token: str, scopes: Sequence[str]) -> dict[str, Any]:
        """As `claims`, after fetching the keys. Raises NotReady too, where they cannot be had."""
        place = _place(authorizer)
        task = self._fetching.get(place)
        if task is None:
            task = self._fetching[place] = asyncio.create_task(self._fetch(authorizer))
            task.add_done_callback(lambda _: self._fetching.pop(place, None))
        try:
            self._keys[place] = await asyncio.shield(task)
        except ModelyardError as error:
            if place not in self._keys:
                raise NotReady("Service Unavailable") from error
        return self.claims(authorizer, token, scopes)

    def claims(self, authorizer: Authorizer, token: str, scopes: Sequence[str]) -> dict[str, Any]:
        """What a token says that is proved, in time, and for us. Raises Unauthorized, Forbidden without the scopes."""
        digest = hashlib.sha256(f"{authorizer.issuer}\0{authorizer.audience}\0{token}".encode()).digest()
        proved = self._proved.get(digest)
        if proved is None or proved[1] <= time.time():
            claims = self._proof(authorizer, token)
            if len(self._proved) >= PROVED_MAX:
                self._proved.clear()
            self._proved[digest] = (claims, min(float(claims["exp"]), time.time() + KEYS_SECONDS))
        else:
            claims = proved[0]
        if scopes and not set(scopes) & _scopes_of(claims):
            raise Forbidden("Forbidden")
        return claims

    def _proof(self, authorizer: Authorizer, token: str) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 (most yards have no authorizer)

        known = self._keys.get(_place(authorizer))
        key = known.by_id.get(_key_id(token)) if known is not None else None
        if key is None:
            raise Unauthorized("Unauthorized")
        options: Any = {"require": ["exp", "iss"], "verify_aud": False}
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=authorizer.issuer,
                leeway=LEEWAY_SECONDS,
                options=options,
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthorized("Unauthorized") from error
        if not set(authorizer.audience) & _audience_of(claims):
            raise Unauthorized("Unauthorized")
        return claims

    async def _fetch(self, authorizer: Authorizer) -> _Keys:
        import jwt  # noqa: PLC0415 (see `_proof`)

        place = authorizer.jwks
        if place is None:
            found = await self._json(authorizer.issuer.rstrip("/") + _DISCOVERY)
            place = str(found.get("jwks_uri") or "")
        document = await self._json(place)
        by_id: dict[str | None, Any] = {}
        for one in document.get("keys") or ():
            try:
                key = jwt.PyJWK(one)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # of a kind that nobody here could use
            if one.get("use", "sig") == "sig" and one.get("kty") != "oct":
                by_id[one.get("kid")] = key
        return _Keys(by_id, time.time())

    async def _json(self, url: str) -> dict[str, Any]:
        fetched = await self._outgoing.fetch("GET", url, [(b"accept", b"application/json")], b"", FETCH_SECONDS)
        try:
            found: Any = json.loads(fetched.body)
        except ValueError as error:
            raise NotReady(f"cannot read {url}: it is no JSON") from error
        if fetched.status != 200 or not isinstance(found, dict):
            raise NotReady(f"cannot read {url}: status {fetched.status}")
        return found  # pyright: ignore[reportUnknownVariableType] (JSON has no other keys than texts)


def bearer(header: bytes | None) -> str:
    """The token of a header, with `Bearer` before it or without. Raises Unauthorized."""
    if header is None or len(header) > TOKEN_BYTES_MAX:
        raise Unauthorized("Unauthorized")
    scheme, _, value = header.decode("latin-1").strip().partition(" ")
    token = value.strip() if scheme.lower() == "bearer" else header.decode("latin-1").strip()
    if token.count(".") != 2:
        raise Unauthorized("Unauthorized")
    return token


def _place(authorizer: Authorizer) -> tuple[str, str | None]:
    return authorizer.issuer, authorizer.jwks


def _key_id(token: str) -> str | None:
    import jwt  # noqa: PLC0415 (see `_proof`)

    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise Unauthorized("Unauthorized") from error


def _audience_of(claims: dict[str, Any]) -> set[str]:
    """As API Gateway has it: `client_id` only where there is no `aud`."""
    given = claims.get("aud", claims.get("client_id"))
    return set(given) if isinstance(given, list) else {str(given)}  # pyright: ignore[reportUnknownArgumentType] (see above)


def _scopes_of(claims: dict[str, Any]) -> set[str]:
    given = claims.get("scope", claims.get("scp", ""))
    return set(given) if isinstance(given, list) else set(str(given).split())  # pyright: ignore[reportUnknownArgumentType]
