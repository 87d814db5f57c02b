"""Endpoints in the database: wishes, versions, what was last seen of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, null, select, true, update

from modelyard.domain.access import Policy, policy_document, policy_from
from modelyard.domain.deployments import (
    STEERED,
    Change,
    Outcome,
    called_back_by,
    decide_refresh,
    decide_rollback,
    decide_steering,
)
from modelyard.domain.endpoints import (
    Endpoint,
    EndpointSpec,
    EndpointState,
    EndpointStatus,
    EndpointVersion,
    Told,
    VersionState,
    endpoint_spec_from,
    endpoint_status_from,
    kept_versions,
    kind_of,
    origin_from,
    told,
)
from modelyard.domain.headlines import SENTENCE_LENGTH_MAX, Headline
from modelyard.domain.idleness import Requests
from modelyard.domain.names import name_key, not_found
from modelyard.domain.traffic import Progress, progress_from, steering_from
from modelyard.store.counters import count_up, counted
from modelyard.store.database import Database
from modelyard.store.tables import (
    endpoint_requests,
    endpoint_statuses,
    endpoint_versions,
    endpoints,
    removed_endpoints,
)

_OF_STATUS = ("state", "sentence", "ready", "requested", "serving", "updated_at")

_KEYS_AT_ONCE = 500
"""SQLite takes no more than some thousand parameters in one statement."""

# Looking a member up by value, a thousand times for a page, costs more in the enum itself.
_STATES = {one.value: one for one in EndpointState}
_VERSION_STATES = {one.value: one for one in VersionState}


class SqlEndpoints:
    """Implements `ports.Endpoints`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def roll_back(
        self, name: str, to: int | None, now: float, by: str | None = None, reason: str | None = None
    ) -> Outcome:
        return self._repeat(name, lambda endpoint: decide_rollback(endpoint, to), now, by, reason)

    def refresh(self, name: str, version: int | None, now: float, by: str | None = None) -> Outcome:
        return self._repeat(name, lambda endpoint: decide_refresh(endpoint, version), now, by)

    def _repeat(
        self, name: str, decide: Callable[[Endpoint], Outcome], now: float, by: str | None, reason: str | None = None
    ) -> Outcome:
        with self._yard.write() as connection:
            endpoint = _get(connection, name)
            outcome = decide(endpoint)
            source = endpoint.version(outcome.source or endpoint.wished.number) or endpoint.wished
            if outcome.change is Change.CALLING_BACK:
                state = VersionState.ROLLED_BACK.value
                _update_version(connection, name, source.number, state=state, reason=reason or called_back_by(by))
            else:
                if outcome.change is Change.ROLLING_BACK and reason is not None:
                    _update_version(connection, name, endpoint.wished.number, reason=reason)
                put_version(connection, endpoint.project, outcome, source.spec, now, by)
        return outcome

    def steer(self, name: str, change: Change, version: int | None = None, *, step: bool = False) -> Outcome:
        with self._yard.write() as connection:
            outcome, steering = decide_steering(_get(connection, name), change, version, step=step)
            if outcome.change in STEERED and outcome.version is not None:
                _update_version(connection, name, outcome.version, steering=asdict(steering))
        return outcome

    def get(self, name: str) -> Endpoint:
        with self._yard.read() as connection:
            return _get(connection, name)

    def select(self, project: str | None = None) -> list[Endpoint]:
        with self._yard.read() as connection:
            found = load_endpoints(connection, true() if project is None else endpoints.c.project == project)
        return list(found.values())

    def find(self, keys: Collection[str]) -> dict[str, Endpoint]:
        found: dict[str, Endpoint] = {}
        with self._yard.read() as connection:
            for some in _portions(keys):
                found |= load_endpoints(connection, endpoints.c.key.in_(some))
        return found

    def count(self) -> int:
        with self._yard.read() as connection:
            return connection.scalar(select(func.count()).select_from(endpoints)) or 0

    def headlines(self) -> Sequence[Headline]:
        return self._yard.standing("headlines", _load_headlines)

    def changed_since(self, revision: int) -> tuple[int, list[str]]:
        newest = self._yard.standing("newest endpoint", _newest)
        if newest <= revision:
            return revision, []
        rows_of = select(endpoints.c.key, endpoints.c.revision).where(endpoints.c.revision > revision)
        with self._yard.read() as connection:
            rows = connection.execute(rows_of.order_by(endpoints.c.key)).all()
        # The newest may be of one that is gone; nothing below it can come any more.
        return max([newest, *(row.revision for row in rows)]), [row.key for row in rows]

    def delete(self, name: str, now: float, version: int | None = None) -> Endpoint:
        with self._yard.write() as connection:
            if version in (None, _get(connection, name).wished.number):
                mark_deleting(connection, name, now)
            return _get(connection, name)

    def remove(self, name: str) -> None:
        key = name_key(name)
        with self._yard.write() as connection:
            found = load_endpoints(connection, endpoints.c.key == key).get(key)
            if found is None or not found.deleting:
                return
            connection.execute(delete(removed_endpoints).where(removed_endpoints.c.key == key))
            connection.execute(insert(removed_endpoints).values(key=key, last_number=found.wished.number))
            connection.execute(delete(endpoint_statuses).where(endpoint_statuses.c.endpoint_key == key))
            connection.execute(delete(endpoint_versions).where(endpoint_versions.c.endpoint_key == key))
            connection.execute(delete(endpoint_requests).where(endpoint_requests.c.endpoint_key == key))
            connection.execute(delete(endpoints).where(endpoints.c.key == key))

    def mark_version(
        self, name: str, number: int, state: VersionState, reason: str | None, *, out_of_memory: bool = False
    ) -> None:
        with self._yard.write() as connection:
            _update_version(connection, name, number, state=state.value, reason=reason, out_of_memory=out_of_memory)

    def put_progress(self, name: str, number: int, progress: Progress) -> None:
        with self._yard.write() as connection:
            _update_version(connection, name, number, progress=asdict(progress))

    def put_statuses(self, statuses: Mapping[str, EndpointStatus]) -> None:
        by_key = {name_key(name): status for name, status in statuses.items()}
        # Reading first spares the disk a sync where nothing has changed.
        with self._yard.read() as connection:
            there = _present_statuses(connection, by_key)
        by_key = {key: status for key, status in by_key.items() if there.get(key) != status}
        if not by_key:
            return
        with self._yard.write() as connection:
            for some in _portions(by_key):
                connection.execute(delete(endpoint_statuses).where(endpoint_statuses.c.endpoint_key.in_(some)))
                known = connection.scalars(select(endpoints.c.key).where(endpoints.c.key.in_(some))).all()
                rows = [_status_row(key, by_key[key]) for key in known]
                if rows:
                    connection.execute(insert(endpoint_statuses), rows)

    def status(self, name: str) -> EndpointStatus | None:
        with self._yard.read() as connection:
            found = connection.scalar(
                select(endpoint_statuses.c.status).where(endpoint_statuses.c.endpoint_key == name_key(name))
            )
        return None if found is None else endpoint_status_from(found)

    def statuses(self, keys: Collection[str] | None = None) -> dict[str, EndpointStatus]:
        with self._yard.read() as connection:
            if keys is not None:
                return _present_statuses(connection, keys)
            rows = connection.execute(select(endpoint_statuses).order_by(endpoint_statuses.c.endpoint_key)).all()
        return {row.endpoint_key: endpoint_status_from(row.status) for row in rows}

    def put_requests(self, requests: Mapping[str, Requests]) -> None:
        rows = [
            {"endpoint_key": key, "last_at": one.last_at, "warned_at": one.warned_at} for key, one in requests.items()
        ]
        if not rows:
            return
        with self._yard.write() as connection:
            for some in _portions(requests):
                connection.execute(delete(endpoint_requests).where(endpoint_requests.c.endpoint_key.in_(some)))
            connection.execute(insert(endpoint_requests), rows)

    def requests(self) -> dict[str, Requests]:
        with self._yard.read() as connection:
            rows = connection.execute(select(endpoint_requests).order_by(endpoint_requests.c.endpoint_key)).all()
        return {row.endpoint_key: Requests(row.last_at, row.warned_at) for row in rows}

    def requests_of(self, name: str) -> Requests:
        with self._yard.read() as connection:
            row = connection.execute(
                select(endpoint_requests).where(endpoint_requests.c.endpoint_key == name_key(name))
            ).first()
        return Requests() if row is None else Requests(row.last_at, row.warned_at)


def _portions(keys: Collection[str]) -> list[list[str]]:
    every = sorted(keys)
    return [every[at : at + _KEYS_AT_ONCE] for at in range(0, len(every), _KEYS_AT_ONCE)]


def _present_statuses(connection: Connection, keys: Collection[str]) -> dict[str, EndpointStatus]:
    found: dict[str, EndpointStatus] = {}
    for some in _portions(keys):
        wanted = select(endpoint_statuses).where(endpoint_statuses.c.endpoint_key.in_(some))
        found |= {row.endpoint_key: endpoint_status_from(row.status) for row in connection.execute(wanted)}
    return found


def _status_row(key: str, status: EndpointStatus) -> dict[str, Any]:
    return {
        "endpoint_key": key,
        "status": asdict(status),
        "state": status.state.value,
        "sentence": status.sentence[:SENTENCE_LENGTH_MAX],
        "ready": status.ready,
        "requested": status.requested,
        "serving": status.serving_version,
        "updated_at": status.updated_at,
    }


def _newest(connection: Connection) -> int:
    return counted(connection, "endpoints")


def _load_headlines(connection: Connection) -> Sequence[Headline]:
    wanted = (
        select(
            *(endpoints.c[name] for name in ("key", "name", "project", "kind", "model")),
            *(endpoints.c[name] for name in ("wished", "wished_state", "wished_at")),
            endpoints.c.deleting_at.is_not(None).label("deleting"),
            *(endpoint_statuses.c[name] for name in _OF_STATUS),
            endpoint_requests.c.last_at,
        )
        .outerjoin(endpoint_statuses, endpoint_statuses.c.endpoint_key == endpoints.c.key)
        .outerjoin(endpoint_requests, endpoint_requests.c.endpoint_key == endpoints.c.key)
        .order_by(endpoints.c.key)
    )
    return tuple(_headline(*row) for row in connection.execute(wanted))


def _headline(
    key: str,
    name: str,
    project: str,
    kind: str,
    model: str | None,
    wished: int,
    wished_state: str,
    wished_at: float,
    deleting: bool,
    state: str | None,
    sentence: str,
    ready: int | None,
    requested: int | None,
    serving: int | None,
    updated_at: float | None,
    last_at: float | None,
) -> Headline:
    said = told(
        None if state is None else Told(_STATES[state], sentence),
        updated_at or 0.0,
        wished=wished,
        wished_state=_VERSION_STATES[wished_state],
        wished_at=wished_at,
        deleting=deleting,
    )
    counts = (ready or 0, requested or 0, serving, wished)
    return Headline(key, name, project, kind, model, said.state, said.sentence, *counts, wished_at, last_at)


def note_change(connection: Connection, key: str) -> None:
    """To be called by whatever changes an endpoint or a version of it, in the same transaction. Without
    effect where it is gone."""
    newest = connection.execute(
        select(endpoint_versions)
        .where(endpoint_versions.c.endpoint_key == key)
        .order_by(endpoint_versions.c.number.desc())
        .limit(1)
    ).first()
    if newest is None:
        return
    spec = endpoint_spec_from(newest.spec)
    connection.execute(
        update(endpoints)
        .where(endpoints.c.key == key)
        .values(
            revision=count_up(connection, "endpoints"),
            kind=kind_of(spec),
            model=spec.model,
            wished=newest.number,
            wished_state=newest.state,
            wished_at=newest.created_at,
        )
    )


def put_access(connection: Connection, name: str, access: Policy | None) -> None:
    document = policy_document(access) if access is not None else null()
    connection.execute(update(endpoints).where(endpoints.c.key == name_key(name)).values(access=document))
    note_change(connection, name_key(name))


def _update_version(connection: Connection, name: str, number: int, **values: Any) -> None:
    connection.execute(
        update(endpoint_versions)
        .where(endpoint_versions.c.endpoint_key == name_key(name), endpoint_versions.c.number == number)
        .values(**values)
    )
    note_change(connection, name_key(name))


def mark_deleting(connection: Connection, name: str, now: float) -> None:
    """Without effect where it is marked, or not there."""
    connection.execute(
        update(endpoints)
        .where(endpoints.c.key == name_key(name), endpoints.c.deleting_at.is_(None))
        .values(deleting_at=now)
    )
    note_change(connection, name_key(name))


def _get(connection: Connection, name: str) -> Endpoint:
    key = name_key(name)
    found = load_endpoints(connection, endpoints.c.key == key).get(key)
    if found is None:
        raise not_found("endpoint", name, connection.scalars(select(endpoints.c.name)))
    return found


def load_endpoints(connection: Connection, which: ColumnElement[bool]) -> dict[str, Endpoint]:
    """Endpoints by key, in the order of their keys, each with the versions that are kept."""
    rows = connection.execute(
        select(endpoints, endpoint_versions)
        .join(endpoint_versions, endpoint_versions.c.endpoint_key == endpoints.c.key)
        .where(which)
        .order_by(endpoints.c.key, endpoint_versions.c.number)
    ).all()
    versions: dict[str, list[EndpointVersion]] = {}
    for row in rows:
        version = EndpointVersion(
            row.number,
            endpoint_spec_from(row.spec),
            row.created_at,
            VersionState(row.state),
            row.reason,
            origin_from(row.origin or {}),
            bool(row.out_of_memory),
            progress_from(row.progress or {}),
            steering_from(row.steering or {}),
        )
        versions.setdefault(row.key, []).append(version)
    return {
        row.key: Endpoint(
            row.name,
            row.project,
            kept_versions(versions[row.key]),
            row.deleting_at is not None,
            policy_from(row.access) if row.access is not None else None,
        )
        for row in rows
    }


def last_numbers(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Of endpoints that are gone, by key."""
    rows = connection.execute(select(removed_endpoints).where(removed_endpoints.c.key.in_(keys))).all()
    return {row.key: row.last_number for row in rows}


def put_version(
    connection: Connection, project: str, outcome: Outcome, spec: EndpointSpec, now: float, by: str | None
) -> None:
    """The version that an outcome makes, if it makes one."""
    if outcome.change in (Change.UP_TO_DATE, Change.ACCESS):
        return
    key = name_key(outcome.name)
    if outcome.change is Change.CREATING:
        connection.execute(insert(endpoints).values(key=key, name=outcome.name, project=project))
    connection.execute(
        insert(endpoint_versions).values(
            endpoint_key=key,
            number=outcome.version,
            spec=asdict(spec),
            created_at=now,
            state=VersionState.NEW.value,
            origin=asdict(outcome.origin(by)),
        )
    )
    if outcome.change is not Change.CREATING:
        _forget_old_versions(connection, key)
    note_change(connection, key)


def _forget_old_versions(connection: Connection, key: str) -> None:
    kept = [one.number for one in load_endpoints(connection, endpoints.c.key == key)[key].versions]
    connection.execute(
        delete(endpoint_versions).where(
            endpoint_versions.c.endpoint_key == key, endpoint_versions.c.number.not_in(kept)
        )
    )
