"""The registry: models and their versions."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.models import Lineage, ModelVersion
from modelyard.domain.names import check_name
from modelyard.packaging.frameworks import HEAD_BYTES, loader_for
from modelyard.packaging.package import HEAD_READ_BYTES_MAX, detect_tree
from modelyard.store.ports import TreeFile


class Registration(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    project: str
    tree: str
    framework: str | None = None


@dataclass(frozen=True, slots=True)
class ModelView:
    model: str
    version: int
    reference: str
    tree: str
    size_bytes: int
    framework: str | None
    created_at: str
    project: str
    lineage: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelsView:
    models: list[ModelView]


@dataclass(frozen=True, slots=True)
class VersionsView:
    name: str
    versions: list[ModelView]


@dataclass(frozen=True, slots=True)
class DeletedView:
    deleted: int


def model_view(one: ModelVersion) -> ModelView:
    return ModelView(
        model=one.model,
        version=one.version,
        reference=one.reference,
        tree=one.tree,
        size_bytes=one.size_bytes,
        framework=one.framework,
        created_at=iso(one.created_at),
        project=one.project,
        lineage=asdict(one.lineage),
    )


def routes(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["models"])

    @router.get("/models")
    def list_models(project: str | None = None) -> ModelsView:
        """The newest version of each model, by name."""
        return ModelsView(models=[model_view(one) for one in yard.store.models.select(project)])

    @router.get("/models/{name}")
    def get_model(name: str) -> VersionsView:
        """Every version of a model, newest first."""
        versions = yard.store.models.versions(name)
        return VersionsView(name=versions[0].model, versions=[model_view(one) for one in versions])

    @router.post("/models/{name}/versions", status_code=201)
    def register_version(name: str, registration: Registration) -> ModelView:
        """Registers a tree of files that is in the yard as the next version."""
        return model_view(register(yard, name, registration))

    @router.delete("/models/{name}")
    def delete_model(name: str, version: Annotated[int | None, Query(ge=1)] = None) -> DeletedView:
        """Forgets a version, or all of them. Endpoints that serve them go on: their packages have the files."""
        deleted = yard.store.models.delete(name, version)
        sentence = f"deleted {name}:{version}" if version else f"deleted {name} with {deleted} versions"
        yard.store.events.add("model", name, sentence, yard.clock.now())
        return DeletedView(deleted=deleted)

    return router


def register(yard: Yard, name: str, registration: Registration) -> ModelVersion:
    """Raises InvalidValue for a name or a framework that cannot be, NotFound for a tree that is not there, Conflict
    where another project has the model."""
    check_name(name, "model name")
    check_name(registration.project, "project name")
    files = yard.artifacts.tree(registration.tree)
    now = yard.clock.now()
    version = yard.store.models.register(
        name,
        registration.project,
        registration.tree,
        sum(file.size_bytes for file in files),
        _framework(yard, files, registration.framework),
        Lineage(),
        now,
    )
    yard.store.events.add("model", version.model, f"registered {version.reference}", now)
    return version


def _framework(yard: Yard, files: list[TreeFile], stated: str | None) -> str | None:
    """The loader that these files want; what is stated must be one that can read them."""
    if stated is None:
        return detect_tree(yard.artifacts, files).framework
    by_path = {file.path: file for file in files}

    def head(path: str) -> bytes:
        small = by_path[path].size_bytes <= HEAD_READ_BYTES_MAX
        return yard.artifacts.read(by_path[path].sha256)[:HEAD_BYTES] if small else b""

    return loader_for(stated, by_path, head).framework
