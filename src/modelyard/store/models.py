"""The registry in the database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, cast, delete, func, insert, select, true, update

from modelyard.domain.models import (
    Approval,
    Lineage,
    ModelReference,
    ModelVersion,
    alias_not_found,
    approval_from,
    check_alias,
    check_alias_count,
    check_owner,
    lineage_from,
    merged_tags,
    version_not_found,
)
from modelyard.domain.names import check_model_name, name_key, not_found
from modelyard.store.database import Database
from modelyard.store.limits import CHILDREN_MAX
from modelyard.store.tables import model_aliases, model_versions, models


class SqlModels:
    """Implements `ports.Models`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def register(
        self, model: str, project: str, tree: str, size_bytes: int, framework: str | None, lineage: Lineage, now: float
    ) -> ModelVersion:
        key = name_key(check_model_name(model))
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
                    tags={},
                    approval=asdict(Approval()),
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
            return _read(connection, wanted)

    def count(self) -> int:
        with self._yard.read() as connection:
            return connection.scalar(select(func.count(func.distinct(model_versions.c.model_key)))) or 0

    def frameworks(self) -> set[str]:
        named = select(model_versions.c.framework).where(model_versions.c.framework.is_not(None)).distinct()
        with self._yard.read() as connection:
            return {str(one) for one in connection.scalars(named)}

    def versions(self, model: str) -> list[ModelVersion]:
        with self._yard.read() as connection:
            found = _read(connection, _versions(name_key(model)), model_aliases.c.model_key == name_key(model))
            if not found:
                raise _model_not_found(connection, model)
            return found

    def children(self, reference: str) -> list[str]:
        # Whatever has the name in its lineage is looked at; what it is to it, the lineage says.
        named = cast(model_versions.c.lineage, Text).contains(json.dumps(reference), autoescape=True)
        wanted = select(models.c.name, model_versions.c.version, model_versions.c.lineage)
        joined = wanted.join(model_versions, model_versions.c.model_key == models.c.key).where(named)
        with self._yard.read() as connection:
            rows = connection.execute(joined.order_by(models.c.key, model_versions.c.version)).all()
        found = [f"{name}:{version}" for name, version, lineage in rows if _reads(lineage, reference)]
        return found[:CHILDREN_MAX]

    def resolve(self, reference: ModelReference) -> ModelVersion:
        with self._yard.read() as connection:
            if reference.alias is None:
                return _get(connection, reference.model, reference.version)
            named = _alias(connection, reference.model, reference.alias)
            return _get(connection, reference.model, named.version)

    def put_alias(self, model: str, alias: str, version: int, now: float, by: str | None = None) -> int | None:
        check_alias(alias)
        key = name_key(model)
        with self._yard.write() as connection:
            found = _get(connection, model, version)
            there = {row.key: row for row in connection.execute(_aliases(model_aliases.c.model_key == key))}
            before = there.get(name_key(alias))
            if before is None:
                check_alias_count(found.model, len(there))
            connection.execute(delete(model_aliases).where(_is_alias(model, alias)))
            connection.execute(
                insert(model_aliases).values(
                    model_key=key,
                    key=name_key(alias),
                    name=alias if before is None else before.name,
                    version=version,
                    moved_at=now,
                    moved_by=by,
                )
            )
            return None if before is None else before.version

    def delete_alias(self, model: str, alias: str) -> int:
        with self._yard.write() as connection:
            named = _alias(connection, model, alias)
            connection.execute(delete(model_aliases).where(_is_alias(model, alias)))
            return named.version

    def put_tags(self, model: str, version: int, changes: Mapping[str, str | None]) -> ModelVersion:
        with self._yard.write() as connection:
            found = _get(connection, model, version)
            tags = merged_tags(found.reference, found.tags, changes)
            connection.execute(update(model_versions).where(_is_version(model, version)).values(tags=tags))
            return _get(connection, model, version)

    def put_approval(self, model: str, version: int, approval: Approval) -> ModelVersion:
        with self._yard.write() as connection:
            _get(connection, model, version)
            wanted = update(model_versions).where(_is_version(model, version))
            connection.execute(wanted.values(approval=asdict(approval)))
            return _get(connection, model, version)

    def delete(self, model: str, version: int | None = None) -> int:
        versions = model_versions.c.model_key == name_key(model)
        aliases = model_aliases.c.model_key == name_key(model)
        if version is not None:
            versions &= model_versions.c.version == version
            aliases &= model_aliases.c.version == version
        with self._yard.write() as connection:
            _get(connection, model, version)
            connection.execute(delete(model_aliases).where(aliases))
            return connection.execute(delete(model_versions).where(versions)).rowcount


_SELECT: Select[Any] = select(models.c.name, models.c.project, model_versions).join(
    model_versions, model_versions.c.model_key == models.c.key
)


def _reads(lineage: Mapping[str, Any], reference: str) -> bool:
    return reference in lineage_from(dict(lineage)).parents.values()


def _versions(key: str) -> Select[Any]:
    return _SELECT.where(models.c.key == key).order_by(model_versions.c.version.desc())


def _is_version(model: str, version: int) -> ColumnElement[bool]:
    return (model_versions.c.model_key == name_key(model)) & (model_versions.c.version == version)


def _is_alias(model: str, alias: str) -> ColumnElement[bool]:
    return (model_aliases.c.model_key == name_key(model)) & (model_aliases.c.key == name_key(alias))


def _aliases(which: ColumnElement[bool]) -> Select[Any]:
    return select(model_aliases).where(which).order_by(model_aliases.c.key)


def _alias(connection: Connection, model: str, alias: str) -> Row[Any]:
    """Raises NotFound for the model, then for the alias."""
    row = connection.execute(_aliases(_is_alias(model, alias))).first()
    if row is not None:
        return row
    newest = _get(connection, model, None)
    there = connection.execute(_aliases(model_aliases.c.model_key == name_key(model)))
    raise alias_not_found(newest.model, alias, [one.name for one in there])


def _read(connection: Connection, wanted: Select[Any], whose: ColumnElement[bool] | None = None) -> list[ModelVersion]:
    """Versions with their aliases; `whose` says which models' aliases can be needed."""
    names: dict[tuple[str, int], list[str]] = {}
    for alias in connection.execute(_aliases(true() if whose is None else whose)):
        names.setdefault((alias.model_key, alias.version), []).append(alias.name)
    return [_version(row, names.get((row.model_key, row.version), ())) for row in connection.execute(wanted)]


def _version(row: Row[Any], aliases: Sequence[str]) -> ModelVersion:
    return ModelVersion(
        row.name,
        row.version,
        row.tree,
        row.size_bytes,
        row.framework,
        row.created_at,
        row.project,
        lineage_from(row.lineage),
        tuple(aliases),
        row.tags or {},
        approval_from(row.approval),
    )


def _made_by(connection: Connection, key: str, run: str) -> ModelVersion | None:
    made = _versions(key).where(model_versions.c.run == run)
    return next(iter(_read(connection, made, model_aliases.c.model_key == key)), None)


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
    found = _read(connection, wanted.limit(1), model_aliases.c.model_key == name_key(model))
    if found:
        return found[0]
    there = [one.version for one in connection.execute(_versions(name_key(model)))]
    raise version_not_found(model, version, there) if there else _model_not_found(connection, model)


def _model_not_found(connection: Connection, model: str) -> Exception:
    named = select(models.c.name).where(models.c.key.in_(select(model_versions.c.model_key)))
    return not_found("model", model, connection.scalars(named))
