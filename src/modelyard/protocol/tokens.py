"""Signed tokens: made and checked with the yard's key, which the gateway and control read from the home.

The key is 32 random bytes, from which the private key on P-256 is derived; whoever is to check tokens without it gets
the public half as a JWKS (RFC 7517). Where the file changes, what was signed before is good no more.
"""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.domain.access import Principal
from modelyard.domain.tokens import (
    ALGORITHM,
    IDENTITY_TYPE,
    ISSUER,
    PERSON_TYPE,
    TOKEN_BYTES_MAX,
    YARD,
    identity_claims,
    person_claims,
)
from modelyard.errors import StoreFailed, Unauthorized

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group on P-256 (FIPS 186-5): a private key is a number from 1 to one less."""

CLOCK_LEEWAY_SECONDS = 5


class TokenKey:
    """`path` is the key's file, read when it is first needed, and again where it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[float, float] = (0.0, 0.0)
        self._private: EllipticCurvePrivateKey | None = None
        self._public: dict[str, Any] = {}

    def person_token(self, client: str, person: Principal, sid: str, expires_at: float | None = None) -> str:
        """With it `client` (`app/NAME`) calls endpoints in the place of a person, as long as `sid` lasts, the digest of
        the session or the key that they came with. Raises StoreFailed."""
        return self._sign(person_claims(client, person, sid, time.time(), expires_at), PERSON_TYPE)

    def identity_token(self, audience: str, person: Principal, sid: str, expires_at: float | None = None) -> str:
        """With it `audience` (`app/NAME`) knows who opened it, and nothing more. Raises StoreFailed."""
        return self._sign(identity_claims(audience, person, sid, time.time(), expires_at), IDENTITY_TYPE)

    def check(self, token: str, audience: str = YARD) -> dict[str, Any]:
        """The claims of a person's token, or of an identity where another audience than the yard is given. Raises
        Unauthorized, whatever is wrong with it; StoreFailed."""
        import jwt  # noqa: PLC0415 (most yards see no token: what it needs takes 20 ms and several MB)

        private = self._key()
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthorized(f"cannot take a token of {len(token)} characters", f"the limit is {TOKEN_BYTES_MAX}")
        kind = PERSON_TYPE if audience == YARD else IDENTITY_TYPE
        try:
            found = jwt.decode_complete(
                token,
                private.public_key(),
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "sid", "exp", "iat"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthorized(f"cannot take the token: {error}", "ask for a new one") from error
        if found["header"].get("typ") != kind:
            raise Unauthorized("cannot take the token: it is for another purpose", "ask for the right one")
        claims: dict[str, Any] = found["payload"]
        return claims

    def public_keys(self) -> dict[str, Any]:
        """The JWKS. Raises StoreFailed."""
        self._key()
        return {"keys": [self._public]}

    def _sign(self, claims: dict[str, Any], kind: str) -> str:
        import jwt  # noqa: PLC0415 (as above)

        private = self._key()
        return jwt.encode(claims, private, ALGORITHM, headers={"typ": kind, "kid": self._public["kid"]})

    def _key(self) -> "EllipticCurvePrivateKey":
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 (as above)
        from jwt.algorithms import ECAlgorithm  # noqa: PLC0415 (as above)

        try:
            found = self._path.stat()
            seen = (found.st_mtime, found.st_ino)
            if self._private is None or seen != self._read_at:
                number = int.from_bytes(self._path.read_bytes()) % (_ORDER - 1) + 1
                self._private = ec.derive_private_key(number, ec.SECP256R1())
                public: dict[str, Any] = ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
                self._public = {**public, "kid": _thumbprint(public), "use": "sig", "alg": ALGORITHM}
                self._read_at = seen
        except OSError as error:
            raise StoreFailed(f"cannot read {self._path}: {error.strerror}", "`modelyard up` makes it") from error
        return self._private


def looks_signed(secret: bytes) -> bool:
    """Whether what a client shows could be such a token: a JWT's header begins with `{"`, which is `eyJ` in base64."""
    return secret.startswith(b"eyJ") and secret.count(b".") == 2


def _thumbprint(key: dict[str, Any]) -> str:
    """What names a key without saying anything of its private half (RFC 7638)."""
    required = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(required.encode()).digest()).decode().rstrip("=")
