"""Who may come in through the gateway: by the endpoint's policy, what the client shows, and where it is."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from modelyard.domain.access import Grant, Policy, Principal, PrincipalKind, Role, policy_document
from modelyard.protocol.credentials import Credential, credentials_document
from modelyard.protocol.tokens import TokenKey
from modelyard.settings import Home
from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica
from tests.integration.gateway.test_load_reports import ScriptedController

Serving = Callable[..., Any]
ReplicaAt = Callable[..., ScriptedReplica]

CALLER = Principal(PrincipalKind.KEY, "k-1", (Grant(Role.CALLER, "shop"),))
OTHER = Principal(PrincipalKind.KEY, "k-2", (Grant(Role.CALLER, "other"),))
ADA = Principal(PrincipalKind.USER, "ada@a.org", groups=("Team",))


def known(**principals: Principal | tuple[Principal, float]) -> dict[str, Any]:
    credentials: dict[str, Credential] = {}
    for secret, one in principals.items():
        principal, expires_at = one if isinstance(one, tuple) else (one, None)
        credentials[hashlib.sha256(secret.encode()).hexdigest()] = Credential(principal, expires_at)
    return credentials_document(credentials)


def by_key(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def by_session(secret: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; modelyard_session={secret}"}


@pytest.fixture
def ask(home: Home, serving: Serving, replica_at: ReplicaAt) -> Callable[..., Callable[..., int]]:
    """Starts a gateway before an endpoint with a policy; returns what asks it and answers with the status."""

    def start(policy: Policy | None, **principals: Any) -> Callable[..., int]:
        home.credentials.write_text(json.dumps(known(**principals)))
        replica = replica_at()
        access = policy_document(policy) if policy is not None else None
        gateway: GatewayProcess = serving(replica, project="shop", access=access)

        def once(headers: dict[str, str] | None = None) -> int:
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(gateway.post, headers=headers or {})
                while not answer.done():
                    if replica.waiting():
                        replica.answer(replica.next_request(), b"1")
                    time.sleep(0.005)
                return answer.result().status_code

        return once

    return start


def test_without_a_policy_everybody_is_answered_on_loopback(ask: Callable[..., Any]) -> None:
    once = ask(None)
    assert once() == 200
    assert once(by_key("whatever")) == 200


def test_a_key_opens_what_it_was_granted_and_nothing_else(ask: Callable[..., Any]) -> None:
    once = ask(Policy("key"), mine=CALLER, others=OTHER, gone=(CALLER, time.time() - 1))
    assert once() == 401
    assert once(by_key("wrong")) == 401
    assert once(by_key("gone")) == 401
    assert once(by_key("others")) == 403
    assert once(by_key("mine")) == 200
    assert once({"x-api-key": "mine"}) == 200
    assert once({"authorization": "AWS4-HMAC-SHA256 ...", "x-amz-security-token": "mine"}) == 200
    assert once(by_key("secret-key")) == 200


def test_a_session_opens_what_wants_a_login_or_a_group_and_no_key_does(ask: Callable[..., Any]) -> None:
    once = ask(Policy("groups", ("team",)), adas=ADA, guests=Principal(PrincipalKind.USER, "eve@a.org"))
    assert once(by_session("adas")) == 200
    assert once(by_session("guests")) == 403
    assert once(by_key("adas")) == 401, "a session's token is no key"
    assert once() == 401


def test_an_app_calls_as_the_person_who_opened_it_until_they_are_out(home: Home, ask: Callable[..., Any]) -> None:
    key = TokenKey(home.token_key)
    home.token_key.write_bytes(os.urandom(32))
    eve = Principal(PrincipalKind.USER, "eve@a.org")
    once = ask(Policy("groups", ("team",)), adas=ADA, eves=eve)

    def token(person: Principal, session: str) -> str:
        return key.person_token("app/dash", person, hashlib.sha256(session.encode()).hexdigest())

    good = token(ADA, "adas")
    assert once(by_key(good)) == 200
    assert once(by_key(token(eve, "eves"))) == 403
    assert once(by_key(token(ADA, "gone"))) == 401
    identity = key.identity_token("app/dash", ADA, hashlib.sha256(b"adas").hexdigest())
    assert once(by_key(identity)) == 401, "what tells an app who is there opens nothing"
    header, body, signature = good.split(".")
    assert once(by_key(f"{header}.{body}.{signature[::-1]}")) == 401


def test_an_address_that_is_not_on_the_list_is_refused_whatever_it_shows(ask: Callable[..., Any]) -> None:
    once = ask(Policy("public", addresses=("10.0.0.0/8",)))
    assert once() == 403
    assert once(by_key("secret-key")) == 403


def test_every_lane_of_an_endpoint_asks(home: Home, serving: Serving, replica_at: ReplicaAt) -> None:
    gateway = serving(replica_at(), project="shop", access=policy_document(Policy("key")))
    for path in (
        "/endpoints/price/invocations",
        "/endpoints/PRICE/invocations?debug=true",
        "/endpoints/price/invocations-response-stream",
        "/endpoints/price/async-invocations",
        "/v2/models/price/infer",
        "/price",
    ):
        answer = httpx.post(f"{gateway.url}{path}", content=b"{}", timeout=15)
        assert answer.status_code == 401, path
    signed = httpx.post(f"{gateway.url}/aws/endpoints/price/invocations", content=b"{}", timeout=15)
    assert (signed.status_code, "without a key" in signed.text) == (400, True)


def test_a_change_of_who_is_known_counts_at_once_and_use_and_refusals_are_reported(
    home: Home, gateway: GatewayProcess, replica_at: ReplicaAt
) -> None:
    controller = ScriptedController(home)
    replica = replica_at()
    access = policy_document(Policy("key"))
    gateway.start(replace(ENTRY, replicas=(replica.address,), project="shop", access=access))
    controller.accept()
    assert gateway.post(headers=by_key("mine")).status_code == 401
    controller.say({"type": "credentials", "credentials": known(mine=OTHER)})
    limit = time.monotonic() + 10
    while gateway.post(headers=by_key("mine")).status_code != 403:
        assert time.monotonic() < limit
    used, refused = set[str](), set[tuple[str, str]]()
    while not used or len(refused) < 2:
        message = controller.message("used", "refused")
        used |= set(message.get("keys", ()))
        for one in message.get("refusals", ()):
            assert one["action"] == "POST /endpoints/price/invocations"
            refused.add((one["principal"], one["outcome"]))
    assert used == {hashlib.sha256(b"mine").hexdigest()}
    assert refused == {("nobody", "401 unauthorized"), ("key k-2", "403 forbidden")}
    controller.say({"type": "credentials", "credentials": {}})
    while gateway.post(headers=by_key("mine")).status_code != 401:
        assert time.monotonic() < limit
    controller.close()
