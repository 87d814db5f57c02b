"""Which host names are taken, and by what: apps, sites and gateways each have an origin of their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelyard.api.yard import Yard
from modelyard.domain.apps import KIND as APP
from modelyard.domain.gateways import KIND as GATEWAY
from modelyard.domain.hosts import LOCAL
from modelyard.domain.names import name_key
from modelyard.domain.sites import KIND as SITE
from modelyard.errors import Conflict


@dataclass(frozen=True, slots=True)
class Place:
    """Something with an origin."""

    kind: str
    name: str
    project: str
    hosts: tuple[str, ...]


def places(yard: Yard) -> Iterator[Place]:
    """Everything with an origin of its own."""
    for endpoint in yard.store.endpoints.select():
        app = endpoint.wished.spec.app
        if app is not None and not endpoint.deleting:
            yield Place(APP, endpoint.name, endpoint.project, app.hosts)
    for kind in (SITE, GATEWAY):
        for one in yard.store.resources.select(kind):
            yield Place(kind, one.name.name, one.project, tuple(one.wished.spec.get("hosts", ())))


def place_at(yard: Yard, host: str) -> Place | None:
    """What answers at a host name, without a port; None where nothing does."""
    parents = [f".{one}" for one in (LOCAL, yard.apps_domain) if one is not None]
    labels = {host.removesuffix(parent) for parent in parents if host.endswith(parent)}
    return next((one for one in places(yard) if host in one.hosts or name_key(one.name) in labels), None)


def check_hosts_free(yard: Yard, kind: str, name: str, hosts: Iterable[str]) -> None:
    """Raises Conflict where another app, site or gateway has one of these names, or the same label."""
    wanted = set(hosts)
    for one in places(yard):
        if one.kind == kind and name_key(one.name) == name_key(name):
            continue
        if name_key(one.name) == name_key(name):
            raise Conflict(
                f"cannot deploy {kind} {name}: {one.kind} {one.name} answers at {name_key(name)}.{LOCAL}",
                "choose another name",
            )
        taken = wanted & set(one.hosts)
        if taken:
            raise Conflict(
                f"cannot deploy {kind} {name}: {one.kind} {one.name} answers at {min(taken)}",
                "a host name belongs to one app, site or gateway",
            )
