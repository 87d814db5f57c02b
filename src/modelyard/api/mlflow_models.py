"""Versions as MLflow's clients load them: laid out where its server hands out artifacts."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.models import ModelReference, ModelVersion
from modelyard.errors import Conflict
from modelyard.packaging.mlflow_models import as_mlflow_model
from modelyard.packaging.package_file import PackedFile
from modelyard.store.ports import TreeFile


@dataclass(frozen=True, slots=True)
class LaidOutView:
    path: str
    """Below the artifacts of the tracking server."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "models")

    @router.post("/models/{name}/versions/{version}/mlflow", status_code=201)
    def lay_out(name: str, version: Annotated[int, PathParameter(ge=1)]) -> LaidOutView:
        """Lays a version out as an MLflow model, for the tracking server to hand out; once for each version."""
        found = yard.store.models.resolve(ModelReference(name, version=version))
        folder = yard.home.tracking_registry / found.model / str(found.version)
        _lay_out(yard, found, folder)
        return LaidOutView(path=folder.relative_to(yard.home.tracking_artifacts).as_posix())

    return router


def _lay_out(yard: Yard, version: ModelVersion, folder: Path) -> None:
    if folder.exists():
        return
    files = [
        PackedFile(one.path, one.sha256, one.size_bytes, one.executable) for one in yard.artifacts.tree(version.tree)
    ]
    words = {
        "reference": version.reference,
        "created": iso(version.created_at),
        "uuid": version.tree[:32],
        "python": platform.python_version(),
    }
    model = as_mlflow_model(yard.artifacts, files, words)
    tree = yard.artifacts.put_tree([TreeFile(one.path, one.sha256, one.size_bytes, one.executable) for one in model])
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        # Copies: whatever becomes of them there, the store's own files stay as they are.
        yard.artifacts.lay_out(tree, folder, share=False)
    except Conflict:
        # Somebody asked at the same time, and it is the same.
        return
