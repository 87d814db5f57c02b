"""The tokens that an app is handed."""

import os
import time
from pathlib import Path

import jwt
import pytest

from modelyard.domain.access import Grant, Principal, PrincipalKind, Role
from modelyard.gateway.identity import Identity
from modelyard.gateway.shown import NOBODY, Shown
from modelyard.protocol.tokens import TokenKey

ANN = Shown(Principal(PrincipalKind.USER, "ann@example.com", (Grant(Role.ADMIN),), ("analysts",)), "d" * 64)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    (tmp_path / "key").write_bytes(os.urandom(32))
    return Identity(TokenKey(tmp_path / "key"))


def test_one_token_says_who_is_there_and_the_other_leads_back_to_the_session(identity: Identity) -> None:
    tokens = identity.tokens_for(ANN, "app/board", None)
    assert tokens is not None
    claims = jwt.decode(tokens.identity.decode(), options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["groups"]) == ("user ann@example.com", "app/board", ["analysts"])
    errand = identity.errand_of(tokens.person)
    assert errand is not None
    assert (errand.sid, errand.client) == (ANN.digest, "app/board")
    assert identity.errand_of(tokens.identity) is None
    assert identity.tokens_for(ANN, "app/board", None) is tokens, "signed once for a few minutes"
    assert identity.tokens_for(ANN, "app/other", None) != tokens


def test_nobody_gets_no_token_and_without_a_key_there_is_none(identity: Identity, tmp_path: Path) -> None:
    assert identity.tokens_for(NOBODY, "app/board", None) is None
    assert Identity(TokenKey(tmp_path / "none")).tokens_for(ANN, "app/board", None) is None


def test_what_this_yard_did_not_sign_or_has_expired_is_no_errand(identity: Identity) -> None:
    tokens = identity.tokens_for(ANN, "app/board", None)
    assert tokens is not None
    head, claims, signature = tokens.person.split(b".")
    for one in (b".".join((head, claims, signature[:-4] + b"AAAA")), b".".join((head, claims, b"\xff")), b"eyJ.."):
        assert identity.errand_of(one) is None
    old = identity.tokens_for(ANN, "app/late", time.time() - 60)
    assert old is not None
    assert identity.errand_of(old.person) is None
