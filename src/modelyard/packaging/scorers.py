"""What scores rows: a registered model, a model's files, a predictor, as one package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.domain.models import ModelReference, ModelVersion, parse_model_reference
from modelyard.errors import InvalidValue
from modelyard.packaging.package import Artifacts, FileT, build_package


@dataclass(frozen=True, slots=True)
class ScorerSource:
    """What it is made of: at most one of `reference` and `tree`, and at least one of them or a predictor."""

    reference: str | None = None
    """`price`, `price:3`, `price@champion`: which version that is, is asked when the package is made."""
    tree: str | None = None
    framework: str | None = None
    predictor: Mapping[str, Any] | None = None
    code: str | None = None


def build_scorer(
    artifacts: Artifacts[FileT], source: ScorerSource, resolve: Callable[[ModelReference], ModelVersion]
) -> tuple[str, str | None]:
    """The package's digest, and the model's version `price:3` where it has a name. Raises InvalidValue, NotFound."""
    if source.predictor is not None and source.code is None:
        raise InvalidValue("cannot transform: a predictor needs `code`", "send the tree that has it")
    found = resolve(parse_model_reference(source.reference)) if source.reference is not None else None
    package = build_package(
        artifacts,
        predictor=source.predictor,
        code_tree=source.code,
        model_tree=found.tree if found is not None else source.tree,
        model_name=found.model if found is not None else None,
        model_version=found.version if found is not None else None,
        framework=source.framework or (found.framework if found is not None else None),
    )
    return package, f"{found.model}:{found.version}" if found is not None else None
