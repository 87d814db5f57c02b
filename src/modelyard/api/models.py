"""The registry: models, their versions, and what is said of a version: aliases, tags, the approval."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.lineage import ServedView, behind_alias, served_by, served_now
from modelyard.api.permissions import asked_by, check_role, current, guarded, sees
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Role
from modelyard.domain.endpoints import BY_LENGTH_MAX
from modelyard.domain.models import (
    NOTE_LENGTH_MAX,
    TAGS_MAX,
    Approval,
    ApprovalState,
    Lineage,
    ModelReference,
    ModelVersion,
)
from modelyard.domain.names import check_model_name, check_name
from modelyard.domain.tokens import run_behind
from modelyard.packaging.frameworks import HEAD_BYTES, loader_for
from modelyard.packaging.package import HEAD_READ_BYTES_MAX, detect_tree
from modelyard.store.ports import TreeFile


class Registration(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    project: str
    tree: str
    framework: str | None = None


By = Annotated[str | None, Field(max_length=BY_LENGTH_MAX)]


class Promotion(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1)]
    by: By = None


class Tags(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tags: Annotated[dict[str, str | None], Field(min_length=1, max_length=TAGS_MAX)]
    """Null takes a tag away."""


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["pending", "approved", "rejected"]
    by: By = None
    note: Annotated[str | None, Field(max_length=NOTE_LENGTH_MAX)] = None


@dataclass(frozen=True, slots=True)
class ApprovalView:
    state: str
    by: str | None
    at: str | None
    note: str | None


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
    aliases: list[str]
    tags: dict[str, str]
    approval: ApprovalView


@dataclass(frozen=True, slots=True)
class ModelVersionView(ModelView):
    """A version with its lineage in both directions: `lineage` is what made it."""

    serving: list[ServedView]
    """Endpoints that serve it now."""
    served: list[ServedView]
    """Every version of an endpoint that is remembered and has served it, the newest first."""
    children: list[str]
    """Versions whose training read this one."""


@dataclass(frozen=True, slots=True)
class AliasView:
    model: str
    alias: str
    version: int
    previous: int | None
    """The version that had it before."""
    behind: list[str]
    """Endpoints that were deployed by this alias and have another version."""


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
    return ModelView(**_fields(one))


def version_view(yard: Yard, one: ModelVersion) -> ModelVersionView:
    endpoints, statuses = yard.store.endpoints.select(), yard.store.endpoints.statuses()
    return ModelVersionView(
        **_fields(one),
        serving=served_now(one.reference, endpoints, statuses),
        served=served_by(one.reference, endpoints),
        children=yard.store.models.children(one.reference),
    )


def _fields(one: ModelVersion) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version,
        "reference": one.reference,
        "tree": one.tree,
        "size_bytes": one.size_bytes,
        "framework": one.framework,
        "created_at": iso(one.created_at),
        "project": one.project,
        "lineage": asdict(one.lineage),
        "aliases": list(one.aliases),
        "tags": one.tags,
        "approval": _approval_view(one.approval),
    }


def _approval_view(approval: Approval) -> ApprovalView:
    at = None if approval.at is None else iso(approval.at)
    return ApprovalView(state=approval.state.value, by=approval.by, at=at, note=approval.note)


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "models")

    @router.get("/models")
    def list_models(project: str | None = None) -> ModelsView:
        """The newest version of each model, by name."""
        found = [one for one in yard.store.models.select(project) if sees("model", one.model, one.project)]
        return ModelsView(models=[model_view(one) for one in found])

    @router.get("/models/{name}")
    def get_model(name: str) -> VersionsView:
        """Every version of a model, newest first."""
        versions = yard.store.models.versions(name)
        return VersionsView(name=versions[0].model, versions=[model_view(one) for one in versions])

    @router.post("/models/{name}/versions", status_code=201)
    def register_version(name: str, registration: Registration) -> ModelView:
        """Registers a tree of files that is in the yard as the next version."""
        run = run_behind(current())
        if run is not None:
            # A script does not know its project; its run does.
            registration.project = yard.store.runs.get(run).spec.project
        check_role(Role.DEPLOYER, registration.project, f"model/{name}", "register a model")
        return model_view(register(yard, name, registration, Lineage(run=run)))

    @router.get("/models/{name}/versions/{version}")
    def get_version(name: str, version: str) -> ModelVersionView:
        """One version, by its number or by an alias, with what made it and what serves it."""
        return version_view(yard, yard.store.models.resolve(_reference(name, version)))

    @router.put("/models/{name}/aliases/{alias}")
    def put_alias(name: str, alias: str, promotion: Promotion) -> AliasView:
        """Gives an alias to a version, taking it from the one that had it."""
        return promote(yard, name, alias, promotion)

    @router.delete("/models/{name}/aliases/{alias}")
    def delete_alias(name: str, alias: str) -> AliasView:
        """Takes an alias away. Endpoints that were deployed by it go on."""
        version = yard.store.models.delete_alias(name, alias)
        yard.store.events.add("model", name, f"alias {alias} taken from {name}:{version}", yard.clock.now())
        return AliasView(model=name, alias=alias, version=version, previous=version, behind=[])

    @router.post("/models/{name}/versions/{version}/tags")
    def put_tags(name: str, version: str, tags: Tags) -> ModelView:
        """Sets and takes away tags; the others stay."""
        found = yard.store.models.resolve(_reference(name, version))
        return model_view(yard.store.models.put_tags(found.model, found.version, tags.tags))

    @router.put("/models/{name}/versions/{version}/approval")
    def put_approval(name: str, version: str, decision: Decision) -> ModelView:
        """Decides about a version. Only deploys that require an approval look at it."""
        return model_view(decide(yard, name, version, decision))

    @router.delete("/models/{name}")
    def delete_model(name: str, version: Annotated[int | None, Query(ge=1)] = None) -> DeletedView:
        """Forgets a version, or all of them. Endpoints that serve them go on: their packages have the files."""
        deleted = yard.store.models.delete(name, version)
        sentence = f"deleted {name}:{version}" if version else f"deleted {name} with {deleted} versions"
        yard.store.events.add("model", name, sentence, yard.clock.now())
        return DeletedView(deleted=deleted)

    return router


def _reference(name: str, version: str) -> ModelReference:
    """`version` is a number or an alias."""
    if version.isascii() and version.isdigit():
        return ModelReference(name, version=int(version))
    return ModelReference(name, alias=version)


def promote(yard: Yard, name: str, alias: str, promotion: Promotion) -> AliasView:
    """A move is an event; giving an alias to the version that has it is none."""
    now = yard.clock.now()
    previous = yard.store.models.put_alias(name, alias, promotion.version, now, asked_by(asked_by(promotion.by)))
    found = yard.store.models.get(name, promotion.version)
    if previous != found.version:
        before = f", before {found.model}:{previous}" if previous else ""
        sentence = f"{found.model}@{alias} is {found.reference} now{before}{_by(asked_by(promotion.by))}"
        yard.store.events.add("model", found.model, sentence, now)
    behind = behind_alias(ModelReference(found.model, alias=alias), found.reference, yard.store.endpoints.select())
    return AliasView(model=found.model, alias=alias, version=found.version, previous=previous, behind=behind)


def decide(yard: Yard, name: str, version: str, decision: Decision) -> ModelVersion:
    found = yard.store.models.resolve(_reference(name, version))
    now = yard.clock.now()
    approval = Approval(ApprovalState(decision.state), asked_by(asked_by(decision.by)), now, decision.note)
    decided = yard.store.models.put_approval(found.model, found.version, approval)
    note = f": {decision.note}" if decision.note else ""
    yard.store.events.add(
        "model", found.model, f"{found.reference} {decision.state}{_by(asked_by(decision.by))}{note}", now
    )
    return decided


def _by(who: str | None) -> str:
    return f", by {who}" if who else ""


def register(yard: Yard, name: str, registration: Registration, lineage: Lineage | None = None) -> ModelVersion:
    """Raises InvalidValue for a name or a framework that cannot be, NotFound for a tree that is not there, Conflict
    where another project has the model."""
    check_model_name(name)
    check_name(registration.project, "project name")
    files = yard.artifacts.tree(registration.tree)
    now = yard.clock.now()
    version = yard.store.models.register(
        name,
        registration.project,
        registration.tree,
        sum(file.size_bytes for file in files),
        _framework(yard, files, registration.framework),
        lineage or Lineage(),
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
