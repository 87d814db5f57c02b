"""Secrets: set, listed, deleted. Values come in and are never handed out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.environments import check_environment
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain import gateways
from modelyard.domain.endpoints import EndpointSpec, EndpointStatus
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.secrets import VALUE_LENGTH_MAX, Secret, changed_since, check_references
from modelyard.errors import Conflict
from modelyard.protocol.views import SecretsView, SecretView

USERS_NAMED_MAX = 5
"""How many of a secret's users a refusal names."""


class Value(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    value: Annotated[str, Field(max_length=VALUE_LENGTH_MAX)]


@dataclass(frozen=True, slots=True)
class DeletedView:
    deleted: str


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "secrets")

    @router.put("/secrets/{name}")
    def put_secret(name: str, given: Value) -> SecretView:
        """Sets a secret; the same value again changes nothing. What runs keeps the value that it was started with."""
        now = yard.clock.now()
        secret = yard.store.secrets.put(name, given.value, now)
        if secret.updated_at == now:
            yard.store.events.add("secret", secret.name, f"set (revision {secret.revision})", now)
        return _view(secret, _users(yard))

    @router.get("/secrets")
    def list_secrets() -> SecretsView:
        """By name, without values."""
        users = _users(yard)
        return SecretsView([_view(secret, users) for secret in yard.store.secrets.select()])

    @router.delete("/secrets/{name}")
    def delete_secret(name: str) -> DeletedView:
        """Forgets a secret. Refused while an endpoint's present version, an unfinished job, or what
        starts jobs refers to it."""
        secret = yard.store.secrets.get(name)
        used_by = _users(yard).get(name_key(name), [])
        if used_by:
            shown = ", ".join(used_by[:USERS_NAMED_MAX]) + (", ..." if len(used_by) > USERS_NAMED_MAX else "")
            raise Conflict(
                f"cannot delete secret {secret.name}: {shown} would not start without it",
                "deploy without it first, or set another value",
            )
        yard.store.secrets.delete(name)
        yard.store.events.add("secret", secret.name, "deleted", yard.clock.now())
        return DeletedView(secret.name)

    return router


def check_secrets(yard: Yard, references: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Raises InvalidValue for what no process could be given, NotFound for a secret that is not there."""
    if references:
        check_environment(dict.fromkeys(references, ""))
        check_references(references, environment, [secret.name for secret in yard.store.secrets.select()])


def secret_notes(spec: EndpointSpec, seen: EndpointStatus | None, secrets: Sequence[Secret]) -> list[str]:
    """What people should know of an endpoint whose secrets were set again after its replicas started."""
    if seen is None or not seen.replicas or not spec.secrets:
        return []
    oldest = min(one.started_at for one in seen.replicas)
    return [
        f"secret {name} was set after replicas had started: they keep the value before; refresh to pick it up"
        for name in changed_since(spec.secrets, secrets, oldest)
    ]


def _users(yard: Yard) -> dict[str, list[str]]:
    """Who refers to each secret, by the secret's `name_key`."""
    users: dict[str, list[str]] = {}
    for key, user in _references(yard):
        named = users.setdefault(key, [])
        if user not in named:
            named.append(user)
    return users


def _references(yard: Yard) -> Iterator[tuple[str, str]]:
    for endpoint in yard.store.endpoints.select():
        # What might be started again: what is wished, and what serves where that fails.
        for version in filter(None, (endpoint.wished, endpoint.fallback)):
            for secret in version.spec.secrets.values():
                yield name_key(secret), f"endpoint/{endpoint.name}"
    for run in yard.store.runs.unfinished():
        for secret in run.spec.secrets.values():
            yield name_key(secret), f"run/{run.id}"
    for transform in yard.store.transforms.unfinished():
        for secret in transform.spec.secrets.values():
            yield name_key(secret), f"transform/{transform.id}"
    for resource in yard.store.resources.select():
        for secret in _named_by(resource):
            yield name_key(secret), f"{resource.name.kind}/{resource.name.name}"
    for provider in yard.store.providers.select():
        if provider.client_secret is not None:
            yield name_key(provider.client_secret), f"provider/{provider.name}"


def _named_by(resource: Resource) -> list[str]:
    wished = resource.wished.spec
    if resource.name.kind == gateways.KIND:
        return [one.secret for one in gateways.gateway_from(wished).keys]
    # A training has them in what its runs are asked for.
    return [*wished.get("secrets", {}).values(), *wished.get("run", {}).get("secrets", {}).values()]


def _view(secret: Secret, users: Mapping[str, list[str]]) -> SecretView:
    return SecretView(
        name=secret.name,
        revision=secret.revision,
        created_at=iso(secret.created_at),
        updated_at=iso(secret.updated_at),
        used_by=users.get(name_key(secret.name), []),
    )
