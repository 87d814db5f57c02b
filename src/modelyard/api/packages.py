"""Packages: what endpoints run, as it lies in the yard; checked, handed out as files, taken in."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from modelyard.api.audit import about
from modelyard.api.deployments import Spec
from modelyard.api.permissions import guarded
from modelyard.api.scaling import AutoscalingWish
from modelyard.api.yard import Yard
from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.endpoints import Endpoint, EndpointSpec
from modelyard.domain.names import name_key
from modelyard.errors import ModelyardError, NotFound
from modelyard.packaging.environments import FOLDER, Asked, Environments, read_laid_out
from modelyard.packaging.package import read_document, with_lock
from modelyard.packaging.package_file import FolderContents, Manifest, packed_files, write_archive
from modelyard.store.disk import disk

CHUNK_BYTES = 2**20
_DIGEST_LENGTH = 64


class Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tree: str


@dataclass(frozen=True, slots=True)
class FileView:
    path: str
    sha256: str
    size_bytes: int
    executable: bool


@dataclass(frozen=True, slots=True)
class PackageView:
    digest: str
    endpoints: list[str]
    """`NAME:VERSION` of those that have it."""
    size_bytes: int
    file_count: int
    document: dict[str, Any]
    """Its `package.json`."""
    python_version: str | None
    """Of the environment that it got; None in the yard's own, or where it was not built yet."""
    locked: bool
    """Whether what it requires is resolved: in the package itself, or remembered by the yard."""


@dataclass(frozen=True, slots=True)
class InspectedView:
    package: PackageView
    files: list[FileView]
    lock: str | None


@dataclass(frozen=True, slots=True)
class PackagesView:
    packages: list[PackageView]


@dataclass(frozen=True, slots=True)
class VerifiedView:
    digest: str
    differences: list[str]
    """A sentence for each file that is not what it should be; empty where all are."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "packages")

    @router.get("/packages")
    def list_packages() -> PackagesView:
        """Those that versions of endpoints have, and those that were taken in and not deployed yet."""
        users = _users(yard)
        laid_out = {one.name for one in yard.home.packages.iterdir() if len(one.name) == _DIGEST_LENGTH}
        imported = {one.name for one in yard.home.imports.iterdir() if len(one.name) == _DIGEST_LENGTH}
        views: list[PackageView] = []
        for digest in sorted(laid_out | imported | set(users)):
            try:
                views.append(package_view(yard, digest, users.get(digest, [])))
            except ModelyardError:
                continue  # its files are gone; nothing can be said of it
        return PackagesView(packages=views)

    @router.post("/packages", status_code=201)
    def take_package(taken: Taken) -> PackageView:
        """Takes in a package whose files are all in the yard; harmless where it is there."""
        read_document(yard.artifacts, taken.tree)
        about(f"package/{taken.tree}")
        with disk("write", yard.home.imports):
            (yard.home.imports / taken.tree).touch()
        _lay_out(yard, taken.tree)
        return package_view(yard, taken.tree, _users(yard).get(taken.tree, []))

    @router.get("/packages/{reference}")
    def inspect_package(reference: str) -> InspectedView:
        """Everything about one package: `reference` is its digest, `NAME` or `NAME:VERSION` of an endpoint."""
        digest = _digest_of(yard, reference)
        view = package_view(yard, digest, _users(yard).get(digest, []))
        files = [
            FileView(path=one.path, sha256=one.sha256, size_bytes=one.size_bytes, executable=one.executable)
            for one in yard.artifacts.tree(digest)
        ]
        asked = _asked(yard, digest)
        return InspectedView(package=view, files=files, lock=asked.lock if asked is not None else None)

    @router.get("/packages/{reference}/verify")
    def verify_package(reference: str) -> VerifiedView:
        """Reads every file of a package again, in the store and where it is laid out, and names what differs."""
        digest = _digest_of(yard, reference)
        return VerifiedView(digest=digest, differences=list(_differences(yard, digest)))

    @router.get("/packages/{reference}/archive", response_class=FileResponse)
    def hand_out_package(reference: str) -> FileResponse:
        """The package as one file, with its requirements resolved where that was done here."""
        digest = _digest_of(yard, reference)
        spec, name = _spec_of(yard, digest, reference)
        asked = _asked(yard, digest)
        locked = digest
        if asked is not None and not _brings_lock(read_document(yard.artifacts, digest)):
            locked = with_lock(yard.artifacts, digest, asked.lock, asked.python_version)
        folder = _lay_out(yard, locked)
        target = yard.home.spool / f"{secrets.token_hex(8)}.myp"
        manifest = Manifest(locked, packed_files(yard.artifacts.tree(locked)), name, _settings(spec))
        write_archive(target, manifest, FolderContents(folder))
        return FileResponse(
            target, media_type="application/x-tar", background=BackgroundTask(target.unlink, missing_ok=True)
        )

    return router


def package_view(yard: Yard, digest: str, endpoints: list[str]) -> PackageView:
    """Raises NotFound, InvalidValue where there is no such package."""
    files = yard.artifacts.tree(digest)
    document = read_document(yard.artifacts, digest)
    asked = _asked(yard, digest) if document.get("environment") else None
    return PackageView(
        digest=digest,
        endpoints=endpoints,
        size_bytes=sum(one.size_bytes for one in files),
        file_count=len(files),
        document=document,
        python_version=asked.python_version if asked is not None else None,
        locked=asked is not None or _brings_lock(document),
    )


def _brings_lock(document: dict[str, Any]) -> bool:
    environment: dict[str, Any] = document.get("environment") or {}
    return bool(environment.get("lock"))


def _users(yard: Yard) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for endpoint in yard.store.endpoints.select():
        for version in endpoint.versions:
            users.setdefault(version.spec.package, []).append(f"{endpoint.name}:{version.number}")
    return users


def _digest_of(yard: Yard, reference: str) -> str:
    """Raises NotFound for what is neither a package nor an endpoint's version."""
    if len(reference) == _DIGEST_LENGTH:
        read_document(yard.artifacts, reference)
        return reference
    endpoint, number = _version_of(yard, reference)
    version = endpoint.wished if number is None else endpoint.version(number)
    if version is None:
        known = ", ".join(str(one.number) for one in endpoint.versions)
        raise NotFound(f"cannot find version {number} of endpoint {endpoint.name}", f"versions are {known}")
    return version.spec.package


def _version_of(yard: Yard, reference: str) -> tuple[Endpoint, int | None]:
    name, _colon, number = reference.partition(":")
    return yard.store.endpoints.get(name), int(number) if number.isascii() and number.isdigit() else None


def _spec_of(yard: Yard, digest: str, reference: str) -> tuple[EndpointSpec | None, str | None]:
    """What an endpoint's newest version with that package is set to, and what it is called; `reference`'s first."""
    wanted = name_key(reference.partition(":")[0])
    endpoints = sorted(yard.store.endpoints.select(), key=lambda one: name_key(one.name) != wanted)
    for endpoint in endpoints:
        for version in reversed(endpoint.versions):
            if version.spec.package == digest:
                return version.spec, endpoint.name
    return None, None


def _settings(spec: EndpointSpec | None) -> dict[str, Any]:
    """Fields of a deployment's `spec` that differ from their defaults. Variables and secrets stay here: they are the
    place's own, and may be secret."""
    if spec is None:
        return {}
    names = set(Spec.model_fields) - {"environment", "secrets", "replicas", "autoscaling"}
    settings = _differing(spec, EndpointSpec(package=spec.package), names)
    if spec.autoscaling is None:
        return {**settings, "replicas": spec.replicas}
    scaling = _differing(spec.autoscaling, Autoscaling(), set(AutoscalingWish.model_fields))
    return {**settings, **({"autoscaling": scaling} if scaling else {})}


def _differing(found: Any, plain: Any, names: set[str]) -> dict[str, Any]:
    return {name: getattr(found, name) for name in sorted(names) if getattr(found, name) != getattr(plain, name)}


def _environments(yard: Yard) -> Environments:
    return Environments(yard.home.root / FOLDER)


def _asked(yard: Yard, digest: str) -> Asked | None:
    """What the package's requirements were resolved to here; None where they were not, or where it has none."""
    package, _lock = read_laid_out(_lay_out(yard, digest))
    return _environments(yard).asked(package) if package.environment is not None else None


def _lay_out(yard: Yard, digest: str) -> Path:
    folder = yard.home.packages / digest
    if not folder.exists():
        yard.artifacts.lay_out(digest, folder, share=True)
    return folder


def _differences(yard: Yard, digest: str) -> Iterator[str]:
    folder = yard.home.packages / digest
    for file in yard.artifacts.tree(digest):
        try:
            stored = hashlib.sha256(yard.artifacts.read(file.sha256)).hexdigest()
        except NotFound:
            yield f"{file.path} is not in the store any more"
            continue
        if stored != file.sha256:
            yield f"{file.path} has other content in the store"
        if folder.exists() and _sha256(folder / file.path) != file.sha256:
            yield f"{file.path} has other content where it is laid out"


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
