"""The registry in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from modelyard.domain.models import Lineage, ModelVersion, check_owner, lineage_from, version_not_found
from modelyard.domain.names import check_name, name_key, not_found
from modelyard.store.database import Database
from modelyard.store.tables import model_versions, models


class SqlModels:
    """Implements `ports.Models`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def register(
        self, model: str, project: str, tree: str, size_bytes: int, framework: str | None, lineage: Lineage, now: float
    ) -> ModelVersion:
        key = name_key(check_name(model, "model name"))
        with self._yard.write() as connection:
            newest = connection.execute(_versions(key).limit(1)).first()
            if newest is not None:
                check_owner(newest.name, newest.project, project)
            made = None if lineage.run is None else _made_by(connection, key, lineage.run)
            if made is not None:
                return made
            number = _next_version(connection, key, model, project, taken=newest is not None)
            connection.execute(
                insert(model_versions).values(
                    model_key=key,
                    version=number,
                    tree=tree,
                    size_bytes=size_bytes,
                    framework=framework,
                    created_at=now,
                    run=lineage.run,
                    lineage=asdict(lineage),
                )
            )
            return _get(connection, model, number)

    def get(self, model: str, version: int | None = None) -> ModelVersion:
        with self._yard.read() as connection:
            return _get(connection, model, version)

    def select(self, project: str | None = None) -> list[ModelVersion]:
        newest = (
            select(model_versions.c.model_key, func.max(model_versions.c.version).label("version"))
            .group_by(model_versions.c.model_key)
            .subquery()
        )
        wanted = (
            _SELECT.join(
                newest,
                (newest.c.model_key == model_versions.c.model_key) & (newest.c.version == model_versions.c.version),
            )
        ).order_by(models.c.key)
        if project is not None:
            wanted = wanted.where(models.c.project == project)
        with self._yard.read() as connection:
            return [_version(row) for row in connection.execute(wanted)]

    def versions(self, model: str) -> list[ModelVersion]:
        with self._yard.read() as connection:
            found = [_version(row) for row in connection.execute(_versions(name_key(model)))]
            if not found:
                raise _model_not_found(connection, model)
            return found

    def delete(self, model: str, version: int | None = None) -> int:
        which = model_versions.c.model_key == name_key(model)
        if version is not None:
            which &= model_versions.c.version == version
        with self._yard.write() as connection:
            _get(connection, model, version)
            return connection.execute(delete(model_versions).where(which)).rowcount


_SELECT: Select[Any] = select(models.c.name, models.c.project, model_versions).join(
    model_versions, model_versions.c.model_key == models.c.key
)


def _versions(key: str) -> Select[Any]:
    return _SELECT.where(models.c.key == key).order_by(model_versions.c.version.desc())


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        row.name,
        row.version,
        row.tree,
        row.size_bytes,
        row.framework,
        row.created_at,
        row.project,
        lineage_from(row.lineage),
    )


def _made_by(connection: Connection, key: str, run: str) -> ModelVersion | None:
    row = connection.execute(_versions(key).where(model_versions.c.run == run)).first()
    return None if row is None else _version(row)


def _next_version(connection: Connection, key: str, name: str, project: str, *, taken: bool) -> int:
    """Counts a model up. One without versions is free: whoever registers next names and owns it."""
    last = connection.scalar(select(models.c.last_version).where(models.c.key == key))
    if last is None:
        connection.execute(insert(models).values(key=key, name=name, project=project, last_version=1))
        return 1
    owner = {} if taken else {"name": name, "project": project}
    connection.execute(update(models).where(models.c.key == key).values(last_version=last + 1, **owner))
    return last + 1


def _get(connection: Connection, model: str, version: int | None) -> ModelVersion:
    wanted = _versions(name_key(model))
    if version is not None:
        wanted = wanted.where(model_versions.c.version == version)
    row = connection.execute(wanted.limit(1)).first()
    if row is not None:
        return _version(row)
    there = [one.version for one in connection.execute(_versions(name_key(model)))]
    raise version_not_found(model, version, there) if there else _model_not_found(connection, model)


def _model_not_found(connection: Connection, model: str) -> Exception:
    named = select(models.c.name).where(models.c.key.in_(select(model_versions.c.model_key)))
    return not_found("model", model, connection.scalars(named))
