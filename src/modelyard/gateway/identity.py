"""The token that tells an app who is there: a JSON Web Token that anybody can verify with the yard's public keys, and
that stands for the person where it is sent back to the yard, to call endpoints and nothing else.

It is signed with ES256 (RFC 7518, 3.4) and holds, beside who and for whom, the digest of the session that it came of:
when that session ends, or what its owner may do changes, the token goes with it.
"""

import base64
import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.domain.access import Grant, Principal, PrincipalKind, Role
from modelyard.gateway.shown import Shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

TOKEN_SECONDS = 12 * 3600.0
"""How long a token is good at most; as long as a session."""

RENEWED_SECONDS = 300.0
"""How old the token is at most that an app is handed with a request."""

TOKENS_MAX = 4096
TOKEN_BYTES_MAX = 8192
ISSUER = "modelyard"
_COORDINATE_BYTES = 32


class Identity:
    """`key_file` is the yard's private key (PEM); it is read when the first token is wanted."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._key: EllipticCurvePrivateKey | None = None
        self._key_id = ""
        self._made: OrderedDict[tuple[str, str, Principal], tuple[bytes, float]] = OrderedDict()
        self._read: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def token_for(self, shown: Shown, audience: str, expires_at: float | None) -> bytes | None:
        """Who is there, for the app `audience`; None for somebody who was not recognised, and where there is no key."""
        principal = shown.principal
        if principal is None or not self._load():
            return None
        now = time.time()
        place = (shown.digest, audience, principal)
        kept = self._made.get(place)
        if kept is not None and kept[1] > now:
            return kept[0]
        until = min(now + TOKEN_SECONDS, expires_at if expires_at is not None else float("inf"))
        token = self._signed(
            {
                "iss": ISSUER,
                "aud": audience,
                "sub": principal.id or principal.kind.value,
                "kind": principal.kind.value,
                "groups": list(principal.groups),
                "iat": int(now),
                "exp": int(until),
                "sid": shown.digest,
            }
        )
        self._made[place] = (token, min(until, now + RENEWED_SECONDS))
        while len(self._made) > TOKENS_MAX:
            self._made.popitem(last=False)
        return token

    def session_of(self, token: bytes) -> str | None:
        """The digest of the session that a token of this yard came of; None for any other word."""
        if not is_token(token) or not self._load():
            return None
        digest = hashlib.sha256(token).hexdigest()
        kept = self._read.get(digest)
        if kept is None:
            claims = self._verified(token)
            if claims is None:
                return None
            kept = self._read[digest] = (str(claims["sid"]), float(claims["exp"]))
            while len(self._read) > TOKENS_MAX:
                self._read.popitem(last=False)
        return kept[0] if kept[1] > time.time() else None

    def _load(self) -> bool:
        if self._key is not None:
            return True
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 (most gateways never need it)
            load_pem_private_key,
        )

        try:
            key: Any = load_pem_private_key(self._key_file.read_bytes(), None)
        except (OSError, ValueError):
            return False
        self._key = key
        self._key_id = key_id(key.public_key())
        return True

    def _signed(self, claims: dict[str, Any]) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415 (as above)
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature  # noqa: PLC0415 (as above)
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 (as above)

        assert self._key is not None
        head = {"alg": "ES256", "typ": "JWT", "kid": self._key_id}
        said = b".".join(_encoded(json.dumps(one, separators=(",", ":")).encode()) for one in (head, claims))
        r, s = decode_dss_signature(self._key.sign(said, ECDSA(SHA256())))
        signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
        return said + b"." + _encoded(signature)

    def _verified(self, token: bytes) -> dict[str, Any] | None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 (as above)
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415 (as above)
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415 (as above)
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 (as above)

        assert self._key is not None
        said, _, signature = token.rpartition(b".")
        try:
            raw = _decoded(signature)
            head, claims = (json.loads(_decoded(one)) for one in said.split(b"."))
            halves = (int.from_bytes(raw[:_COORDINATE_BYTES], "big"), int.from_bytes(raw[_COORDINATE_BYTES:], "big"))
            if len(raw) != 2 * _COORDINATE_BYTES or head.get("alg") != "ES256" or claims.get("iss") != ISSUER:
                return None
            self._key.public_key().verify(encode_dss_signature(*halves), said, ECDSA(SHA256()))
        except (ValueError, AttributeError, TypeError, InvalidSignature):
            return None
        return claims if {"sid", "exp"} <= claims.keys() else None


def is_token(word: bytes) -> bool:
    """Whether it has the shape of a JSON Web Token."""
    return word.startswith(b"eyJ") and word.count(b".") == 2 and len(word) <= TOKEN_BYTES_MAX


def as_caller(principal: Principal) -> Principal:
    """What an app may do in somebody's name: call what they may call."""
    grants = tuple(Grant(min(one.role, Role.CALLER), one.project, one.resource) for one in principal.grants)
    kind = PrincipalKind.USER if principal.kind is PrincipalKind.OWNER else principal.kind
    return replace(principal, kind=kind, grants=grants)


def key_id(public_key: Any) -> str:
    """What a key is known by in the yard's key set: the thumbprint of RFC 7638."""
    numbers = public_key.public_numbers()
    x, y = (_encoded(one.to_bytes(_COORDINATE_BYTES, "big")).decode() for one in (numbers.x, numbers.y))
    members = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
    return _encoded(hashlib.sha256(members.encode()).digest()).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
