"""Deploys in the database: everything that one wishes, in one transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, or_, select, tuple_

from modelyard.domain import splitters
from modelyard.domain.deployments import (
    ENDPOINT,
    Change,
    Outcome,
    Present,
    Wanted,
    decide_deployment,
    wanted_keys,
)
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.names import name_key
from modelyard.domain.resources import ANSWERS_AS_ENDPOINT, ResourceName
from modelyard.domain.splitters import splitter_from
from modelyard.store import endpoints as endpoint_rows
from modelyard.store import resources as resource_rows
from modelyard.store.database import Database
from modelyard.store.tables import endpoints, project_files, resources


class SqlDeployments:
    """Implements `ports.Deployments`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def apply(self, project: str, wanted: Wanted, now: float, by: str | None = None) -> list[Outcome]:
        with self._yard.write() as connection:
            present = _present(connection, project, wanted)
            outcomes = decide_deployment(project, wanted, present)
            specs = {name_key(name): spec for name, spec in wanted.endpoints.items()}
            for outcome in outcomes:
                _apply(connection, project, wanted, specs, present, outcome, now, by)
            if wanted.from_file:
                _remember_file(connection, project, wanted, outcomes)
        return outcomes


def _present(connection: Connection, project: str, wanted: Wanted) -> Present:
    from_file = _from_file(connection, project)
    keys = wanted_keys(wanted) | from_file
    endpoint_keys = {key for kind, key in keys if kind == ENDPOINT or kind in ANSWERS_AS_ENDPOINT}
    which = or_(tuple_(resources.c.kind, resources.c.key).in_(keys), resources.c.kind.in_(ANSWERS_AS_ENDPOINT))
    there = resource_rows.load_resources(connection, which)
    for place in keys & there.keys():
        endpoint_keys |= splitter_from(there[place].wished.spec).owned if place[0] == splitters.KIND else frozenset()
    return Present(
        endpoints=endpoint_rows.load_endpoints(connection, endpoints.c.key.in_(endpoint_keys)),
        resources=there,
        removed_endpoints=endpoint_rows.last_numbers(connection, endpoint_keys),
        removed_resources=resource_rows.last_resource_numbers(connection, keys),
        from_file=from_file,
    )


def _apply(
    connection: Connection,
    project: str,
    wanted: Wanted,
    specs: Mapping[str, EndpointSpec],
    present: Present,
    outcome: Outcome,
    now: float,
    by: str | None,
) -> None:
    if outcome.kind == ENDPOINT:
        if outcome.change is Change.DELETING:
            endpoint_rows.mark_deleting(connection, outcome.name, now)
        else:
            endpoint_rows.put_version(connection, project, outcome, specs[name_key(outcome.name)], now, by)
            if outcome.change is not Change.UP_TO_DATE:
                access = {name_key(name): policy for name, policy in wanted.access.items()}
                endpoint_rows.put_access(connection, outcome.name, access.get(name_key(outcome.name)))
        return
    name = ResourceName(outcome.kind, outcome.name)
    if outcome.change is Change.DELETING:
        resource_rows.remove_resource(connection, present.resources[name.key])
    elif outcome.change is not Change.UP_TO_DATE and outcome.version is not None:
        if outcome.change is Change.CREATING:
            resource_rows.put_resource(connection, name, project)
        spec = {one.key: spec for one, spec in wanted.resources.items()}[name.key]
        resource_rows.put_version(connection, name, outcome.version, spec, now, by)


def _from_file(connection: Connection, project: str) -> set[tuple[str, str]]:
    rows = connection.execute(select(project_files).where(project_files.c.project == project)).all()
    return {(row.kind, row.key) for row in rows}


def _remember_file(connection: Connection, project: str, wanted: Wanted, outcomes: Sequence[Outcome]) -> None:
    """What is wished now belongs to the project's file; what was deleted no longer does."""
    pruned = {(one.kind, name_key(one.name)) for one in outcomes if one.change is Change.DELETING}
    known = _from_file(connection, project)
    place = tuple_(project_files.c.kind, project_files.c.key)
    connection.execute(delete(project_files).where(project_files.c.project == project, place.in_(pruned)))
    for kind, key in sorted(wanted_keys(wanted) - known):
        connection.execute(insert(project_files).values(project=project, kind=kind, key=key))
