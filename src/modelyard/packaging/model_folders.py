"""What the models of a folder need: looked at when an endpoint of them is deployed, so that a template has it ready.

Models of other frameworks that come later are served all the same; each replica then imports what they need by itself.
"""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from modelyard_worker.object_store import ObjectStore, is_object_url, parse_place

from modelyard.domain.model_folders import ModelFolder
from modelyard.packaging.frameworks import HEAD_BYTES, detect

FILES_LOOKED_AT_MAX = 1000

_log = logging.getLogger("modelyard.control")


def libraries_of(folder: ModelFolder) -> tuple[str, ...]:
    """The libraries of every framework that is found, sorted."""
    places = (*([folder.dir] if folder.dir is not None else []), *folder.paths.values())
    found: set[str] = set()
    for path in islice(_files([one for one in places if not is_object_url(one)]), FILES_LOOKED_AT_MAX):
        found.update(detect([path.name], lambda _, path=path: _head(path)).libraries)
    for name in islice(_objects([one for one in places if is_object_url(one)]), FILES_LOOKED_AT_MAX):
        found.update(detect([name], lambda _: b"").libraries)
    return tuple(sorted(found))


def _objects(urls: list[str]) -> Iterator[str]:
    """Names of objects, of which names alone tell. The endpoint may have a credential for them that is not the yard's:
    that they cannot be listed here is no error."""
    for url in urls:
        try:
            for one in ObjectStore().find(parse_place(url)):
                yield one.place.key.rpartition("/")[2]
        except OSError as error:
            _log.info("cannot list %s before its endpoint does: %s", url, error)
            return


def _files(places: list[str]) -> Iterator[Path]:
    for place in places:
        path = Path(place)
        yield from [path] if path.is_file() else (one for one in path.rglob("*") if one.is_file())


def _head(path: Path) -> bytes:
    """Empty where it cannot be read: then its name alone tells."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""
