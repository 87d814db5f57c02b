"""What the models of a folder need: looked at when an endpoint of them is deployed, so that a template has it ready.

Models of other frameworks that come later are served all the same; each replica then imports what they need by itself.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from modelyard.domain.model_folders import ModelFolder
from modelyard.packaging.frameworks import HEAD_BYTES, detect

FILES_LOOKED_AT_MAX = 1000


def libraries_of(folder: ModelFolder) -> tuple[str, ...]:
    """The libraries of every framework that is found, sorted."""
    found: set[str] = set()
    for path in islice(_files(folder), FILES_LOOKED_AT_MAX):
        found.update(detect([path.name], lambda _, path=path: _head(path)).libraries)
    return tuple(sorted(found))


def _files(folder: ModelFolder) -> Iterator[Path]:
    for place in (*([folder.dir] if folder.dir is not None else []), *folder.paths.values()):
        path = Path(place)
        yield from [path] if path.is_file() else (one for one in path.rglob("*") if one.is_file())


def _head(path: Path) -> bytes:
    """Empty where it cannot be read: then its name alone tells."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""
