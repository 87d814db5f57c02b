"""Tokens that the yard makes: narrow, short-lived, each for one purpose.

    a job's        random; the store has its digest, with what it may do; ends with its run
    a person's     signed (JWT): an app asks endpoints with it in the place of somebody who opened it
    an identity    signed (JWT): tells one app who opened it; the yard itself takes it for nothing

A token is for what its scopes say, whatever whoever it stands for was granted. Signed tokens differ by their type, so
that none is taken for the other: `at+jwt` (RFC 9068) for a person's, `JWT` for an identity.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from modelyard.domain.access import Grant, Principal, PrincipalKind, Role
from modelyard.domain.runs import Run

ISSUER = "modelyard"
YARD = "modelyard:yard"
"""The audience of tokens that are shown to the yard itself."""

ALGORITHM = "ES256"
KEY_BYTES = 32

PERSON_TYPE = "at+jwt"
IDENTITY_TYPE = "JWT"

TOKEN_SECONDS = 12 * 3600.0
"""How long a signed token is good at most: as long as a session. It ends before with the session that it came of."""

TOKEN_BYTES_MAX = 8192
JOB_GRACE_SECONDS = 3600.0
"""How long a job's token outlives the longest that its run may take, for the time to stop and to be looked at."""


class Prefix(StrEnum):
    """What a secret begins with that is no JWT: one look tells which it is, and scanners of repositories find one that
    was committed."""

    KEY = "my_"  # an API key
    JOB = "myr_"  # a run's, for the yard's interface
    TRACKING_JOB = "myj."  # a run's, for the tracking server (`job_tokens`)
    TRACKING_SERVER = "myt."  # the tracking server's, for the registry (`job_tokens`)


def prefix_of(secret: str) -> Prefix | None:
    """None for the owner's key, a JWT, and what is none of the yard's."""
    return next((one for one in Prefix if secret.startswith(one)), None)


class Scope(StrEnum):
    """What a token can be for."""

    ENDPOINTS_CALL = "endpoints:call"  # predictions, and what an endpoint takes and gives
    FUNCTIONS_CALL = "functions:call"
    GATEWAYS_CALL = "gateways:call"
    MODELS_READ = "models:read"  # versions, aliases, lineage
    MODELS_REGISTER = "models:register"  # sends files, makes versions of models
    RUNS_READ = "runs:read"


PERSON_SCOPES = (Scope.ENDPOINTS_CALL, Scope.FUNCTIONS_CALL, Scope.GATEWAYS_CALL)
JOB_SCOPES = (*PERSON_SCOPES, Scope.MODELS_READ, Scope.MODELS_REGISTER, Scope.RUNS_READ)


@dataclass(frozen=True, slots=True)
class JobToken:
    """What a running training may do. The store has the token's digest, the job the token."""

    run: str
    grants: tuple[Grant, ...]
    created_at: float
    expires_at: float


def job_token_for(run: Run, now: float) -> JobToken:
    """Calls what its project has, sees its own run, and makes versions of the one model that its training names."""
    project = run.spec.project
    grants = [Grant(Role.CALLER, project), Grant(Role.VIEWER, resource=f"run/{run.id}")]
    if run.spec.model is not None:
        grants.append(Grant(Role.DEPLOYER, resource=f"model/{run.spec.model}"))
    lasts = run.spec.max_runtime_seconds + run.spec.stop_grace_seconds + JOB_GRACE_SECONDS
    return JobToken(run.id, tuple(grants), now, now + lasts)


def job_principal(token: JobToken) -> Principal:
    return Principal(PrincipalKind.TOKEN, f"run {token.run}", token.grants, scopes=JOB_SCOPES)


def run_behind(principal: Principal) -> str | None:
    """The run whose job asks; None for everybody else."""
    kind, _, run = principal.id.partition(" ")
    return run if principal.kind is PrincipalKind.TOKEN and principal.acts_for is None and kind == "run" else None


def person_claims(
    client: str, person: Principal, sid: str, now: float, expires_at: float | None = None
) -> dict[str, Any]:
    """Of a token with which `client` (`app/NAME`) asks in the place of a person. `sid` is the digest of the session or
    the key that the person came with: what they may do is looked up there each time."""
    return {
        "iss": ISSUER,
        "aud": YARD,
        "sub": str(person),
        "client_id": client,
        "scope": " ".join(PERSON_SCOPES),
        "sid": sid,
        **_times(now, expires_at),
    }


def identity_claims(
    audience: str, person: Principal, sid: str, now: float, expires_at: float | None = None
) -> dict[str, Any]:
    """Of a token that tells `audience` (`app/NAME`) who opened it."""
    email = {"email": person.id} if person.kind is PrincipalKind.USER else {}
    groups = list(person.groups)
    times = _times(now, expires_at)
    return {"iss": ISSUER, "aud": audience, "sub": str(person), "groups": groups, **email, "sid": sid, **times}


def acting_for(person: Principal, client: str, scope: str) -> Principal:
    """Who asks with a person's token: an app, with what the person has, as far as the scopes reach."""
    return replace(
        person,
        kind=PrincipalKind.TOKEN,
        id=f"{client} for {person}",
        scopes=tuple(scope.split()),
        acts_for=person.kind,
    )


def _times(now: float, expires_at: float | None) -> dict[str, int]:
    until = now + TOKEN_SECONDS
    return {"iat": int(now), "nbf": int(now), "exp": int(until if expires_at is None else min(until, expires_at))}
