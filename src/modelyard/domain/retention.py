"""What of a yard's disk nothing needs any more. Decided from what was found, the limits, and the time; done elsewhere.

An artifact stays as long as anything refers to it: a version of a model with its lineage, a version of an endpoint that
is remembered, a run that has not ended, a package that was imported within `imports_kept_seconds`. What was written or
asked for within `artifacts_kept_seconds` stays too: an upload may be about to refer to it. Copies of what the store
has, inputs of runs and packages laid out, go sooner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from modelyard.settings import CareSettings


class Kind(StrEnum):
    RUN_INPUTS = "run inputs"  # copies of inputs and code in the folder of a run that has ended
    RUN = "run folder"  # the rest of that folder, and what the run printed
    TRANSFORM = "transform folder"  # of a transform that has ended, and what it printed; its output is elsewhere
    IMPORT = "import"  # that a package was imported, which has kept its files
    PACKAGE = "package"  # a package laid out for running
    ARTIFACT = "artifact"  # a file in the store
    EVENTS = "events"  # old sentences


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What lies on the disk of a run, or of a transform, that has ended."""

    run: str
    ended_at: float
    inputs_bytes: int
    rest_bytes: int
    kind: Literal[Kind.RUN, Kind.TRANSFORM] = Kind.RUN


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A package laid out for running."""

    digest: str
    size_bytes: int
    """What is not shared with the store."""
    made_at: float


@dataclass(frozen=True, slots=True)
class Import:
    """A package that was imported."""

    digest: str
    imported_at: float


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    sha256: str
    size_bytes: int
    touched_at: float
    """When it was last written, or asked for by somebody who may refer to it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, and what of it is needed."""

    runs: tuple[RunFolder, ...] = ()
    packages: tuple[LaidOut, ...] = ()
    imports: tuple[Import, ...] = ()
    artifacts: tuple[StoredArtifact, ...] = ()
    needed: frozenset[str] = frozenset()
    """Digests of every artifact that something refers to, and of every package that has replicas."""
    old_events: int = 0
    """How many events are older than they are kept."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """One thing that can go."""

    kind: Kind
    name: str
    size_bytes: int
    reason: str


def decide_retention(found: Found, care: CareSettings, now: float) -> list[Surplus]:
    """What can go, in the order in which it should."""
    surplus = [*_runs(found.runs, care, now), *_imports(found, care, now)]
    surplus += [*_packages(found, care, now), *_artifacts(found, care, now)]
    if found.old_events:
        reason = f"older than {_days(care.events_kept_seconds)}"
        surplus.append(Surplus(Kind.EVENTS, f"{found.old_events} events", 0, reason))
    return surplus


def _runs(runs: Iterable[RunFolder], care: CareSettings, now: float) -> list[Surplus]:
    """Inputs by age; whole folders by age, and those that ended first beyond the bytes of all."""
    surplus: list[Surplus] = []
    left_bytes = care.run_folders_bytes_max
    for one in sorted(runs, key=lambda one: (one.ended_at, one.run), reverse=True):
        age = now - one.ended_at
        inputs = one.inputs_bytes if age <= care.run_inputs_kept_seconds else 0
        left_bytes -= inputs + one.rest_bytes
        too_old = age > care.run_folders_kept_seconds
        if too_old or left_bytes < 0:
            reason = (
                f"ended more than {_days(care.run_folders_kept_seconds)} ago"
                if too_old
                else "runs and transforms have too much"
            )
            surplus.append(Surplus(one.kind, one.run, one.inputs_bytes + one.rest_bytes, reason))
        elif one.inputs_bytes and not inputs:
            reason = f"ended more than {_days(care.run_inputs_kept_seconds)} ago"
            surplus.append(Surplus(Kind.RUN_INPUTS, one.run, one.inputs_bytes, reason))
    return surplus


def is_kept(one: Import, care: CareSettings, now: float) -> bool:
    """Whether an imported package's files stay although no endpoint has it."""
    return now - one.imported_at <= care.imports_kept_seconds


def _imports(found: Found, care: CareSettings, now: float) -> list[Surplus]:
    reason = f"imported more than {_days(care.imports_kept_seconds)} ago"
    return [Surplus(Kind.IMPORT, one.digest, 0, reason) for one in found.imports if not is_kept(one, care, now)]


def _packages(found: Found, care: CareSettings, now: float) -> list[Surplus]:
    return [
        Surplus(Kind.PACKAGE, one.digest, one.size_bytes, "no endpoint has it")
        for one in found.packages
        if one.digest not in found.needed and now - one.made_at > care.packages_kept_seconds
    ]


def _artifacts(found: Found, care: CareSettings, now: float) -> list[Surplus]:
    return [
        Surplus(Kind.ARTIFACT, one.sha256, one.size_bytes, "nothing refers to it")
        for one in found.artifacts
        if one.sha256 not in found.needed and now - one.touched_at > care.artifacts_kept_seconds
    ]


def _days(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds / size
            return f"{count:g} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"
