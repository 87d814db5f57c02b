"""A package as one file, to be carried elsewhere: `price.myp`, a plain tar.

    modelyard-package.json   what is inside: digest of the whole, name and settings of its endpoint, each file's sha256
    files/package.json       the package itself, as `modelyard_worker.packages` describes it
    files/code/...
    files/model/...
    files/requirements.lock  where it has an environment of its own

The same inputs give the same bytes: the order is that of the paths, and times, owners and compression are left out.
What comes from elsewhere is not trusted: only regular files with plain relative paths, within limits, each with its
digest.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

from modelyard_worker.packages import PACKAGE

from modelyard.errors import InvalidValue, NotFound

SUFFIX = ".myp"
FORMAT = "modelyard-package-1"
MANIFEST = "modelyard-package.json"
INSIDE = "files/"

FILES_MAX = 100_000
PATH_BYTES_MAX = 1024
MANIFEST_BYTES_MAX = 64 * 2**20
PACKAGE_BYTES_MAX = 100 * 2**30
"""All files together, as the manifest says; no file of the archive may have more than it says."""

CHUNK_BYTES = 2**20
DIFFERENCES_MAX = 20
"""How many files a refusal names."""

_TREE_FORMAT = "modelyard-tree-1"


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file of a package; `path` is relative, with forward slashes."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says about itself."""

    digest: str
    """That of the package, by which the yard knows it."""
    files: tuple[PackedFile, ...]
    name: str | None = None
    """What its endpoint is called unless something else is said."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `EndpointSpec` but `package` and `model`."""


class Contents(Protocol):
    def open(self, file: PackedFile) -> IO[bytes]:
        """The content of one of the files."""
        ...


class FolderContents:
    """Files of a package that is laid out in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, file: PackedFile) -> IO[bytes]:
        try:
            return (self._folder / file.path).open("rb")
        except OSError as error:
            raise NotFound(f"cannot read {self._folder / file.path}: {error.strerror}") from error


def tree_digest(files: Iterable[PackedFile]) -> str:
    """The digest under which the store has the tree of these files: the sha256 of its canonical JSON."""
    listed = [asdict(one) for one in sorted(files, key=lambda one: one.path)]
    document = {"format": _TREE_FORMAT, "files": listed}
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(content).hexdigest()


def write_archive(target: Path, manifest: Manifest, contents: Contents) -> None:
    """Writes aside and renames. Raises InvalidValue where a file is not what the manifest says."""
    aside = target.with_name(f".{target.name}.aside")
    try:
        with tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as archive:
            document = {"format": FORMAT, **asdict(manifest)}
            content = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
            archive.addfile(_entry(MANIFEST, len(content), executable=False), io.BytesIO(content))
            for file in manifest.files:
                with contents.open(file) as source:
                    _add(archive, file, source)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, file: PackedFile, source: IO[bytes]) -> None:
    checked = _Checked(source)
    try:
        archive.addfile(_entry(INSIDE + file.path, file.size_bytes, executable=file.executable), checked)
    except OSError as error:
        raise InvalidValue(f"cannot pack {file.path}: {error}", "nothing may change it meanwhile") from error
    if checked.sha256 != file.sha256:
        raise InvalidValue(f"cannot pack {file.path}: it has changed", "nothing may change it meanwhile")


class _Checked(io.RawIOBase):
    """Reads on, and knows the digest of what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._digest.update(chunk)
        return chunk


def _entry(name: str, size_bytes: int, *, executable: bool) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = 0o755 if executable else 0o644
    return entry


# Reading


def read_manifest(place: Path) -> Manifest:
    """What an archive says about itself. Raises NotFound, InvalidValue."""
    with _opened(place) as archive:
        return _manifest_of(place, archive)


def verify_archive(place: Path) -> list[str]:
    """Every way in which an archive is not what it says, a sentence each; empty where it is whole."""
    differences: list[str] = []
    with _opened(place) as archive:
        manifest = _manifest_of(place, archive)
        if tree_digest(manifest.files) != manifest.digest:
            differences.append(f"the digest of the whole is {tree_digest(manifest.files)}, not {manifest.digest}")
        expected = {file.path: file for file in manifest.files}
        for path, entry in _entries(place, archive):
            file = expected.pop(path, None)
            if file is None:
                differences.append(f"{path} is not in the manifest")
            else:
                differences += _differences(archive, entry, file)
        differences += [f"{path} is missing" for path in sorted(expected)]
    return differences


def extract_archive(place: Path, folder: Path) -> Manifest:
    """Lays the files of an archive out below `folder`, each checked. Raises InvalidValue where it is not whole."""
    differences = verify_archive(place)
    if differences:
        shown = "; ".join(differences[:DIFFERENCES_MAX])
        raise InvalidValue(f"cannot use {place}: it is damaged: {shown}", "build it, or export it, again")
    with _opened(place) as archive:
        manifest = _manifest_of(place, archive)
        executable = {file.path for file in manifest.files if file.executable}
        for path, entry in _entries(place, archive):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with _content(archive, entry) as source, target.open("xb") as written:
                while chunk := source.read(CHUNK_BYTES):
                    written.write(chunk)
            target.chmod(0o755 if path in executable else 0o644)
    return manifest


@contextmanager
def _opened(place: Path) -> Generator[tarfile.TarFile]:
    if not place.is_file():
        raise NotFound(f"cannot find {place}", f"name a package's file, NAME{SUFFIX}")
    try:
        # Compression is not read: what was never compressed cannot unfold into more than is there.
        with tarfile.open(place, "r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InvalidValue(f"cannot read {place} as a package: {error}", "build it, or export it, again") from error


def _manifest_of(place: Path, archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > MANIFEST_BYTES_MAX:
        raise InvalidValue(f"cannot read {place} as a package: it does not begin with {MANIFEST}")
    try:
        with _content(archive, first) as source:
            document: Any = json.loads(source.read())
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, known is {FORMAT}")
        files = tuple(_packed(one) for one in document["files"])
        manifest = Manifest(str(document["digest"]), files, document["name"], dict(document["settings"]))
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidValue(f"cannot read the manifest of {place}: {error}") from error
    _check(place, manifest)
    return manifest


def _packed(document: Any) -> PackedFile:
    size_bytes = int(document["size_bytes"])
    return PackedFile(str(document["path"]), str(document["sha256"]), size_bytes, document["executable"] is True)


def _check(place: Path, manifest: Manifest) -> None:
    for file in manifest.files:
        _check_path(place, file.path)
    paths = {file.path for file in manifest.files}
    if len(paths) != len(manifest.files) or PACKAGE not in paths:
        raise InvalidValue(f"cannot use {place}: its manifest names a file twice, or no {PACKAGE}")
    if len(manifest.files) > FILES_MAX or sum(file.size_bytes for file in manifest.files) > PACKAGE_BYTES_MAX:
        raise InvalidValue(f"cannot use {place}: more than {FILES_MAX} files or {PACKAGE_BYTES_MAX} bytes")


def _check_path(place: Path, path: str) -> None:
    parts = path.split("/")
    forbidden = "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts)
    if forbidden or len(path.encode("utf-8", "surrogateescape")) > PATH_BYTES_MAX:
        raise InvalidValue(f"cannot use {place}: {path[:200]!r} is not a plain relative path")


def _entries(place: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Every file behind the manifest, by its path in the package. Raises InvalidValue for whatever is no file."""
    seen: set[str] = set()
    while (entry := archive.next()) is not None:
        path = entry.name.removeprefix(INSIDE)
        if not entry.isreg() or path == entry.name:
            raise InvalidValue(f"cannot use {place}: {entry.name[:200]!r} is not one of its files")
        _check_path(place, path)
        if path in seen or len(seen) >= FILES_MAX:
            raise InvalidValue(f"cannot use {place}: {path[:200]!r} is there twice, or one of too many")
        seen.add(path)
        yield path, entry


def _differences(archive: tarfile.TarFile, entry: tarfile.TarInfo, file: PackedFile) -> list[str]:
    if entry.size != file.size_bytes:
        return [f"{file.path} has {entry.size} bytes, not {file.size_bytes}"]
    with _content(archive, entry) as source:
        found = hashlib.file_digest(cast("Any", source), "sha256").hexdigest()
    return [] if found == file.sha256 else [f"{file.path} has other content"]


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(entry)
    if found is None:
        raise InvalidValue(f"cannot read {entry.name}: it is not a file")
    return found


def packed_files(files: Sequence[Any]) -> tuple[PackedFile, ...]:
    """Files of a tree in the store, as an archive has them."""
    packed = [PackedFile(one.path, one.sha256, one.size_bytes, one.executable) for one in files]
    return tuple(sorted(packed, key=lambda one: one.path))
