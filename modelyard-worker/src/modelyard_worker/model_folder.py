"""Models by name in a folder, as they lie there now: nothing is remembered, so what is new is found at once.

    price.joblib          model `price`, also `price.joblib`
    price/                a folder that is a model, or holds one model's file
    price/1/, price/2/    versions of it; the highest number is the newest
    eu/price.joblib       model `eu/price`
    price.tar.gz          an archive as SageMaker's TargetModel names it; also `price`

A name may end with a version: `price/2`. Names come from requests, so they never lead out of the folder. What folders
and files there are, a tree says: that of the disk, or the keys of a bucket (`model_bucket`).
"""

import contextlib
import os
import re
from typing import ContextManager, Dict, Iterator, List, NamedTuple, Optional, Protocol, Tuple

from modelyard_worker.request import Refusal

NEWEST = "latest"

NAME_LENGTH_MAX = 1024
"""SageMaker's limit for TargetModel."""

ENTRIES_LOOKED_AT_MAX = 10_000
"""Files of a folder that are looked at, to find a model in it or to see whether it has changed."""

ARCHIVES = (".tar.gz", ".tgz", ".tar")

_MARKERS = frozenset({"MLmodel", "saved_model.pb", "config.json"})
"""Files beside which others are parts of the same model."""

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+=-]*")
_VERSION = re.compile(r"[0-9]{1,18}")


DOOR_SAYS = 0
"""In place of a status: each protocol has its own for what is wrong with a request that no model has seen."""


class NoModel(Refusal):
    """There is no model of that name, or no such version of it."""

    def __init__(self, what: str) -> None:
        super().__init__(DOOR_SAYS, "not_found", f"cannot predict: {what}")


class Place(NamedTuple):
    """Where one version of a model lies."""

    name: str
    version: Optional[int]
    """None where the model has no versions."""
    path: str

    @property
    def key(self) -> str:
        return self.name if self.version is None else f"{self.name}/{self.version}"


Stamp = Tuple[int, int, int]
"""Changes when a file does: newest change in nanoseconds, bytes, number of files."""


class Models(Protocol):
    """Where models are found by name."""

    def find(self, name: str, version: str = NEWEST) -> Place:
        """Raises NoModel; another Refusal where that cannot be told now."""
        ...

    def names(self) -> List[str]:
        """Every model, sorted; of very many the first that are found. Raises OSError."""
        ...

    def stamp(self, place: Place) -> Optional[Stamp]:
        """What is there; None where nothing is."""
        ...

    def brought(self, place: Place) -> ContextManager[str]:
        """The model's file or folder on this machine, which stays at least as long as it is held. Raises OSError."""
        ...

    def check(self) -> None:
        """Raises OSError where models cannot be looked for. That there are none is no failure: some may come."""
        ...


class Tree(Protocol):
    """Folders and files, by paths with slashes."""

    def exists(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...

    def scan(self, path: str) -> List[Tuple[str, bool]]:
        """Names in a folder, and whether each is a file. Raises OSError where there is no such folder."""
        ...


class Disk:
    """The tree of this machine's files."""

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def scan(self, path: str) -> List[Tuple[str, bool]]:
        with os.scandir(path) as entries:
            return [(one.name, one.is_file()) for one in entries]


class ModelFolder:
    """The models below `root`, and those that `paths` names, wherever they lie."""

    def __init__(
        self, root: Optional[str], paths: Optional[Dict[str, str]] = None, tree: Optional[Tree] = None
    ) -> None:
        self.root = root
        self.paths = dict(paths or {})
        self._tree: Tree = tree or Disk()

    def find(self, name: str, version: str = NEWEST) -> Place:
        """Raises NoModel."""
        check_name(name)
        found = self._find(name, version)
        if found is None and version == NEWEST:
            before, slash, last = name.rpartition("/")
            # `price/2`: the last part may be a version instead of a model below a folder.
            if slash and _VERSION.fullmatch(last):
                found = self._find(before, last)
        if found is None:
            raise NoModel(f"there is no model {name}" + (f" of version {version}" if version != NEWEST else ""))
        return found

    def names(self) -> List[str]:
        """Every model, sorted; of very many the first that are found."""
        return sorted({*self.paths, *(self._listed() if self.root is not None else ())})

    def stamp(self, place: Place) -> Optional[Stamp]:
        return stamp_of(place.path)

    def brought(self, place: Place) -> ContextManager[str]:
        """It is here."""
        return contextlib.nullcontext(place.path)

    def check(self) -> None:
        if self.root is not None:
            self._tree.scan(self.root)

    def _find(self, name: str, version: str) -> Optional[Place]:
        path = self.paths.get(name) or self._path_of(name)
        if path is None:
            return None
        versions = self._versions(path)
        if not versions:
            return Place(name, None, path) if version in (NEWEST, "1") and not self._is_group(path) else None
        number = max(versions) if version == NEWEST else _number(version)
        return Place(name, number, versions[number]) if number in versions else None

    def _path_of(self, name: str) -> Optional[str]:
        """The file or folder that a name means: itself, or the one file of that name before the extension."""
        if self.root is None:
            return None
        path = os.path.join(self.root, *name.split("/"))
        if self._tree.exists(path):
            return path
        folder, stem = os.path.split(path)
        found = [one for one, is_file in self._scan(folder) if is_file and stem_of(one) == stem]
        return os.path.join(folder, min(found)) if found else None

    def _listed(self) -> Iterator[str]:
        seen = 0
        waiting = [("", self.root or "")]
        while waiting:
            prefix, folder = waiting.pop()
            for one, is_file in self._scan(folder):
                path = os.path.join(folder, one)
                if one.startswith("."):
                    continue
                if not is_file and not self._versions(path) and not self._is_model(path):
                    waiting.append((f"{prefix}{one}/", path))
                    continue
                seen += 1
                if seen > ENTRIES_LOOKED_AT_MAX:
                    return
                yield prefix + (stem_of(one) if is_file else one)

    def _scan(self, path: str) -> List[Tuple[str, bool]]:
        """Empty where there is no such folder."""
        try:
            return self._tree.scan(path)
        except OSError:
            return []

    def _versions(self, path: str) -> Dict[int, str]:
        """The folders in it whose names are numbers; none where anything else lies beside them."""
        found = [one for one, _ in self._scan(path) if not one.startswith(".")]
        if not all(_VERSION.fullmatch(one) for one in found):
            return {}
        return {int(one): os.path.join(path, one) for one in found}

    def _is_group(self, path: str) -> bool:
        """Whether a folder only has other folders in it, and so is part of names rather than a model."""
        return self._tree.is_folder(path) and not any(is_file for _, is_file in self._scan(path))

    def _is_model(self, path: str) -> bool:
        """Whether a folder is listed as one model, and not as several whose files lie together in it."""
        found = [one for one in self._scan(path) if not one[0].startswith(".")]
        files = [one for one, is_file in found if is_file]
        return len(files) == 1 or any(one in _MARKERS for one in files) or 0 < len(files) < len(found)


def check_name(name: str) -> None:
    """Raises NoModel for what cannot be a name, whatever is on the disk."""
    parts = name.split("/")
    if len(name) > NAME_LENGTH_MAX or not all(_PART.fullmatch(part) and part != ".." for part in parts):
        raise NoModel(f"{name[:100]!r} is no model's name: parts of letters, digits, and ._@+=- with slashes between")


def stamp_of(path: str) -> Optional[Stamp]:
    """None where nothing is there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not os.path.isdir(path):
        return found.st_mtime_ns, found.st_size, 1
    newest, size, count = found.st_mtime_ns, 0, 0
    for folder, _, files in os.walk(path):
        for one in files:
            try:
                file = os.stat(os.path.join(folder, one))
            except OSError:
                continue  # it has just gone, which the next look sees
            newest, size, count = max(newest, file.st_mtime_ns), size + file.st_size, count + 1
            if count >= ENTRIES_LOOKED_AT_MAX:
                return newest, size, count
    return newest, size, count


def is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVES)


def stem_of(name: str) -> str:
    """A file's name before its extension."""
    for ending in ARCHIVES:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return os.path.splitext(name)[0]


def _number(version: str) -> int:
    """-1 for what is no number, which no version has."""
    return int(version) if _VERSION.fullmatch(version) else -1
