"""Models: a name with immutable versions, each with its lineage; and what people say of a version later.

Files and lineage never change. Aliases, tags and the approval may: an alias names one version of its model at a time
and moves, tags are free text, the approval is somebody's decision.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modelyard.domain.names import check_model_name, nearest
from modelyard.errors import Conflict, InvalidValue, NotFound

VERSIONS_NAMED_MAX = 10
"""How many versions a refusal lists at most."""

ALIASES_MAX = 50
"""Aliases of one model."""

TAGS_MAX = 100
"""Tags of one version."""

TAG_NAME_LENGTH_MAX = 250
TAG_VALUE_LENGTH_MAX = 5000
"""Characters; MLflow's limits, so that its clients' tags fit."""

NOTE_LENGTH_MAX = 1000
"""Characters that a decision's note may have."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a model version came from. What is not known is empty."""

    run: str | None = None
    """The training run that made it; None where a file was registered by hand."""
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> sha256 of the tree that was read."""
    hyperparameters: dict[str, str] = field(default_factory=dict[str, str])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    """Last value of each metric."""
    code_digest: str | None = None
    """sha256 of the tree of code, or `builtin:NAME@VERSION`."""
    git_commit: str | None = None
    """Commit of the user's work tree, with `+changes` where it was not clean."""
    sources: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> where its input was taken from, as the training named it, where that was no plain path."""
    parents: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> model version (`price:2`) that was read there."""


class ApprovalState(StrEnum):
    PENDING = "pending"  # nobody has decided yet
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Approval:
    """The last decision about a version."""

    state: ApprovalState = ApprovalState.PENDING
    by: str | None = None
    """Who decided, as their client said; not proved by anything."""
    at: float | None = None
    """Seconds since the epoch; None while nobody has."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One immutable version. `tree` is the digest of its files in the artifact store."""

    model: str
    version: int
    tree: str
    size_bytes: int
    framework: str | None
    """Loader's name (`xgboost`, `sklearn`), or None where it needs a predictor."""
    created_at: float
    project: str
    lineage: Lineage = field(default_factory=Lineage)
    aliases: tuple[str, ...] = ()
    """By name; each names this version and no other of the model."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    approval: Approval = Approval()

    @property
    def reference(self) -> str:
        return f"{self.model}:{self.version}"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`price` (newest), `price:3`, `price@champion`. At most one of version and alias is given."""

    model: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.model}@{self.alias}"
        return self.model if self.version is None else f"{self.model}:{self.version}"


def parse_model_reference(text: str) -> ModelReference:
    """Reads `NAME`, `NAME:VERSION` or `NAME@ALIAS`. Raises InvalidValue."""
    match = re.fullmatch(r"([^:@]+)(?::([1-9]\d{0,8})|@([^:@]+))?", text)
    if not match:
        raise InvalidValue(
            f"cannot read {text[:160]!r} as a model", "write NAME for the newest version, NAME:VERSION or NAME@ALIAS"
        )
    version = int(match[2]) if match[2] else None
    alias = check_alias(match[3]) if match[3] else None
    return ModelReference(check_model_name(match[1]), version, alias)


_ALIAS = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_ALIAS_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
_TAG_NAME = re.compile(rf"[A-Za-z0-9_](?:[A-Za-z0-9_./ -]{{0,{TAG_NAME_LENGTH_MAX - 2}}}[A-Za-z0-9_])?")


def check_alias(alias: str) -> str:
    """Returns a name that an alias may have. Raises InvalidValue; words that mean a version by number are refused."""
    if _ALIAS_RESERVED.fullmatch(alias):
        raise InvalidValue(
            f"cannot use alias {alias!r}: it reads like a version",
            "NAME alone is the newest version, NAME:3 the third; call an alias after its role, such as champion",
        )
    if not _ALIAS.fullmatch(alias):
        raise InvalidValue(
            f"cannot use alias {alias[:80]!r}",
            "use letters, digits, - and _, at most 63, beginning with a letter and not ending with - or _",
        )
    return alias


def check_alias_count(model: str, there: int) -> None:
    """Refuses one alias more than a model may have."""
    if there >= ALIASES_MAX:
        raise Conflict(
            f"cannot add an alias to model {model}: it has {ALIASES_MAX} already", "remove one that is not used"
        )


def alias_not_found(model: str, alias: str, there: Sequence[str]) -> NotFound:
    """The refusal for an alias that a model does not have; `there` are those that it has."""
    close = nearest(alias, there)
    listed = f"there are {', '.join(there)}" if there else f"`modelyard promote {model} {alias}` gives it to a version"
    return NotFound(f"cannot find alias {alias!r} of model {model!r}", f"did you mean {close}?" if close else listed)


def merged_tags(version: str, present: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Tags after a change, by name; None takes a tag away. Raises InvalidValue for a bad name or value, or too many."""
    for name, value in changes.items():
        if not _TAG_NAME.fullmatch(name):
            raise InvalidValue(
                f"cannot tag {version} with {name[:80]!r}",
                f"use letters, digits and _ . / -, at most {TAG_NAME_LENGTH_MAX}, for a tag's name",
            )
        if value is not None and (len(value) > TAG_VALUE_LENGTH_MAX or "\0" in value):
            raise InvalidValue(
                f"cannot tag {version} with {name}: the value has more than {TAG_VALUE_LENGTH_MAX} characters, or a NUL"
            )
    merged = {name: value for name, value in {**present, **changes}.items() if value is not None}
    if len(merged) > TAGS_MAX:
        raise InvalidValue(f"cannot tag {version}: it would have more than {TAGS_MAX} tags", "remove some first")
    return dict(sorted(merged.items()))


def check_approved(version: ModelVersion) -> None:
    """Refuses to deploy a version that nobody has approved, where approval is required."""
    approval = version.approval
    if approval.state is ApprovalState.APPROVED:
        return
    by = f" by {approval.by}" if approval.by else ""
    why = "it is waiting for approval" if approval.state is ApprovalState.PENDING else f"it was rejected{by}"
    note = f" ({approval.note})" if approval.note else ""
    raise Conflict(
        f"cannot deploy {version.reference}, which has to be approved: {why}{note}",
        f"`modelyard models approve {version.reference}` approves it; or deploy a version that is approved",
    )


def approval_from(document: Mapping[str, Any] | None) -> Approval:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added; pending where there is none."""
    if not document:
        return Approval()
    state = ApprovalState(document.get("state", ApprovalState.PENDING))
    return Approval(state, document.get("by"), document.get("at"), document.get("note"))


def lineage_from(document: dict[str, Any]) -> Lineage:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Lineage(**{key: document[key] for key in Lineage.__dataclass_fields__ if key in document})


def check_owner(model: str, owner: str, project: str) -> None:
    """Refuses that a project adds to a model of another's."""
    if owner != project:
        raise Conflict(
            f"cannot register a version of model {model}: it belongs to project {owner}",
            f"choose another name, or register with --project {owner}",
        )


def version_not_found(model: str, version: int | None, there: Sequence[int]) -> NotFound:
    """The refusal for a version that a model does not have; `there` are those that it has, newest first."""
    listed = ", ".join(str(number) for number in there[:VERSIONS_NAMED_MAX])
    more = ", ..." if len(there) > VERSIONS_NAMED_MAX else ""
    return NotFound(f"cannot find version {version} of model {model!r}", f"there are {listed}{more}")
