"""A deploy: several resources of one project, applied together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelyard.domain.endpoints import Endpoint, EndpointSpec, VersionState
from modelyard.domain.names import check_name, name_key
from modelyard.errors import Conflict, InvalidValue


class Change(StrEnum):
    """Cortex's words (cortex.md 6.5)."""

    CREATING = "creating"
    UPDATING = "updating"
    UP_TO_DATE = "is up to date"


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    name: str
    change: Change
    version: int | None = None

    @property
    def sentence(self) -> str:
        """`creating price (endpoint)`, `price (endpoint) is up to date`."""
        if self.change is Change.UP_TO_DATE:
            return f"{self.name} ({self.kind}) is up to date"
        return f"{self.change.value} {self.name} ({self.kind})"


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
