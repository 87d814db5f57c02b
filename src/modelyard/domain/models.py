"""Models: a name with immutable versions, each with its lineage."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.domain.names import check_name
from modelyard.errors import Conflict, InvalidValue, NotFound

VERSIONS_NAMED_MAX = 10
"""How many versions a refusal lists at most."""


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

    @property
    def reference(self) -> str:
        return f"{self.model}:{self.version}"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`price` (newest), `price:3`."""

    model: str
    version: int | None = None


def parse_model_reference(text: str) -> ModelReference:
    """Reads `NAME` or `NAME:VERSION`. Aliases (`NAME@ALIAS`) are refused until the registry has them."""
    match = re.fullmatch(r"([^:@]+)(?::([1-9]\d{0,8}))?", text)
    if not match:
        raise InvalidValue(f"cannot read {text!r} as a model", "write NAME for the newest version or NAME:VERSION")
    return ModelReference(check_name(match[1], "model name"), int(match[2]) if match[2] else None)


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
