"""Which host names and ports are taken, and by what: apps, sites and gateways each have an origin of their own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.api.ports import problem_at
from modelyard.api.yard import Yard
from modelyard.domain.apps import KIND as APP
from modelyard.domain.gateways import KIND as GATEWAY
from modelyard.domain.hosts import LOCAL, PORTS_MAX, place_at_port, port_of
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
    port: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, name_key(self.name)


def places(yard: Yard) -> Iterator[Place]:
    """Everything with an origin of its own."""
    for endpoint in yard.store.endpoints.select():
        app = endpoint.wished.spec.app
        if app is not None and not endpoint.deleting:
            yield Place(APP, endpoint.name, endpoint.project, app.hosts, app.port)
    for kind in (SITE, GATEWAY):
        for one in yard.store.resources.select(kind):
            place = document_place(kind, one.name.name, one.project, one.wished.spec)
            if place is not None:
                yield place


def place_at(yard: Yard, host: str, yard_host: str) -> Place | None:
    """What answers at a host name without a port, or at a host with a port of something's own; None where nothing does.
    `yard_host` is by which name the yard itself is asked: what has a port answers at it too, by that name alone and its
    own, so that nobody is sent to a host that somebody else thought of."""
    port = port_of(host)
    if port is None:
        return _named(yard, host)
    found = next((one for one in places(yard) if one.port == port), None)
    name = host.removesuffix(place_at_port("", port))
    return found if found is not None and (name == yard_host or _named(yard, name) == found) else None


def _named(yard: Yard, host: str) -> Place | None:
    parents = [f".{one}" for one in (LOCAL, yard.apps_domain) if one is not None]
    labels = {host.removesuffix(parent) for parent in parents if host.endswith(parent)}
    return next((one for one in places(yard) if host in one.hosts or name_key(one.name) in labels), None)


def check_places_free(yard: Yard, wished: Iterable[Place]) -> None:
    """What is to be wished at once. Raises Conflict where one of them has a host name, a label or a port of another, of
    these or of those that stay as they are; or where nothing of the yard could listen at a port that it has not had."""
    found = list(wished)
    keys = {one.key for one in found}
    before = list(places(yard))
    others = [one for one in before if one.key not in keys]
    had = {(one.key, one.port) for one in before}
    for one in found:
        for other in others:
            _check_apart(one, other)
        others.append(one)
        if one.port is not None and (one.key, one.port) not in had:
            _check_port(yard, one, one.port, sum(other.port is not None for other in others))


def document_place(kind: str, name: str, project: str, spec: Mapping[str, Any]) -> Place | None:
    """Of a site or a gateway; None of any other kind."""
    if kind not in (SITE, GATEWAY):
        return None
    return Place(kind, name, project, tuple(spec.get("hosts") or ()), spec.get("port"))


def _check_apart(one: Place, other: Place) -> None:
    refused = f"cannot deploy {one.kind} {one.name}: {other.kind} {other.name} answers at"
    if name_key(one.name) == name_key(other.name):
        raise Conflict(f"{refused} {name_key(one.name)}.{LOCAL}", "choose another name")
    taken = set(one.hosts) & set(other.hosts)
    if taken:
        raise Conflict(f"{refused} {min(taken)}", "a host name belongs to one app, site or gateway")
    if one.port is not None and one.port == other.port:
        raise Conflict(f"{refused} port {one.port}", "a port belongs to one app, site or gateway")


def _check_port(yard: Yard, one: Place, port: int, had: int) -> None:
    refused = f"cannot deploy {one.kind} {one.name} at port {port}"
    if had > PORTS_MAX:
        raise Conflict(f"{refused}: a yard has {PORTS_MAX} such ports at most", "give one of them up")
    problem = problem_at(yard, port)
    if problem is not None:
        raise Conflict(f"{refused}: {problem.reason}", problem.remedy)
