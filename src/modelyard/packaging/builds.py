"""A package built on this machine without a yard, its requirements resolved by uv."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard_worker.packages import read_package

from modelyard.packaging.environments import folder_of, resolve
from modelyard.packaging.files import LocalFile
from modelyard.packaging.installer import Installer
from modelyard.packaging.package import build_package, with_lock
from modelyard.packaging.package_file import Manifest, packed_files, write_archive
from modelyard.packaging.workbench import Workbench


def build_archive(
    target: Path,
    *,
    name: str,
    settings: Mapping[str, Any],
    predictor: Mapping[str, Any] | None,
    code: Sequence[LocalFile] | None,
    model: Sequence[LocalFile] | None,
    framework: str | None,
) -> Manifest:
    """Writes the package of one endpoint to `target`; the same files give the same bytes.

    Raises InvalidValue, NotFound as `build_package` does, StartFailed with uv's words where the requirements cannot be
    resolved.
    """
    bench = Workbench()
    digest = build_package(
        bench,
        predictor=predictor,
        code_tree=bench.take(code) if code is not None else None,
        model_tree=bench.take(model) if model is not None else None,
        framework=framework,
    )
    resolved = _resolve(bench, digest)
    if resolved is not None:
        digest = with_lock(bench, digest, *resolved)
    manifest = Manifest(digest, packed_files(bench.tree(digest)), name, dict(settings))
    write_archive(target, manifest, bench)
    return manifest


def _resolve(bench: Workbench, digest: str) -> tuple[str, str] | None:
    """What the package requires as a lock, and the Python it is for; None where it runs in the yard's own."""
    with tempfile.TemporaryDirectory(prefix="modelyard-build-") as temporary:
        folder = Path(temporary) / "package"
        bench.lay_out(digest, folder)
        package = read_package(str(folder))
        spec = package.environment
        if spec is None:
            return None
        log = Path(temporary) / "uv.log"
        log.touch()
        installer = Installer(Path(temporary) / "cache")

        async def lock() -> tuple[str, str]:
            place = folder_of(package)
            interpreter = await installer.find_python(spec.python, log, place)
            found = await resolve(installer, spec.kind, place, interpreter.path, log) if spec.kind else ""
            return found, interpreter.version

        return asyncio.run(lock())
