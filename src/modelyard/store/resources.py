"""Resources in the database: documents by kind and name, with their versions."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, true, tuple_

from modelyard.domain.names import RESOURCE_KINDS, name_key, not_found
from modelyard.domain.resources import Resource, ResourceName, ResourceVersion, kept_versions
from modelyard.store.database import Database
from modelyard.store.ports import JsonObject
from modelyard.store.tables import removed_resources, resource_versions, resources


class SqlResources:
    """Implements `ports.Resources`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def get(self, kind: str, name: str) -> Resource:
        with self._yard.read() as connection:
            return _get(connection, kind, name)

    def select(self, kind: str | None = None, project: str | None = None) -> list[Resource]:
        which = and_(
            true() if kind is None else resources.c.kind == kind,
            true() if project is None else resources.c.project == project,
        )
        if kind in RESOURCE_KINDS and project is None:
            # What the controller's passes ask for each second.
            return list(self._yard.standing(("resources", kind), lambda one: load_resources(one, which)).values())
        with self._yard.read() as connection:
            return list(load_resources(connection, which).values())

    def put(self, kind: str, name: str, spec: JsonObject, now: float, by: str | None = None) -> Resource:
        with self._yard.write() as connection:
            found = _get(connection, kind, name)
            if found.wished.spec != spec:
                put_version(connection, found.name, found.wished.number + 1, spec, now, by)
            return _get(connection, kind, name)

    def delete(self, kind: str, name: str) -> Resource:
        with self._yard.write() as connection:
            found = _get(connection, kind, name)
            remove_resource(connection, found)
            return found


def load_resources(connection: Connection, which: ColumnElement[bool]) -> dict[tuple[str, str], Resource]:
    """By kind and key, in that order, each with the versions that are kept."""
    rows = connection.execute(
        select(resources, resource_versions.c.number, resource_versions.c.spec, resource_versions.c.created_at)
        .add_columns(resource_versions.c.created_by)
        .join(
            resource_versions,
            and_(resource_versions.c.kind == resources.c.kind, resource_versions.c.resource_key == resources.c.key),
        )
        .where(which)
        .order_by(resources.c.kind, resources.c.key, resource_versions.c.number)
    ).all()
    versions: dict[tuple[str, str], list[ResourceVersion]] = {}
    for row in rows:
        version = ResourceVersion(row.number, row.spec, row.created_at, row.created_by)
        versions.setdefault((row.kind, row.key), []).append(version)
    return {
        (row.kind, row.key): Resource(ResourceName(row.kind, row.name), row.project, tuple(versions[row.kind, row.key]))
        for row in rows
    }


def last_resource_numbers(connection: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Of resources that are gone, by kind and key."""
    rows = connection.execute(
        select(removed_resources).where(tuple_(removed_resources.c.kind, removed_resources.c.key).in_(keys))
    ).all()
    return {(row.kind, row.key): row.last_number for row in rows}


def put_resource(connection: Connection, name: ResourceName, project: str) -> None:
    kind, key = name.key
    connection.execute(insert(resources).values(kind=kind, key=key, name=name.name, project=project))


def put_version(
    connection: Connection, name: ResourceName, number: int, spec: JsonObject, now: float, by: str | None
) -> None:
    """A new version; those that are too many go."""
    kind, key = name.key
    connection.execute(
        insert(resource_versions).values(
            kind=kind, resource_key=key, number=number, spec=spec, created_at=now, created_by=by
        )
    )
    versions = load_resources(connection, (resources.c.kind == kind) & (resources.c.key == key))[kind, key].versions
    kept = [one.number for one in kept_versions(versions)]
    connection.execute(
        delete(resource_versions).where(
            resource_versions.c.kind == kind,
            resource_versions.c.resource_key == key,
            resource_versions.c.number.not_in(kept),
        )
    )


def remove_resource(connection: Connection, resource: Resource) -> None:
    kind, key = resource.name.key
    for table, column in (
        (removed_resources, removed_resources.c.key),
        (resource_versions, resource_versions.c.resource_key),
        (resources, resources.c.key),
    ):
        connection.execute(delete(table).where(table.c.kind == kind, column == key))
    connection.execute(insert(removed_resources).values(kind=kind, key=key, last_number=resource.wished.number))


def _get(connection: Connection, kind: str, name: str) -> Resource:
    key = name_key(name)
    found = load_resources(connection, (resources.c.kind == kind) & (resources.c.key == key)).get((kind, key))
    if found is None:
        known = connection.scalars(select(resources.c.name).where(resources.c.kind == kind))
        raise not_found(kind, name, known)
    return found
