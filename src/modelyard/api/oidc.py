"""What is said to an OpenID provider: where its parts are, the code for tokens, and whether a token is its word.

The authorization code flow with PKCE (OpenID Connect Core, 3.1; RFC 7636). Tokens are signed by the provider's own
keys, with asymmetric algorithms alone. What a provider publishes is remembered for an hour; keys are asked for again
when a token names one that is not known, once a minute at most.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from modelyard.domain.providers import Provider
from modelyard.errors import Forbidden, NotReady, Unauthorized

if TYPE_CHECKING:
    import httpx

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
DISCOVERED_SECONDS = 3600.0
KEYS_AGAIN_SECONDS = 60.0
ANSWER_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 512 * 2**10
CLOCK_LEEWAY_SECONDS = 60
DISCOVERIES_MAX = 64


@dataclass(slots=True)
class Discovered:
    """What a provider publishes of itself."""

    document: dict[str, Any]
    at: float
    keys: dict[str, Any] = field(default_factory=dict[str, Any])
    keys_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login under way: what the browser does not get to see of it."""

    provider: str
    state: str
    nonce: str
    verifier: str
    binding: str
    """sha256 of what only the browser has that began it."""
    redirect_uri: str
    target: str
    """The page that is shown afterwards."""
    expires_at: float


class OidcClient:
    """One for a process. `transport` takes the network's place in tests."""

    def __init__(self, transport: "httpx.BaseTransport | None" = None) -> None:
        self._transport = transport
        self._found: dict[str, Discovered] = {}

    def login_url(self, provider: Provider, attempt: Attempt, now: float) -> str:
        """Where the browser is sent. Raises NotReady where the provider cannot be asked."""
        document = self._discover(provider, now).document
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(str(document["authorization_endpoint"]), asked)

    def claims(self, provider: Provider, secret: str | None, attempt: Attempt, code: str, now: float) -> dict[str, Any]:
        """Trades the code for the provider's word about who signed in. Raises Unauthorized where it gives none, or one
        that is not its own, not for this yard, not of this login; NotReady where it cannot be asked."""
        found = self._discover(provider, now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        auth: tuple[str, str] | None = None
        methods = found.document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is None:
            form["client_id"] = provider.client_id
        elif "client_secret_basic" in methods:
            auth = (_form_encoded(provider.client_id), _form_encoded(secret))
        else:
            form |= {"client_id": provider.client_id, "client_secret": secret}
        answer = self._ask("POST", str(found.document["token_endpoint"]), provider, form=form, auth=auth)
        token = answer.get("id_token")
        if not isinstance(token, str):
            reason = str(answer.get("error") or "no id_token")[:100]
            raise Unauthorized(f"cannot sign in: {provider.name} gave no token ({reason})", "begin again")
        claims = self.check_token(provider, token, attempt.nonce, now)
        endpoint = found.document.get("userinfo_endpoint")
        access = answer.get("access_token")
        if ("email" not in claims or provider.groups_claim not in claims) and endpoint and isinstance(access, str):
            told = self._ask("GET", str(endpoint), provider, bearer=access)
            # Of somebody else it would be a mix-up (OpenID Connect Core, 5.3.2).
            if told.get("sub") == claims["sub"]:
                claims = {**told, **claims}
        return claims

    def check_token(self, provider: Provider, token: str, nonce: str, now: float) -> dict[str, Any]:
        """The claims of an id token. Raises Unauthorized."""
        import jwt  # noqa: PLC0415 (nobody signs in so in most yards)

        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise jwt.InvalidAlgorithmError(f"algorithm {str(algorithm)[:20]!r} is not taken")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(provider, header.get("kid"), str(algorithm), now),
                algorithms=[str(algorithm)],
                audience=provider.client_id,
                issuer=provider.issuer,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthorized(
                f"cannot sign in: {provider.name}'s token is not good: {error}", "begin again"
            ) from error
        if isinstance(claims["aud"], list) and claims.get("azp", provider.client_id) != provider.client_id:
            raise Unauthorized(f"cannot sign in: {provider.name}'s token is for somebody else", "begin again")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise Unauthorized(f"cannot sign in: {provider.name}'s token is of another login", "begin again")
        return claims

    def logout_url(self, provider: Provider, back: str, now: float) -> str | None:
        """Where a browser signs out there too; None where the provider has no such place, or cannot be asked."""
        try:
            endpoint = self._discover(provider, now).document.get("end_session_endpoint")
        except (NotReady, Forbidden):
            return None
        asked = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
        return _with_query(str(endpoint), asked) if endpoint else None

    # -- what it publishes -------------------------------------------------------------------------------------------

    def discover(self, provider: Provider, now: float) -> dict[str, Any]:
        """Anew; to see whether it answers. Raises NotReady, Forbidden."""
        self._found.pop(provider.issuer, None)
        return self._discover(provider, now).document

    def _discover(self, provider: Provider, now: float) -> Discovered:
        found = self._found.get(provider.issuer)
        if found is not None and now - found.at < DISCOVERED_SECONDS:
            return found
        document = self._ask("GET", f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration", provider)
        if document.get("issuer") != provider.issuer:
            raise Forbidden(
                f"cannot sign in by {provider.name}: it calls itself {str(document.get('issuer'))[:200]!r}",
                "write the issuer exactly as it does",
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(str(document.get(name))).scheme not in ("https", urlsplit(provider.issuer).scheme):
                raise Forbidden(f"cannot sign in by {provider.name}: its {name} is no address that can be trusted")
        if len(self._found) >= DISCOVERIES_MAX:
            self._found.clear()
        self._found[provider.issuer] = Discovered(document, now)
        return self._found[provider.issuer]

    def _key(self, provider: Provider, kid: str | None, algorithm: str, now: float) -> Any:
        import jwt  # noqa: PLC0415 (as above)

        found = self._discover(provider, now)
        if (kid not in found.keys and now - found.keys_at > KEYS_AGAIN_SECONDS) or not found.keys:
            published = self._ask("GET", str(found.document["jwks_uri"]), provider)
            signing = [one for one in published.get("keys", []) if one.get("use", "sig") == "sig"]
            found.keys = {str(one.get("kid")): one for one in signing}
            found.keys_at = now
        key = found.keys.get(kid) if kid is not None else next(iter(found.keys.values()), None)
        if key is None:
            raise jwt.InvalidKeyError("it is signed with a key that the provider does not publish")
        return jwt.PyJWK.from_dict(key, algorithm=algorithm).key

    def _ask(
        self,
        method: str,
        url: str,
        provider: Provider,
        *,
        form: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 (as above)

        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            with (
                httpx.Client(
                    transport=self._transport, timeout=ANSWER_SECONDS_MAX, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(method, url, data=form, auth=auth, headers=headers) as response,
            ):
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise NotReady(f"cannot sign in by {provider.name}: its answer is too long")
            return _json(body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NotReady(
                f"cannot reach {provider.name} at {urlsplit(url).netloc}: {type(error).__name__}",
                "try again; `modelyard providers check` shows what it answers",
            ) from error


def new_attempt(provider: str, redirect_uri: str, target: str, expires_at: float) -> tuple[Attempt, str]:
    """A login that begins, and the secret that its browser keeps."""
    binding = secrets.token_urlsafe(32)
    digest = hashlib.sha256(binding.encode()).hexdigest()
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(provider, state, nonce, verifier, digest, redirect_uri, target, expires_at), binding


def _json(body: bytes) -> dict[str, Any]:
    found: Any = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return cast("dict[str, Any]", found)


def _with_query(url: str, asked: dict[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}"


def _form_encoded(text: str) -> str:
    """As RFC 6749, 2.3.1 has it for the name and the password of HTTP basic."""
    return urlencode({"": text})[1:]
