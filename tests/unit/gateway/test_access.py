"""The gate remembers whom it let in a moment ago, and forgets it in time."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelyard.domain.access import Grant, Policy, Principal, PrincipalKind, Role
from modelyard.errors import Forbidden, ModelyardError, Unauthorized
from modelyard.gateway import access
from modelyard.gateway.access import WELCOME_BYTES_MAX, WELCOME_SECONDS, Access
from modelyard.gateway.identity import Identity
from modelyard.protocol.credentials import Credential
from modelyard.protocol.tokens import TokenKey

KEY = b"my_key"
BEARER = {b"authorization": b"Bearer my_key"}
CALLER = Principal(PrincipalKind.KEY, "k1", (Grant(Role.CALLER),))
START = 1000.0


class Gate:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr(access, "time", SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now))
        self.access = Access(folder / "key", Policy(), Identity(TokenKey(folder / "signing.pem")))
        self.give()

    def give(self, expires_at: float | None = None) -> None:
        self.access.follow({hashlib.sha256(KEY).hexdigest(): Credential(CALLER, expires_at)})

    def why_not(self, fields: dict[bytes, bytes], policy: Policy | None = None, address: str = "") -> type | None:
        try:
            self.access.check(policy or Policy(), fields, address, "default", "endpoint/iris")
        except ModelyardError as error:
            return type(error)
        return None


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(tmp_path, monkeypatch)


def test_a_key_that_was_taken_away_is_refused_though_it_was_let_in_a_moment_ago(gate: Gate) -> None:
    assert gate.why_not(BEARER) is None
    gate.access.follow({})
    assert gate.why_not(BEARER) is Unauthorized


@pytest.mark.parametrize("left_seconds", [WELCOME_SECONDS / 4, WELCOME_SECONDS * 4])
def test_a_key_that_was_let_in_a_moment_ago_expires_on_time(gate: Gate, left_seconds: float) -> None:
    gate.give(expires_at=START + left_seconds)
    while gate.now < START + left_seconds:
        assert gate.why_not(BEARER) is None
        gate.now += WELCOME_SECONDS / 8
    assert gate.why_not(BEARER) is Unauthorized


@pytest.mark.parametrize("other", [b"Basic my_key", b"Bearer", b"bearer\tmy_key", b"Bearer other"])
def test_what_let_somebody_in_is_remembered_and_nothing_that_stood_beside_it(gate: Gate, other: bytes) -> None:
    first = gate.why_not({b"authorization": other, b"x-api-key": KEY})
    assert gate.why_not({b"authorization": other}) is Unauthorized
    assert gate.why_not({b"authorization": other, b"x-api-key": KEY}) is first


def test_whoever_was_let_in_from_one_address_is_refused_from_another(gate: Gate) -> None:
    near = Policy(addresses=("10.0.0.0/8",))
    assert gate.why_not(BEARER, near, "10.1.2.3") is None
    assert gate.why_not(BEARER, near, "192.0.2.1") is Forbidden


def test_the_use_of_a_key_is_noted_again_after_it_was_reported(gate: Gate) -> None:
    assert gate.why_not(BEARER) is None
    gate.access.used.clear()
    gate.now += WELCOME_SECONDS
    assert gate.why_not(BEARER) is None
    assert list(gate.access.used.values()) == [gate.now]


def test_words_beyond_their_bound_are_not_kept(gate: Gate) -> None:
    padded = {b"authorization": b"Bearer my_key" + b" " * WELCOME_BYTES_MAX}
    assert gate.why_not(padded) is None
    assert not gate.access._welcome
    assert gate.why_not(BEARER) is None
    assert gate.access._welcome


@pytest.mark.parametrize(
    ("origin", "expected"),
    [(None, None), (b"http://10.0.0.5:8400", None), (b"http://10.0.0.5:8501", Unauthorized), (b"null", Unauthorized)],
)
def test_a_page_at_another_port_of_the_host_predicts_with_nobodys_session(
    gate: Gate, origin: bytes | None, expected: type | None
) -> None:
    """Browsers take the two for one site, so `SameSite` keeps the cookie from neither."""
    ann = Principal(PrincipalKind.USER, "ann@example.com", (Grant(Role.CALLER),))
    gate.access.follow({hashlib.sha256(b"ann").hexdigest(): Credential(ann, None)})
    fields = {b"host": b"10.0.0.5:8400", b"cookie": b"modelyard_session=ann"}
    assert gate.why_not(fields | ({b"origin": origin} if origin else {}), Policy("login")) is expected
