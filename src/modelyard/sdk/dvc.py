"""What DVC tracks in the user's project, as an input: `dvc:data/train.csv@v1`.

DVC itself is not needed where its data is in the yard, or in the project's cache: the file beside the data names the
MD5, and objects are found by it. Everything else (another remote) is left to `dvc get`, where DVC is installed.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelyard.domain.sources import DvcSource
from modelyard.errors import NotFound
from modelyard.protocol.routes import DVC
from modelyard.sdk.connection import Connection
from modelyard.sdk.progress import Progress
from modelyard.sdk.uploads import send_tree

if TYPE_CHECKING:
    from modelyard.manifest.dvc_files import DvcConfig
    from modelyard.packaging.files import LocalFile

GIT_SECONDS_MAX = 30.0
GET_SECONDS_MAX = 6 * 3600.0
"""How long `dvc get` may take; it may have to bring a lot from far away."""

SAID_LENGTH_MAX = 300
"""Characters of a failed command's last line that are shown."""

_REMOTE_PATH = re.compile(rf"{DVC}/([A-Za-z0-9-]{{1,63}})/?")


@dataclass(frozen=True, slots=True)
class _Tracked:
    """A tracked file or folder, or what is meant within a tracked folder."""

    md5: str
    name: str
    within: str
    """Path below the tracked folder; empty for all of it."""


def send_tracked(connection: Connection, source: DvcSource, folder: Path, progress: Progress) -> str:
    """Digest of the tree in the yard. Raises NotFound where nothing tracks the path, or its data is nowhere."""
    root = _project_root(folder)
    inner = _inner_path(root, folder, source)
    tracked = _find_tracked(root, inner, source)
    config = _read_config(root)
    digest = _from_yard(connection, config, tracked)
    if digest is not None:
        return digest
    files = _from_cache(root, config, tracked)
    if files is not None:
        return send_tree(connection, files, progress)
    return _send_what_dvc_gets(connection, root, inner, source, progress)


def _project_root(folder: Path) -> Path:
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / ".dvc").is_dir():
            return place
    raise NotFound(f"cannot find a project of DVC around {folder}", "`dvc init` makes one")


def _inner_path(root: Path, folder: Path, source: DvcSource) -> PurePosixPath:
    return PurePosixPath((folder.resolve() / source.path).relative_to(root).as_posix())


def _find_tracked(root: Path, inner: PurePosixPath, source: DvcSource) -> _Tracked:
    """Looks beside the path and, because a folder may be tracked as a whole, beside each folder that it is in."""
    from modelyard.manifest.dvc_files import tracked_outputs  # noqa: PLC0415 (YAML is loaded when first needed)

    for place, file in _tracking_files(inner):
        text = _text(root, file, source.revision)
        for output in tracked_outputs(file, text) if text is not None else ():
            path = PurePosixPath(file).parent / output.path
            if path == inner:
                return _Tracked(output.md5, inner.name, "")
            if path == place and output.md5.endswith(".dir"):
                return _Tracked(output.md5, inner.name, str(inner.relative_to(path)))
    at = f" at revision {source.revision}" if source.revision else ""
    raise NotFound(f"cannot find {inner} among what DVC tracks in {root}{at}", "`dvc add` tracks a file or a folder")


def _tracking_files(inner: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for place in (inner, *inner.parents):
        if place.name:
            yield place, f"{place}.dvc"
    for place in (inner, *inner.parents):
        for folder in place.parents:
            yield place, str(folder / "dvc.lock")


def _text(root: Path, file: str, revision: str | None) -> str | None:
    """A file of the project, from the work tree or a revision; None where it is not there."""
    if revision is None:
        try:
            return (root / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
    _check_revision(root, revision)
    shown = _run(["git", "-C", str(root), "show", f"{revision}:./{file}"], GIT_SECONDS_MAX)
    return shown.stdout if shown is not None and shown.returncode == 0 else None


def _check_revision(root: Path, revision: str) -> None:
    known = _run(
        ["git", "-C", str(root), "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"], GIT_SECONDS_MAX
    )
    if known is None or known.returncode != 0:
        raise NotFound(
            f"cannot find revision {revision} of {root}", "`git tag` and `git branch --all` list what there is"
        )


def _read_config(root: Path) -> "DvcConfig":
    from modelyard.manifest.dvc_files import read_dvc_config  # noqa: PLC0415 (as above)

    texts = [_text(root, f".dvc/{name}", None) for name in ("config", "config.local")]
    return read_dvc_config(text for text in texts if text is not None)


def _from_yard(connection: Connection, config: "DvcConfig", tracked: _Tracked) -> str | None:
    """The tree that the yard makes of a data remote's objects; None where it does not have them all."""
    for url in config.remotes:
        match = _REMOTE_PATH.fullmatch(urlsplit(url).path)
        if match is None:
            continue
        wanted = {"md5": tracked.md5, "name": tracked.name, "within": tracked.within}
        try:
            return str(connection.post(f"/data/{match[1]}/trees", wanted)["digest"])
        except NotFound:
            continue
    return None


def _from_cache(root: Path, config: "DvcConfig", tracked: _Tracked) -> "list[LocalFile] | None":
    """Files of the project's own cache; None where one of them is not there."""
    from modelyard.manifest.dvc_files import listed_files  # noqa: PLC0415 (as above)
    from modelyard.packaging.files import LocalFile  # noqa: PLC0415 (loaded when first needed)

    cache = (root / ".dvc" / (config.cache or "cache")) / "files" / "md5"
    wanted = {tracked.name: tracked.md5}
    try:
        if tracked.md5.endswith(".dir"):
            text = _object(cache, tracked.md5).read_text(encoding="utf-8")
            wanted = _within(dict(listed_files(text)), tracked)
        sizes = {path: _object(cache, md5).stat().st_size for path, md5 in wanted.items()}
    except (OSError, UnicodeDecodeError):
        return None
    files = [LocalFile(path, _object(cache, md5), sizes[path], executable=False) for path, md5 in wanted.items()]
    return files or None


def _within(listed: dict[str, str], tracked: _Tracked) -> dict[str, str]:
    """The part of a folder that is meant, with paths that begin there."""
    if not tracked.within:
        return listed
    if tracked.within in listed:
        return {tracked.name: listed[tracked.within]}
    prefix = f"{tracked.within}/"
    return {path.removeprefix(prefix): md5 for path, md5 in listed.items() if path.startswith(prefix)}


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _send_what_dvc_gets(
    connection: Connection, root: Path, inner: PurePosixPath, source: DvcSource, progress: Progress
) -> str:
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (as above)

    program = shutil.which("dvc")
    if program is None:
        raise NotFound(
            f"cannot find the data of {inner}: neither this yard nor the project's cache has it",
            "`modelyard env dvc` shows how to push it to this yard; or install DVC, which can bring it from its remote",
        )
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        place = Path(folder) / inner.name
        progress("dvc get", 0, 0)
        revision = ["--rev", source.revision] if source.revision else []
        got = _run([program, "get", "--quiet", str(root), str(inner), "--out", str(place), *revision], GET_SECONDS_MAX)
        if got is None or got.returncode != 0 or not place.exists():
            last = (got.stderr.strip().splitlines() or [""])[-1] if got is not None else "it took too long"
            raise NotFound(f"cannot get {inner} with DVC: {last[:SAID_LENGTH_MAX]}", "`dvc get` says more")
        return send_tree(connection, list_files(place), progress)


def _run(command: list[str], limit_seconds: float) -> "subprocess.CompletedProcess[str] | None":
    """None where the program is not there or took too long."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limit_seconds, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
