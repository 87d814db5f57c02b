"""A deploy: several resources of one project, applied together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelyard.domain.endpoints import Cause, Endpoint, EndpointSpec, EndpointVersion, Origin, VersionState
from modelyard.domain.names import check_name, name_key
from modelyard.errors import Conflict, InvalidValue, NotFound


class Change(StrEnum):
    """Cortex's words (cortex.md 6.5)."""

    CREATING = "creating"
    UPDATING = "updating"
    ROLLING_BACK = "rolling back"
    REFRESHING = "refreshing"
    UP_TO_DATE = "is up to date"


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    name: str
    change: Change
    version: int | None = None
    source: int | None = None
    """The version that a rollback or a refresh repeats."""

    @property
    def sentence(self) -> str:
        """`creating price (endpoint)`, `price (endpoint) is up to date`, `rolling back price (endpoint) to version 2 as
        version 4`."""
        if self.change is Change.UP_TO_DATE:
            return f"{self.name} ({self.kind}) is up to date"
        sentence = f"{self.change.value} {self.name} ({self.kind})"
        if self.change is Change.ROLLING_BACK:
            return f"{sentence} to version {self.source} as version {self.version}"
        return f"{sentence} as version {self.version}" if self.change is Change.REFRESHING else sentence

    def origin(self, by: str | None) -> Origin:
        """What the new version is to remember of how it came about."""
        causes = {Change.ROLLING_BACK: Cause.ROLLBACK, Change.REFRESHING: Cause.REFRESH}
        return Origin(causes.get(self.change, Cause.DEPLOY), self.source, by)


def decide_deployment(
    project: str,
    wanted: Mapping[str, EndpointSpec],
    present: Mapping[str, Endpoint],
    removed: Mapping[str, int] | None = None,
) -> list[Outcome]:
    """What a deploy of `wanted` (name -> spec) would do, an outcome for each in its order.

    `present` are the endpoints that are there and `removed` the last version numbers of those that were, both by
    `name_key`: an endpoint that comes again counts on, so that nothing left of the old one is taken for the new.

    Raises InvalidValue for a bad name or for two that differ only in case, and Conflict where a name belongs to another
    project or is being deleted; then nothing must be changed.
    """
    outcomes: list[Outcome] = []
    spellings: dict[str, str] = {}
    for name, spec in wanted.items():
        check_name(name)
        other = spellings.setdefault(name_key(name), name)
        if other != name:
            raise InvalidValue(
                f"cannot deploy endpoints {other} and {name} together: case does not tell names apart",
                "rename one of them",
            )
        found = present.get(name_key(name))
        if found is None:
            number = (removed or {}).get(name_key(name), 0) + 1
            outcomes.append(Outcome("endpoint", name, Change.CREATING, number))
            continue
        if found.project != project:
            raise Conflict(
                f"cannot deploy endpoint {name}: project {found.project} has one of that name",
                f"choose another name, or deploy with --project {found.project}",
            )
        if found.deleting:
            raise Conflict(f"cannot deploy endpoint {name}: it is being deleted", "wait for it to be gone, then deploy")
        if found.wished.spec == spec and found.wished.state is not VersionState.FAILED:
            outcomes.append(Outcome("endpoint", found.name, Change.UP_TO_DATE, found.wished.number))
        else:
            outcomes.append(Outcome("endpoint", found.name, Change.UPDATING, found.wished.number + 1))
    return outcomes


def decide_rollback(endpoint: Endpoint, to: int | None = None) -> Outcome:
    """What a rollback does: a new version equal to `to`, by default to the newest that was ready and is not the same.

    Where the wished version is equal to `to` already and has not failed, nothing: asked twice, it is done once. Raises
    NotFound for a version that is not remembered, Conflict for one that was never ready or where there is none.
    """
    _check_stays(endpoint, "roll back")
    wished = endpoint.wished
    target = previous_ready(endpoint) if to is None else endpoint.version(to)
    if target is None and to is None:
        raise Conflict(
            f"cannot roll back endpoint {endpoint.name}: no earlier version was ready",
            "`modelyard history` lists the versions",
        )
    if target is None:
        known = ", ".join(str(one.number) for one in endpoint.versions)
        raise NotFound(f"cannot roll back endpoint {endpoint.name}: there is no version {to}", f"there are {known}")
    if target.spec == wished.spec and wished.state is not VersionState.FAILED:
        return Outcome("endpoint", endpoint.name, Change.UP_TO_DATE, wished.number)
    if target.state is not VersionState.READY:
        raise Conflict(
            f"cannot roll back endpoint {endpoint.name} to version {target.number}: it was never ready",
            "`modelyard history` says which versions were",
        )
    return Outcome("endpoint", endpoint.name, Change.ROLLING_BACK, wished.number + 1, target.number)


def previous_ready(endpoint: Endpoint) -> EndpointVersion | None:
    """The version that a rollback goes to where none is named."""
    wished = endpoint.wished
    earlier = (one for one in reversed(endpoint.versions[:-1]) if one.state is VersionState.READY)
    return next((one for one in earlier if one.spec != wished.spec or wished.state is VersionState.FAILED), None)


def decide_refresh(endpoint: Endpoint, version: int | None = None) -> Outcome:
    """What a refresh does: a new version equal to the wished one, so that every replica is replaced.

    `version` is what the caller takes for the wished one. Where that was refreshed already, nothing: asked twice, it is
    done once. Raises Conflict where another version is wished by now.
    """
    _check_stays(endpoint, "refresh")
    wished = endpoint.wished
    if version not in (None, wished.number):
        if wished.origin.cause is Cause.REFRESH and wished.origin.source == version:
            return Outcome("endpoint", endpoint.name, Change.UP_TO_DATE, wished.number)
        raise Conflict(
            f"cannot refresh version {version} of endpoint {endpoint.name}: version {wished.number} is wished",
            "look at it, then ask again",
        )
    return Outcome("endpoint", endpoint.name, Change.REFRESHING, wished.number + 1, wished.number)


def _check_stays(endpoint: Endpoint, verb: str) -> None:
    if endpoint.deleting:
        raise Conflict(
            f"cannot {verb} endpoint {endpoint.name}: it is being deleted", "deploy it again when it is gone"
        )
