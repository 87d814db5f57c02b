"""Signing in by an OpenID provider: whose word counts, for whom, and once."""

import base64
import hashlib
import itertools
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from modelyard.api.app import create_app
from modelyard.api.logins import ATTEMPT_SECONDS
from modelyard.api.oidc import OidcClient
from modelyard.domain.access import Grant, Role
from modelyard.domain.users import User
from tests.integration.api.yard_over_http import Api, refusal

ADDRESSES = itertools.count()
ISSUER = "https://id.example.org"
KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)


class ScriptedProvider:
    """Gives out one token, whatever is asked for; signs it as it should unless told otherwise."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.nonce = ""
        self.claims: dict[str, Any] = {"sub": "ada-1", "email": "Ada@Example.org", "email_verified": True}
        self.token: str | None = None
        self.asked: list[httpx.Request] = []
        self.codes: set[str] = {"good"}

    def signed(self, key: Any = KEY, algorithm: str = "RS256", kid: str = "k", **claims: Any) -> str:
        now = int(self.api.clock.now())
        usual = {"iss": ISSUER, "aud": "yard", "iat": now, "exp": now + 300, "nonce": self.nonce}
        return jwt.encode({**usual, **self.claims, **claims}, key, algorithm, headers={"kid": kid})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match request.url.path:
            case "/.well-known/openid-configuration":
                places = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
                return httpx.Response(200, json={"issuer": ISSUER} | {k: f"{ISSUER}/{v}" for k, v in places.items()})
            case "/keys":
                key = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
                return httpx.Response(200, json={"keys": [{**key, "kid": "k", "use": "sig", "alg": "RS256"}]})
            case "/token":
                code = parse_qs(request.content.decode())["code"][0]
                if code not in self.codes:
                    return httpx.Response(400, json={"error": "invalid_grant"})
                self.codes.discard(code)
                return httpx.Response(200, json={"id_token": self.token or self.signed()})
            case _:
                return httpx.Response(404)


@pytest.fixture
def provider(api: Api, monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    """A provider that admits example.org, and a yard that knows it. The yard's time is the real one: tokens have it."""
    import time  # noqa: PLC0415

    api.clock.advance(time.time() - api.clock.now())
    scripted = ScriptedProvider(api)
    object.__setattr__(api.yard, "oidc", OidcClient(httpx.MockTransport(scripted)))
    api.app = create_app(api.yard)
    api.store.secrets.put("staffs", "the client's secret", 0.0)
    api.ask("PUT", "/api/v1/groups/people", json={"grants": [{"role": "viewer"}]})
    put(api)
    return scripted


def put(api: Api, **changed: Any) -> None:
    wish = {
        "issuer": ISSUER,
        "client_id": "yard",
        "client_secret": "staffs",
        "admits": ["example.org"],
        "grants": [{"role": "caller", "project": "shop"}],
        "groups": {"staff": "people"},
    }
    answer = api.ask("PUT", "/api/v1/providers/staff", json={**wish, **changed})
    assert answer.status_code == 200, answer.text


def elsewhere() -> dict[str, str]:
    """Each try from another place: from one they would soon have to wait."""
    return {"x-forwarded-for": f"10.0.0.{next(ADDRESSES)}"}


def begin(api: Api, provider: ScriptedProvider, target: str = "/console") -> dict[str, str]:
    """What the browser then has: the state in its address, the secret in its cookie."""
    answer = api.post("/login/staff/begin", {"next": target}, key=None, headers=elsewhere())
    assert answer.status_code == 201, answer.text
    sent = {name: values[0] for name, values in parse_qs(urlsplit(answer.json()["url"]).query).items()}
    provider.nonce = sent["nonce"]
    return {"state": sent["state"], "binding": answer.json()["binding"], "challenge": sent["code_challenge"]}


def finish(api: Api, begun: dict[str, str], **changed: Any) -> httpx.Response:
    wish = {"code": "good", "state": begun["state"], "binding": begun["binding"]}
    return api.post("/login/staff/finish", {**wish, **changed}, key=None, headers=elsewhere())


def test_whoever_the_provider_vouches_for_comes_in_with_what_the_rule_gives(
    api: Api, provider: ScriptedProvider
) -> None:
    provider.claims["groups"] = ["staff", "others"]
    begun = begin(api, provider, "/console/models")
    answer = finish(api, begun)
    assert answer.status_code == 201, answer.text
    assert answer.json()["next"] == "/console/models"
    ada = api.get("/users/ada@example.org").json()
    assert (ada["issuer"], ada["groups"], ada["has_password"]) == (ISSUER, ["people"], False)
    assert ada["grants"] == [{"role": "caller", "project": "shop", "resource": None}]
    cookie = {"cookie": f"modelyard_session={answer.json()['session']}"}
    assert api.get("/me", key=None, headers=cookie).json()["groups"] == ["people"]
    token = next(one for one in provider.asked if one.url.path == "/token")
    sent = {name: values[0] for name, values in parse_qs(token.content.decode()).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).decode().rstrip("=")
    assert challenge == begun["challenge"]
    assert base64.b64decode(token.headers["authorization"].split()[1]) == b"yard:the+client%27s+secret"
    assert "client_secret" not in sent
    provider.claims["groups"] = []
    provider.codes.add("good")
    assert finish(api, begin(api, provider)).status_code == 201
    assert api.get("/users/ada@example.org").json()["groups"] == []


FORGED = {
    "nobody signed": lambda p: p.signed(None, "none"),
    "somebody else signed": lambda p: p.signed(OTHER),
    "signed with a key that is not published": lambda p: p.signed(OTHER, kid="new"),
    "another kind of key signed": lambda p: p.signed(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "signed with the client's secret": lambda p: p.signed("the client's secret, made long enough for it", "HS256"),
    "for another client": lambda p: p.signed(aud="other"),
    "for several, authorized for another": lambda p: p.signed(aud=["yard", "other"], azp="other"),
    "another issuer's": lambda p: p.signed(iss="https://evil.example"),
    "of another login": lambda p: p.signed(nonce="another"),
    "without a nonce": lambda p: p.signed(nonce=None),
    "expired": lambda p: p.signed(exp=int(p.api.clock.now()) - 120),
    "from the future": lambda p: p.signed(iat=int(p.api.clock.now()) + 600),
    "not a token": lambda _: "eyJ.eyJ.x",
}


def test_a_token_that_is_not_the_providers_word_about_this_login_opens_nothing(
    api: Api, provider: ScriptedProvider
) -> None:
    for what, forged in FORGED.items():
        begun = begin(api, provider)
        provider.codes.add("good")
        provider.token = forged(provider)
        answer = finish(api, begun)
        assert answer.status_code == 401, f"{what}: {answer.text}"
        refusal(answer, 401, "unauthorized")
    assert api.store.users.select() == []
    assert api.store.keys.sessions(api.clock.now()) == []


def test_an_answer_is_taken_once_from_the_browser_that_began_in_time(api: Api, provider: ScriptedProvider) -> None:
    begun = begin(api, provider)
    assert finish(api, begun).status_code == 201
    provider.codes.add("good")
    refusal(finish(api, begun), 401, "unauthorized")
    for changed in ({"state": "another"}, {"binding": "another"}, {"binding": ""}, {"issuer": "https://evil.example"}):
        refusal(finish(api, begin(api, provider), **changed), 401, "unauthorized")
    provider.codes = {"good"}
    refusal(finish(api, begin(api, provider), code="stolen"), 401, "unauthorized")
    late = begin(api, provider)
    api.clock.advance(ATTEMPT_SECONDS)
    refusal(finish(api, late), 401, "unauthorized")
    seen = api.get("/audit", params={"text": "sign in by staff"}).json()["entries"]
    assert len(seen) == 8
    assert "the client's secret" not in json.dumps(seen)
    assert "stolen" not in json.dumps(seen)


def test_an_address_counts_only_where_it_is_verified_and_admitted(api: Api, provider: ScriptedProvider) -> None:
    usual = dict(provider.claims)
    for changed in (
        {"email": "eve@elsewhere.org"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": None},
        {"email": "x"},
    ):
        provider.claims = {**usual, **changed}
        provider.codes.add("good")
        refusal(finish(api, begin(api, provider)), 403, "forbidden")
    assert api.store.users.select() == []


def test_an_account_with_a_password_is_taken_over_by_nobody_outside_the_rule(
    api: Api, provider: ScriptedProvider
) -> None:
    put(api, admits=["elsewhere.org"])
    api.store.users.add(User("ada@example.org", "Ada", 0.0, grants=(Grant(Role.ADMIN),)), "hash")
    refusal(finish(api, begin(api, provider)), 403, "forbidden")
    api.store.users.add(User("bob@example.org", "Bob", 0.0), None)
    provider.claims.update(sub="bob-1", email="bob@example.org")
    provider.codes.add("good")
    assert finish(api, begin(api, provider)).status_code == 201, "an admin invited him"
    provider.claims.update(sub="bob-2")
    provider.codes.add("good")
    refusal(finish(api, begin(api, provider)), 403, "forbidden")


def test_whoever_is_shut_out_stays_out(api: Api, provider: ScriptedProvider) -> None:
    assert finish(api, begin(api, provider)).status_code == 201
    api.ask("PATCH", "/api/v1/users/ada@example.org", json={"disabled": True})
    provider.codes.add("good")
    refusal(finish(api, begin(api, provider)), 403, "forbidden")


def test_a_provider_that_cannot_work_is_refused_when_it_is_put(api: Api, provider: ScriptedProvider) -> None:
    for wrong in (
        {"issuer": "http://id.example.org"},
        {"issuer": "https://id.example.org/?x"},
        {"issuer": "https://user@id.example.org"},
        {"scopes": ["email"]},
        {"admits": ["Example"]},
        {"client_id": ""},
        {"client_secret": "missing"},
        {"groups": {"staff": "missing"}},
    ):
        wish = {"issuer": ISSUER, "client_id": "yard", **wrong}
        assert api.ask("PUT", "/api/v1/providers/other", json=wish).status_code in (400, 404), wrong
    assert [one["name"] for one in api.get("/providers").json()["providers"]] == ["staff"]


def test_a_provider_is_listed_without_its_secret_and_everybody_sees_only_the_buttons(
    api: Api, provider: ScriptedProvider
) -> None:
    listed = api.get("/providers")
    assert "the client's secret" not in listed.text
    assert listed.json()["providers"][0]["callback"] == "http://127.0.0.1:8400/console/login/staff/callback"
    assert api.get("/login/providers", key=None).json() == {"providers": [{"name": "staff", "label": "staff"}]}
    assert api.post("/providers/staff/check").json()["authorization_endpoint"] == f"{ISSUER}/auth"
    assert api.ask("DELETE", "/api/v1/providers/staff").status_code == 200
    refusal(api.post("/login/staff/begin", {}, key=None), 404, "not_found")
