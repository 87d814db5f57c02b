"""A deploy: several resources of one project, applied together or not at all."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from modelyard.domain import splitters
from modelyard.domain.access import Policy
from modelyard.domain.endpoints import Cause, Endpoint, EndpointSpec, EndpointVersion, Origin, VersionState, kind_of
from modelyard.domain.names import check_name, name_key
from modelyard.domain.resources import ANSWERS_AS_ENDPOINT, Resource, ResourceName, next_number
from modelyard.domain.splitters import splitter_from
from modelyard.domain.strategies import STAGED, stages_of
from modelyard.domain.traffic import Steering
from modelyard.errors import Conflict, InvalidValue, NotFound

ENDPOINT = "endpoint"

RESOURCES_MAX = 1000
"""Of one file, which one transaction applies."""


class Change(StrEnum):
    """Cortex's words (cortex.md 6.5)."""

    CREATING = "creating"
    UPDATING = "updating"
    ROLLING_BACK = "rolling back"
    REFRESHING = "refreshing"
    CALLING_BACK = "calling back"
    PAUSING = "pausing"
    RESUMING = "resuming"
    PROMOTING = "promoting"
    UP_TO_DATE = "is up to date"
    ACCESS = "changing access to"
    DELETING = "deleting"


STEERED = frozenset({Change.PAUSING, Change.RESUMING, Change.PROMOTING})
"""Changes of a rollout under way; they make no version."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one deploy wishes."""

    endpoints: Mapping[str, EndpointSpec] = field(default_factory=dict[str, EndpointSpec])
    """By name, in the order of the outcomes."""
    resources: Mapping[ResourceName, dict[str, Any]] = field(default_factory=dict[ResourceName, dict[str, Any]])
    """Everything of other kinds."""
    access: Mapping[str, Policy] = field(default_factory=dict[str, Policy])
    """Of those endpoints that say who may call them, by name."""
    from_file: bool = False
    """This is all that the project's yard file wishes, which is remembered."""
    prune: bool = False
    """Deletes what the project's file once wished and does not any more; so it is a file that is deployed."""


@dataclass(frozen=True, slots=True)
class Present:
    """What there is, as far as a deploy has to know it. Everything is by its key."""

    endpoints: Mapping[str, Endpoint]
    """At least those that are wanted, those of the project's file, and variants of splitters that are wanted."""
    resources: Mapping[tuple[str, str], Resource]
    """Likewise, and every one that answers as an endpoint."""
    removed_endpoints: Mapping[str, int] = field(default_factory=dict[str, int])
    """Last version numbers of those that are gone: one that comes again counts on, so that nothing left of the old one
    is taken for the new."""
    removed_resources: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    from_file: Collection[tuple[str, str]] = ()
    """(kind, key) of what earlier deploys of the project wished."""


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    name: str
    change: Change
    version: int | None = None
    source: int | None = None
    """The version that a rollback or a refresh repeats; of a rollout under way, the version that is on its way."""
    called: str | None = None
    """What people call it, where that is not its kind: a function and an app are endpoints to the store."""

    @property
    def sentence(self) -> str:
        """`creating price (endpoint)`, `price (endpoint) is up to date`, `rolling back price (endpoint) to version 2 as
        version 4`."""
        if self.change is Change.UP_TO_DATE:
            return f"{self.name} ({self.called or self.kind}) is up to date"
        sentence = f"{self.change.value} {self.name} ({self.called or self.kind})"
        if self.change is Change.ROLLING_BACK:
            return f"{sentence} to version {self.source} as version {self.version}"
        if self.change is Change.CALLING_BACK:
            return f"{sentence} from version {self.source} to version {self.version}"
        if self.change in STEERED:
            return f"{sentence}, version {self.version}"
        return f"{sentence} as version {self.version}" if self.change is Change.REFRESHING else sentence

    def origin(self, by: str | None) -> Origin:
        """What the new version is to remember of how it came about."""
        causes = {Change.ROLLING_BACK: Cause.ROLLBACK, Change.REFRESHING: Cause.REFRESH}
        return Origin(causes.get(self.change, Cause.DEPLOY), self.source, by)


def _outcome(endpoint: Endpoint, change: Change, version: int | None = None, source: int | None = None) -> Outcome:
    return Outcome(ENDPOINT, endpoint.name, change, version, source, _called(endpoint.kind))


def _called(kind: str) -> str | None:
    return kind if kind != ENDPOINT else None


def decide_deployment(project: str, wanted: Wanted, present: Present) -> list[Outcome]:
    """What a deploy would do, an outcome for each thing in its order; what it deletes comes last.

    Raises InvalidValue for a bad name or for two that differ only in case, and Conflict where a name belongs to another
    project, to another kind that answers at the same address, or is being deleted; then nothing must be changed.
    """
    _check_spellings([ResourceName(ENDPOINT, name) for name in wanted.endpoints])
    _check_spellings(wanted.resources)
    outcomes = [_decide_endpoint(project, name, spec, wanted, present) for name, spec in wanted.endpoints.items()]
    outcomes += [_decide_resource(project, name, spec, wanted, present) for name, spec in wanted.resources.items()]
    pruned = _decide_pruning(project, wanted, present) if wanted.prune else []
    dropped = [one for one in _decide_dropping(wanted, present) if one not in pruned]
    return [*outcomes, *dropped, *pruned]


def wanted_keys(wanted: Wanted) -> set[tuple[str, str]]:
    """(kind, key) of everything that a deploy wishes."""
    return {(ENDPOINT, name_key(name)) for name in wanted.endpoints} | {name.key for name in wanted.resources}


def _check_spellings(names: Collection[ResourceName]) -> None:
    first: dict[tuple[str, str], str] = {}
    for one in names:
        check_name(one.name, f"{one.kind} name")
        other = first.setdefault(one.key, one.name)
        if other != one.name:
            raise InvalidValue(
                f"cannot deploy {one.kind}s {other} and {one.name} together: case does not tell names apart",
                "rename one of them",
            )


def _decide_endpoint(project: str, name: str, spec: EndpointSpec, wanted: Wanted, present: Present) -> Outcome:
    _check_address(name, wanted, present)
    found = present.endpoints.get(name_key(name))
    if found is None:
        number = present.removed_endpoints.get(name_key(name), 0) + 1
        return Outcome(ENDPOINT, name, Change.CREATING, number, called=_called(kind_of(spec)))
    if found.project != project:
        raise Conflict(
            f"cannot deploy endpoint {name}: project {found.project} has one of that name",
            f"choose another name, or deploy with --project {found.project}",
        )
    if found.deleting:
        raise Conflict(f"cannot deploy endpoint {name}: it is being deleted", "wait for it to be gone, then deploy")
    if found.wished.spec == spec and not found.wished.given_up:
        change = Change.UP_TO_DATE if found.access == wanted.access.get(name) else Change.ACCESS
        return _outcome(found, change, found.wished.number)
    return _outcome(found, Change.UPDATING, found.wished.number + 1)


def _check_address(name: str, wanted: Wanted, present: Present) -> None:
    """Refuses the name of something else that answers at `/endpoints/NAME`."""
    there = {*present.resources, *(one.key for one in wanted.resources)}
    other = next((kind for kind in sorted(ANSWERS_AS_ENDPOINT) if (kind, name_key(name)) in there), None)
    if other is not None:
        raise Conflict(
            f"cannot deploy endpoint {name}: a {other} has that name",
            f"`modelyard delete {other}/{name}` first, or choose another name",
        )


def _decide_resource(
    project: str, name: ResourceName, spec: dict[str, Any], wanted: Wanted, present: Present
) -> Outcome:
    found = present.resources.get(name.key)
    last = present.removed_resources.get(name.key, 0)
    endpoints = {*present.endpoints, *(name_key(one) for one in wanted.endpoints)}
    number = next_number(project, name, spec, found, last, endpoints)
    if number is None and found is not None:
        return Outcome(name.kind, found.name.name, Change.UP_TO_DATE, found.wished.number)
    spelling = found.name.name if found is not None else name.name
    return Outcome(name.kind, spelling, Change.UPDATING if found is not None else Change.CREATING, number)


def _decide_dropping(wanted: Wanted, present: Present) -> list[Outcome]:
    """Variants go with the splitter that they were made for, also when it has them no more."""
    dropped: list[Outcome] = []
    for name, spec in wanted.resources.items():
        before = present.resources.get(name.key)
        if name.kind != splitters.KIND or before is None:
            continue
        gone = splitter_from(before.wished.spec).owned - splitter_from(spec).owned
        for key in sorted(gone - {name_key(one) for one in wanted.endpoints}):
            found = present.endpoints.get(key)
            if found is not None and not found.deleting:
                dropped.append(_outcome(found, Change.DELETING))
    return dropped


def _decide_pruning(project: str, wanted: Wanted, present: Present) -> list[Outcome]:
    gone = [one for one in present.from_file if one not in wanted_keys(wanted)]
    there = {(ENDPOINT, key): one for key, one in present.endpoints.items() if not one.deleting} | dict(
        present.resources
    )
    pruned: list[Outcome] = []
    for kind, key in sorted(gone):
        found = there.get((kind, key))
        if found is not None and found.project == project:
            if isinstance(found, Endpoint):
                pruned.append(_outcome(found, Change.DELETING))
            else:
                pruned.append(Outcome(kind, found.name.name, Change.DELETING))
    return pruned


def decide_rollback(endpoint: Endpoint, to: int | None = None) -> Outcome:
    """What a rollback does: a new version equal to `to`, by default to the newest that was ready and is not the same.
    While a version is on its way in steps and `to` is the one beside it, no new one: it is called back.

    Where the wished version is equal to `to` already and has not failed, nothing: asked twice, it is done once. Raises
    NotFound for a version that is not remembered, Conflict for one that was never ready or where there is none.
    """
    _check_stays(endpoint, "roll back")
    wished = endpoint.wished
    old = endpoint.fallback
    if endpoint.is_staged and old is not None and to in (None, old.number):
        return _outcome(endpoint, Change.CALLING_BACK, old.number, wished.number)
    if wished.state is VersionState.ROLLED_BACK and old is not None and to == old.number:
        return _outcome(endpoint, Change.UP_TO_DATE, old.number)
    target = previous_ready(endpoint) if to is None else endpoint.version(to)
    if target is None and to is None:
        raise Conflict(
            f"cannot roll back endpoint {endpoint.name}: no earlier version was ready",
            "`modelyard history` lists the versions",
        )
    if target is None:
        known = ", ".join(str(one.number) for one in endpoint.versions)
        raise NotFound(f"cannot roll back endpoint {endpoint.name}: there is no version {to}", f"there are {known}")
    if target.spec == wished.spec and not wished.given_up:
        return _outcome(endpoint, Change.UP_TO_DATE, wished.number)
    if target.state is not VersionState.READY:
        raise Conflict(
            f"cannot roll back endpoint {endpoint.name} to version {target.number}: it was never ready",
            "`modelyard history` says which versions were",
        )
    return _outcome(endpoint, Change.ROLLING_BACK, wished.number + 1, target.number)


def called_back_by(by: str | None) -> str:
    """The reason of a version that people called back."""
    return f"called back by {by}" if by else "called back by hand"


def previous_ready(endpoint: Endpoint) -> EndpointVersion | None:
    """The version that a rollback goes to where none is named."""
    wished = endpoint.wished
    earlier = (one for one in reversed(endpoint.versions[:-1]) if one.state is VersionState.READY)
    return next((one for one in earlier if one.spec != wished.spec or wished.given_up), None)


def decide_refresh(endpoint: Endpoint, version: int | None = None) -> Outcome:
    """What a refresh does: a new version equal to the wished one, so that every replica is replaced.

    `version` is what the caller takes for the wished one. Where that was refreshed already, nothing: asked twice, it is
    done once. Raises Conflict where another version is wished by now.
    """
    _check_stays(endpoint, "refresh")
    wished = endpoint.wished
    if version not in (None, wished.number):
        if wished.origin.cause is Cause.REFRESH and wished.origin.source == version:
            return _outcome(endpoint, Change.UP_TO_DATE, wished.number)
        raise Conflict(
            f"cannot refresh version {version} of endpoint {endpoint.name}: version {wished.number} is wished",
            "look at it, then ask again",
        )
    return _outcome(endpoint, Change.REFRESHING, wished.number + 1, wished.number)


def decide_steering(
    endpoint: Endpoint, change: Change, version: int | None = None, *, step: bool = False
) -> tuple[Outcome, Steering]:
    """What one of `STEERED` does to the rollout that is under way, and what is wished for it then.

    A promotion skips what is left of all steps, with `step` what is left of the present one. `version` is what the
    caller takes for the one on its way. Asked twice, it is done once; a promotion by a step counts from the step that
    the rollout is at. Raises Conflict where nothing is on its way in steps, or another version is.
    """
    verb = {Change.PAUSING: "pause", Change.RESUMING: "resume"}.get(change, "promote")
    _check_stays(endpoint, verb)
    wished = endpoint.wished
    if change is Change.PROMOTING and version == wished.number and wished.state is VersionState.READY:
        return _outcome(endpoint, Change.UP_TO_DATE, wished.number), wished.steering
    if not endpoint.is_staged:
        staged = ", ".join(sorted(STAGED))
        raise Conflict(
            f"cannot {verb} endpoint {endpoint.name}: no new version is on its way in steps",
            f"`update_strategy.type` of such a deploy is one of {staged}",
        )
    if version not in (None, wished.number):
        raise Conflict(
            f"cannot {verb} version {version} of endpoint {endpoint.name}: version {wished.number} is on its way",
            "look at it, then ask again",
        )
    steering = _steered(endpoint, change, step=step)
    if steering == wished.steering:
        change = Change.UP_TO_DATE
    return _outcome(endpoint, change, wished.number), steering


def _steered(endpoint: Endpoint, change: Change, *, step: bool) -> Steering:
    wished = endpoint.wished
    if change is Change.PROMOTING:
        to = wished.progress.step + 1 if step else len(stages_of(endpoint.strategy))
        return replace(wished.steering, promoted_to=max(wished.steering.promoted_to, to), paused=False)
    return replace(wished.steering, paused=change is Change.PAUSING)


def _check_stays(endpoint: Endpoint, verb: str) -> None:
    if endpoint.deleting:
        raise Conflict(
            f"cannot {verb} endpoint {endpoint.name}: it is being deleted", "deploy it again when it is gone"
        )
