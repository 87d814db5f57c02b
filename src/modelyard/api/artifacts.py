"""Files by their sha256, and trees of them: how code, data and models come into the yard."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.errors import InvalidValue
from modelyard.store.ports import TreeFile

DIGESTS_MAX = 20_000
"""Most digests that one question may name."""

FILES_MAX = 100_000
"""Most files of one tree."""


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    digests: Annotated[list[str], Field(max_length=DIGESTS_MAX)]


class File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    path: str
    sha256: str
    size_bytes: Annotated[int, Field(ge=0)]
    executable: bool = False


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    files: Annotated[list[File], Field(max_length=FILES_MAX)]


@dataclass(frozen=True, slots=True)
class MissingView:
    missing: list[str]


@dataclass(frozen=True, slots=True)
class ArtifactView:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TreeView:
    digest: str


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "artifacts")

    @router.post("/artifacts/missing")
    def ask_missing(question: Question) -> MissingView:
        """Which of these the yard does not have."""
        return MissingView(missing=yard.artifacts.missing(question.digests))

    @router.put("/artifacts/{sha256}", status_code=201)
    async def put_artifact(sha256: str, request: Request) -> ArtifactView:
        """Stores the body, of any size, if its sha256 is the path's."""
        try:
            size_bytes = await yard.artifacts.put(sha256, request.stream())
        except ClientDisconnect as error:
            raise InvalidValue(
                f"cannot store {sha256}: the connection closed before its end", "send it again"
            ) from error
        return ArtifactView(sha256=sha256, size_bytes=size_bytes)

    @router.post("/trees", status_code=201)
    def put_tree(tree: Tree) -> TreeView:
        """Names a set of files that are all in the yard."""
        files = [TreeFile(one.path, one.sha256, one.size_bytes, one.executable) for one in tree.files]
        return TreeView(digest=yard.artifacts.put_tree(files))

    return router
