"""Signed tokens: good for what they are for, under the yard's own key, for a while."""

import base64
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from modelyard.domain.access import OWNER, Principal, PrincipalKind
from modelyard.domain.tokens import TOKEN_BYTES_MAX, person_claims
from modelyard.errors import StoreFailed, Unauthorized
from modelyard.protocol.tokens import TokenKey, looks_signed

ADA = Principal(PrincipalKind.USER, "ada@a.org", groups=("Team",))
SID = "d" * 64


@pytest.fixture
def key(tmp_path: Path) -> TokenKey:
    (tmp_path / "tokens.key").write_bytes(os.urandom(32))
    return TokenKey(tmp_path / "tokens.key")


def test_an_app_can_check_who_opened_it_with_the_public_keys_alone(key: TokenKey) -> None:
    token = key.identity_token("app/dash", ADA, SID)
    found = jwt.PyJWKSet.from_dict(key.public_keys())[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, found, algorithms=["ES256"], audience="app/dash", issuer="modelyard")
    assert (claims["sub"], claims["email"], claims["groups"]) == ("user ada@a.org", "ada@a.org", ["Team"])
    assert "d" not in key.public_keys()["keys"][0], "the private half stays"
    assert key.check(token, "app/dash") == claims


def test_a_token_of_one_purpose_is_good_for_no_other(key: TokenKey) -> None:
    person, identity = key.person_token("app/dash", ADA, SID), key.identity_token("app/dash", ADA, SID)
    assert key.check(person)["client_id"] == "app/dash"
    for token, audience in ((identity, "modelyard:yard"), (identity, "app/other"), (person, "app/dash")):
        with pytest.raises(Unauthorized):
            key.check(token, audience)
    # Even an app that is called like the yard's own audience gets nothing that the yard would take.
    with pytest.raises(Unauthorized, match="another purpose"):
        key.check(key.identity_token("modelyard:yard", ADA, SID))


def part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_what_nobody_or_somebody_else_signed_is_refused(key: TokenKey) -> None:
    claims = person_claims("app/dash", OWNER, SID, time.time())
    bare = f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}."
    # The public key, which everybody has, as if it were a symmetric one (RFC 8725, 2.1).
    signed = f"{part({'alg': 'HS256', 'typ': 'at+jwt'})}.{part(claims)}"
    public = json.dumps(key.public_keys()["keys"][0]).encode()
    mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).decode().rstrip("=")
    symmetric = f"{signed}.{mac}"
    other = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"typ": "at+jwt"})
    header, body, signature = key.person_token("app/dash", ADA, SID).split(".")
    forged = f"{header}.{part({**claims, 'sub': 'owner'})}.{signature}"
    for token in (bare, symmetric, other, forged, f"{header}.{body}.", "eyJ.eyJ.x", "x" * (TOKEN_BYTES_MAX + 1)):
        with pytest.raises(Unauthorized):
            key.check(token)


def test_a_token_ends(key: TokenKey, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: now - 13 * 3600)
        old = key.person_token("app/dash", ADA, SID)
    with pytest.raises(Unauthorized, match="expired"):
        key.check(old)
    with pytest.raises(Unauthorized, match="expired"):
        key.check(key.person_token("app/dash", ADA, SID, expires_at=now - 10))


def test_a_new_key_makes_every_token_before_worthless(key: TokenKey, tmp_path: Path) -> None:
    token = key.person_token("app/dash", ADA, SID)
    (tmp_path / "next").write_bytes(os.urandom(32))
    (tmp_path / "next").replace(tmp_path / "tokens.key")
    with pytest.raises(Unauthorized):
        key.check(token)
    assert key.check(key.person_token("app/dash", ADA, SID))


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"tokens\.key"):
        TokenKey(tmp_path / "tokens.key").check("eyJ.eyJ.x")


def test_only_what_looks_like_one_is_taken_for_a_token(key: TokenKey) -> None:
    assert looks_signed(key.person_token("app/dash", ADA, SID).encode())
    assert not looks_signed(b"my_eyJ.a.b")
    assert not looks_signed(b"eyJhbGciOi")
