"""Packages as files: built here without a yard, deployed from a file, taken out of a yard and into one."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelyard.domain.names import check_name, name_key
from modelyard.errors import Ambiguous, InvalidValue, NotFound
from modelyard.sdk.account import caller
from modelyard.sdk.connection import Connection
from modelyard.sdk.deployments import Deployment, local_model, open_endpoint, plan_deployment
from modelyard.sdk.labels import project_of
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.uploads import send_tree
from modelyard.sdk.views import PackageView

if TYPE_CHECKING:
    from modelyard.manifest.endpoints import EndpointResource
    from modelyard.packaging.package_file import Manifest

SUFFIX = ".myp"


@dataclass(frozen=True, slots=True)
class Built:
    """A package's file that was just written."""

    path: Path
    name: str | None
    digest: str
    file_count: int
    size_bytes: int


def build_file(what: Path, target: Path, *, name: str | None = None) -> Built:
    """Builds the package of one endpoint of a yard file, or of a model's file, without a yard.

    `name` says which endpoint where the file has several. Raises InvalidValue for a model of the registry, which only a
    yard has.
    """
    from modelyard.packaging.builds import build_archive  # noqa: PLC0415 (loaded when first needed)
    from modelyard.packaging.project import project_files  # noqa: PLC0415 (as above)

    is_model = what.is_file() and what.suffix.lower() not in (".yaml", ".yml")
    plan = plan_deployment(what, name if is_model else None)
    endpoint = _choose(plan.endpoints, None if is_model else name)
    if endpoint.model is not None and endpoint.model_path is None:
        raise InvalidValue(
            f"cannot build {endpoint.name} here: model {endpoint.model} is in a yard's registry",
            f"name a model's file; or deploy it, then `modelyard package export {endpoint.name}`",
        )
    with ExitStack() as unpacked:
        opened = open_endpoint(plan.folder, endpoint, unpacked)
        predictor = opened.resource.predictor
        model = local_model(plan.folder, opened.resource)
        project = (plan.folder, plan.yard_file) if opened.own_code is None else (opened.own_code, None)
        manifest = build_archive(
            target,
            name=endpoint.name,
            settings={key: value for key, value in endpoint.settings.items() if key not in ("environment", "secrets")},
            predictor=predictor,
            code=project_files(*project) if predictor is not None else None,
            model=model.files if model is not None else None,
            framework=model.framework if model is not None else None,
        )
    return _built(target, manifest)


def _built(target: Path, manifest: "Manifest") -> Built:
    return Built(target, manifest.name, manifest.digest, len(manifest.files), target.stat().st_size)


def _choose(endpoints: "tuple[EndpointResource, ...]", name: str | None) -> "EndpointResource":
    named = [one for one in endpoints if name is None or name_key(one.name) == name_key(name)]
    known = ", ".join(one.name for one in endpoints)
    if not named:
        raise NotFound(f"cannot find endpoint {name!r} in the yard file", f"there are {known}")
    if len(named) > 1:
        raise Ambiguous("cannot tell which endpoint is meant", f"say --name; there are {known}")
    return named[0]


def deploy_archive(
    connection: Connection, place: Path, *, project: str | None, name: str | None, progress: Progress = no_progress
) -> Deployment:
    """Deploys the endpoint of a package's file. Raises InvalidValue where the file is not whole."""
    with _sent(connection, place, progress) as manifest:
        label = name or manifest.name
        if label is None:
            raise InvalidValue(f"cannot deploy {place}: it does not name its endpoint", "say --name")
        project = check_name(project, "project name") if project else project_of(Path.cwd())
        resource = {
            "kind": "endpoint",
            "name": check_name(label, "endpoint name"),
            "package": manifest.digest,
            "spec": manifest.settings,
        }
        answer = connection.post("/deployments", {"project": project, "by": caller(), "resources": [resource]})
    return Deployment(project, list(answer["outcomes"]))


def import_archive(connection: Connection, place: Path, progress: Progress = no_progress) -> PackageView:
    """Takes the package of a file into the yard; an endpoint is not made of it."""
    with _sent(connection, place, progress) as manifest:
        return connection.post("/packages", {"tree": manifest.digest})


def export_archive(connection: Connection, reference: str, target: Path) -> Built:
    """Writes the package of an endpoint (`NAME`, `NAME:VERSION`) or a digest to a file, and checks what came."""
    from modelyard.packaging.package_file import read_manifest  # noqa: PLC0415 (loaded when first needed)

    coming = target.with_name(f".{target.name}.coming")
    try:
        connection.fetch(f"/packages/{quote(reference, safe='')}/archive", coming)
        check_archive(coming)
        coming.replace(target)
    finally:
        coming.unlink(missing_ok=True)
    return _built(target, read_manifest(target))


def check_archive(place: Path) -> None:
    """Raises InvalidValue, naming what differs, where a package's file is not whole."""
    differences = verify_file(place)
    if differences:
        raise InvalidValue(f"cannot use {place}: it is damaged: {'; '.join(differences[:20])}", "export it again")


def verify_file(place: Path) -> list[str]:
    """A sentence for each file of a package's file that is not what its manifest says."""
    from modelyard.packaging.package_file import verify_archive  # noqa: PLC0415 (loaded when first needed)

    return verify_archive(place)


def inspect_file(place: Path) -> dict[str, Any]:
    """What a package's file says about itself."""
    from dataclasses import asdict  # noqa: PLC0415 (loaded when first needed)

    from modelyard.packaging.package_file import read_manifest  # noqa: PLC0415 (as above)

    return asdict(read_manifest(place))


def write_image(place: Path, folder: Path) -> None:
    """Writes the folder from which an image can be built that serves the package of a file."""
    from modelyard.packaging.environments import read_laid_out  # noqa: PLC0415 (as above)
    from modelyard.packaging.images import write_context  # noqa: PLC0415 (as above)
    from modelyard.packaging.package_file import extract_archive  # noqa: PLC0415 (loaded when first needed)

    with tempfile.TemporaryDirectory(prefix="modelyard-image-") as temporary:
        inside = Path(temporary) / "package"
        inside.mkdir()
        extract_archive(place, inside)
        package, lock = read_laid_out(inside)
        own = ".".join(str(part) for part in sys.version_info[:2])
        version = package.environment.python if package.environment is not None else None
        write_context(folder, package, version if version and version[0].isdigit() else own, lock)


@contextmanager
def _sent(connection: Connection, place: Path, progress: Progress) -> "Generator[Manifest]":
    """Sends what the yard does not have of a package's file; its digest in the yard is then that of the file."""
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (as above)
    from modelyard.packaging.package_file import extract_archive  # noqa: PLC0415 (loaded when first needed)

    with tempfile.TemporaryDirectory(prefix="modelyard-package-") as temporary:
        manifest = extract_archive(place, Path(temporary))
        digest = send_tree(connection, list_files(Path(temporary)), progress)
        if digest != manifest.digest:
            raise InvalidValue(f"cannot use {place}: the yard knows its files as {digest}, not {manifest.digest}")
        yield manifest
