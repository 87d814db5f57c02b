"""The token that tells an app who is there."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from modelyard.domain.access import OWNER, Grant, Principal, PrincipalKind, Role
from modelyard.gateway.identity import Identity, as_caller
from modelyard.gateway.shown import NOBODY, Shown

ANN = Shown(Principal(PrincipalKind.USER, "ann@example.com", (Grant(Role.ADMIN),), ("analysts",)), "d" * 64)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Identity(tmp_path / "key")


def test_a_token_says_who_is_there_and_leads_back_to_the_session(identity: Identity) -> None:
    token = identity.token_for(ANN, "app/board", None)
    assert token is not None
    claims = json.loads(base64.urlsafe_b64decode(token.split(b".")[1] + b"=="))
    assert (claims["sub"], claims["aud"], claims["groups"]) == ("ann@example.com", "app/board", ["analysts"])
    assert identity.session_of(token) == "d" * 64


def test_nobody_gets_no_token(identity: Identity) -> None:
    assert identity.token_for(NOBODY, "app/board", None) is None


def test_a_token_that_somebody_else_made_or_changed_is_none(identity: Identity, tmp_path: Path) -> None:
    token = identity.token_for(ANN, "app/board", None)
    assert token is not None
    head, claims, signature = token.split(b".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    forged = base64.urlsafe_b64encode(b'{"iss":"modelyard","sid":"x","exp":9999999999}').rstrip(b"=")
    for one in (
        b".".join((none, claims, b"")),
        b".".join((none, claims, signature)),
        b".".join((head, forged, signature)),
        b".".join((head, claims, signature[:-4] + b"AAAA")),
        b".".join((head, claims, b"\xff")),
        b"eyJ..",
    ):
        assert identity.session_of(one) is None


def test_an_expired_token_is_none(identity: Identity) -> None:
    token = identity.token_for(ANN, "app/board", 1.0)
    assert token is not None
    assert identity.session_of(token) is None


def test_an_app_may_call_for_somebody_and_nothing_else() -> None:
    assert as_caller(OWNER).grants == (Grant(Role.CALLER),)
    assert as_caller(OWNER).kind is PrincipalKind.USER
