"""What a yard is wished to have beside endpoints: alarms, sites, schedules. Each is a document with its versions.

A resource has no processes of its own that a rollout would have to look after: its newest version counts at once. What
a document of a kind means is decided in that kind's own module; here only who owns it and which version it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.domain.names import name_key
from modelyard.errors import Conflict, NotFound

VERSIONS_KEPT = 20
"""How many of a resource's newest versions are remembered."""

ANSWERS_AS_ENDPOINT = frozenset({"traffic_splitter"})
"""Kinds that answer at `/endpoints/NAME`, so that no endpoint may have the name of one."""


@dataclass(frozen=True, slots=True, order=True)
class ResourceName:
    kind: str
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """In which form two are compared: case does not tell names apart."""
        return self.kind, name_key(self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ResourceVersion:
    """One state that was wished. Numbers count up from 1 and are never used again."""

    number: int
    spec: dict[str, Any]
    created_at: float
    by: str | None = None
    """Who asked for it, as their client said; not proved by anything."""


@dataclass(frozen=True, slots=True)
class Resource:
    name: ResourceName
    project: str
    versions: tuple[ResourceVersion, ...]
    """Ascending; the last counts."""

    @property
    def wished(self) -> ResourceVersion:
        return self.versions[-1]

    def version(self, number: int) -> ResourceVersion:
        """Raises NotFound where it is not remembered."""
        for one in self.versions:
            if one.number == number:
                return one
        known = ", ".join(str(one.number) for one in self.versions)
        raise NotFound(f"cannot find version {number} of {self.name}", f"there are {known}")


def kept_versions(versions: Sequence[ResourceVersion]) -> tuple[ResourceVersion, ...]:
    """Of all versions, ascending, those to remember."""
    return tuple(versions[-VERSIONS_KEPT:])


def next_number(
    project: str,
    wanted: ResourceName,
    spec: Mapping[str, Any],
    found: Resource | None,
    last_number: int,
    endpoints: Collection[str],
) -> int | None:
    """The number of the version that a deploy of `spec` makes, None where it is up to date.

    `found` is what has the name now; `last_number` the last version of what had it before; `endpoints` the keys of all
    endpoints there are or will be. Raises Conflict where the name is another project's or an endpoint's.
    """
    if wanted.kind in ANSWERS_AS_ENDPOINT and name_key(wanted.name) in endpoints:
        raise Conflict(
            f"cannot deploy {wanted}: an endpoint has that name",
            f"`modelyard delete endpoint/{wanted.name}` first, or choose another name",
        )
    if found is None:
        return last_number + 1
    if found.project != project:
        raise Conflict(
            f"cannot deploy {wanted}: project {found.project} has one of that name",
            f"choose another name, or deploy with --project {found.project}",
        )
    return None if found.wished.spec == spec else found.wished.number + 1
