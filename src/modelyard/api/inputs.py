"""Inputs that the yard has already: objects of a data remote, and what an earlier run left, as trees for a new run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.artifacts import TreeView
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.domain.runs import Run
from modelyard.errors import Conflict, InvalidValue, NotFound
from modelyard.store.ports import TreeFile
from modelyard.store.remotes import DataRemotes
from modelyard.store.trees import PATH_BYTES_MAX, TREE_FILES_MAX

_FOLDERS = {"model": "model", "output": "output/data"}


class RemoteTree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    """What the file is called in the tree, where one file is meant."""
    within: Annotated[str, Field(max_length=PATH_BYTES_MAX)] = ""
    """The part of a folder that is meant; empty for all of it."""


class RunTree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    part: Literal["model", "output"]


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: str
    object: str


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "inputs")

    @router.post("/data/{remote}/trees", status_code=201)
    def make_tree_of_data(remote: str, wanted: RemoteTree) -> TreeView:
        """Names what a data remote has as a tree of files."""
        return TreeView(digest=tree_of_data(yard, remote, wanted))

    @router.post("/runs/{run_id}/trees", status_code=201)
    def make_tree_of_run(run_id: str, wanted: RunTree) -> TreeView:
        """Names what a run left as a tree of files."""
        return TreeView(digest=tree_of_run(yard, yard.store.runs.get(run_id), wanted.part))

    return router


def tree_of_data(yard: Yard, remote: str, wanted: RemoteTree) -> str:
    """Raises NotFound where the remote does not have every object."""
    remotes = DataRemotes(yard.home.data_remotes)
    files = _wanted_files(remotes, remote, wanted)
    if len(files) > TREE_FILES_MAX:
        raise InvalidValue(f"cannot use {len(files)} files as an input: at most {TREE_FILES_MAX}", "pack them together")
    places = [(one.path, remotes.path(remote, one.object)) for one in files]
    return yard.artifacts.put_tree([_stored(yard, path, place) for path, place in places])


def _wanted_files(remotes: DataRemotes, remote: str, wanted: RemoteTree) -> list[_Wanted]:
    if not wanted.md5.endswith(".dir"):
        return [_Wanted(wanted.name, wanted.md5)]
    listed = [_Wanted(one.path, one.md5) for one in remotes.folder(remote, wanted.md5)]
    if not wanted.within:
        return listed
    prefix = f"{wanted.within}/"
    found = [_Wanted(one.path.removeprefix(prefix), one.object) for one in listed if one.path.startswith(prefix)]
    found += [_Wanted(wanted.name, one.object) for one in listed if one.path == wanted.within]
    if not found:
        raise NotFound(f"cannot find {wanted.within} in the folder {wanted.md5} of data remote {remote}")
    return found


def _stored(yard: Yard, path: str, place: Path) -> TreeFile:
    """A file among the artifacts; one that is there already is only read."""
    with place.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if not yard.artifacts.has(sha256):
        yard.artifacts.put_file(place)
    return TreeFile(path, sha256, place.stat().st_size)


def tree_of_run(yard: Yard, run: Run, part: Literal["model", "output"]) -> str:
    """Raises Conflict where the run has not ended, NotFound where nothing is left of that part."""
    if not run.ended:
        raise Conflict(f"cannot use what run {run.id} leaves: it is {run.status.value}", "wait for its end")
    if part == "model" and run.spec.model is not None and run.model_version is not None:
        return yard.store.models.get(run.spec.model, run.model_version).tree
    folder = yard.home.runs / run.id / "ml" / _FOLDERS[part]
    if not folder.is_dir() or not any(one.is_file() for one in folder.rglob("*")):
        raise NotFound(
            f"cannot find the {part} of run {run.id}: there is none, or it is gone by now",
            "a run's folder is kept for a while only; a registered model is kept",
        )
    return yard.artifacts.put_folder(folder)
