"""The pass over sites: lays out the wished version's files once, compresses them once, and says where they are.

A version is published when all of it lies there; until then, and where it cannot be laid out, the one before is served.
What no version needs any more that is served goes a while later; a rollback lays an earlier version out anew.
"""

import asyncio
import gzip
import logging
import mimetypes
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from modelyard_worker.records import write_json

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.sites import KIND, Site, site_from
from modelyard.errors import ModelyardError
from modelyard.protocol.sites import SiteFile, SiteManifest, manifest_document, read_manifest
from modelyard.protocol.table import HostEntry, host_key
from modelyard.store.ports import Artifacts, Store, TreeFile

COMPRESSED_FROM_BYTES = 1024
"""Smaller files are one packet either way."""

COMPRESSED_TO_BYTES = 64 * 2**20
LEVEL = 9
BEST_QUALITY, LARGE_QUALITY = 11, 9
"""It is done once, and read often: as well as it can be, but for large files, which would take minutes."""

LARGE_BYTES = 2 * 2**20

RETRY_SECONDS = 30.0
KEPT_SECONDS = 600.0
"""How long a version lies there that is not served any more: for gateways that have not heard of it, and for those who
roll back at once."""

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "image/svg", "application/wasm")
_TYPES = mimetypes.MimeTypes()
for _suffix, _type in ((".js", "text/javascript"), (".mjs", "text/javascript"), (".wasm", "application/wasm")):
    _TYPES.add_type(_type, _suffix)

_log = logging.getLogger("modelyard.controller")


class SitesPass:
    def __init__(
        self, store: Store, artifacts: Artifacts, folder: Path, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._folder = folder
        self._clock = clock
        self._wake = wake
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[int, float]] = {}
        self._entries: dict[str, HostEntry] = {}
        self._unserved_since: dict[str, float] | None = None
        """By name of a version's table, when it was first seen that it is not served; None before the folder was
        read."""
        self._served: set[str] = set()
        self._freeing: asyncio.Task[None] | None = None

    def __call__(self) -> dict[str, HostEntry]:
        """What gateways must know of every site that can be served, by `host_key`."""
        there = {name_key(one.name.name): one for one in self._store.resources.select(KIND)}
        for key, resource in there.items():
            manifest = self._manifest(resource)
            if manifest.exists():
                self._entries[host_key(KIND, key)] = _entry(resource, manifest)
            elif key not in self._under_way and self._freeing is None and self._may_try(key, resource.wished.number):
                task = asyncio.get_running_loop().create_task(self._lay_out(key, resource, manifest))
                self._under_way[key] = task
        for place in [one for one in self._entries if one.partition("/")[2] not in there]:
            del self._entries[place]
        if self._freeing is None and not self._under_way:
            self._free_what_is_over()
        return dict(self._entries)

    def _manifest(self, resource: Resource) -> Path:
        return self._folder / f"{name_key(resource.name.name)}-{resource.wished.number}.json"

    def _may_try(self, key: str, number: int) -> bool:
        failed = self._failed.get(key)
        return failed is None or failed[0] != number or failed[1] + RETRY_SECONDS <= self._clock.now()

    async def _lay_out(self, key: str, resource: Resource, manifest: Path) -> None:
        number, name = resource.wished.number, resource.name.name
        try:
            await asyncio.to_thread(self._write, site_from(resource.wished.spec), manifest)
            self._failed.pop(key, None)
            tell(self._store.events, KIND, name, f"version {number} serves", self._clock.now())
        except (OSError, ModelyardError) as error:
            self._failed[key] = (number, self._clock.now())
            _log.error("site %s: cannot lay out version %d: %s", name, number, error)
            tell(self._store.events, KIND, name, f"version {number} cannot be laid out: {error}", self._clock.now())
        finally:
            del self._under_way[key]
            self._wake()

    # -- what is over ------------------------------------------------------------------------------------------------

    def _free_what_is_over(self) -> None:
        """Nothing is laid out meanwhile: what is new could not be told from what nobody needs."""
        now = self._clock.now()
        served = {Path(one.site).name for one in self._entries.values() if one.site is not None}
        if self._unserved_since is None:
            self._unserved_since = dict.fromkeys(self._tables(), now)
        for name in self._served - served:
            self._unserved_since.setdefault(name, now)
        for name in served:
            self._unserved_since.pop(name, None)
        self._served = served
        over = [name for name, since in self._unserved_since.items() if since + KEPT_SECONDS <= now]
        if over:
            self._freeing = asyncio.get_running_loop().create_task(self._free(over))

    def _tables(self) -> list[str]:
        return [one.name for one in self._folder.glob("*.json")]

    async def _free(self, tables: Collection[str]) -> None:
        try:
            await asyncio.to_thread(self._remove, tables)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error("sites: cannot free what is over: %s", error)
        finally:
            # What is there by now is looked at anew; what could not be freed is tried again as late.
            self._unserved_since = None
            self._freeing = None
            self._wake()

    def _remove(self, tables: Collection[str]) -> None:
        """In a thread. The tables first: no gateway then finds one whose contents are gone."""
        for name in tables:
            (self._folder / name).unlink(missing_ok=True)
        needed = {file.sha256 for name in self._tables() for file in read_manifest(self._folder / name).files.values()}
        contents = self._folder / "contents"
        for one in contents.iterdir() if contents.exists() else ():
            if one.name.partition(".")[0] not in needed:
                one.unlink(missing_ok=True)

    # -- laying out --------------------------------------------------------------------------------------------------

    def _write(self, site: Site, manifest: Path) -> None:
        """In a thread. The contents first, then the manifest that names them."""
        contents = self._folder / "contents"
        contents.mkdir(parents=True, exist_ok=True, mode=0o700)
        laid_out = self._folder / f"{manifest.stem}.files"
        shutil.rmtree(laid_out, ignore_errors=True)
        self._artifacts.lay_out(site.tree, laid_out, share=True)
        files: dict[str, SiteFile] = {}
        for one in self._artifacts.tree(site.tree):
            content = contents / one.sha256
            if not content.exists():
                (laid_out / one.path).replace(content)
            files[one.path] = _site_file(one, content)
        shutil.rmtree(laid_out, ignore_errors=True)
        made = SiteManifest(str(contents), site.index, site.error, site.spa, site.cors, site.cache_seconds, files)
        write_json(str(manifest), manifest_document(made))

    async def close(self) -> None:
        tasks = [*self._under_way.values(), *([self._freeing] if self._freeing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _entry(resource: Resource, manifest: Path) -> HostEntry:
    site = site_from(resource.wished.spec)
    name, place = resource.name.name, str(manifest)
    return HostEntry(KIND, name, resource.project, site.hosts, access=site.access, site=place, port=site.port)


def _media_type(path: str) -> str:
    found = _TYPES.guess_type(path)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") or found == "application/json" else found


def _site_file(file: TreeFile, content: Path) -> SiteFile:
    """With the sizes of its compressed forms, which then lie beside the content."""
    media_type = _media_type(file.path)
    if not media_type.startswith(_TEXT) or not COMPRESSED_FROM_BYTES <= file.size_bytes <= COMPRESSED_TO_BYTES:
        return SiteFile(file.sha256, file.size_bytes, media_type)
    zipped = _compressed(content, ".gz", _gzip, file.size_bytes)
    smaller_than = file.size_bytes if zipped is None else zipped
    return SiteFile(
        file.sha256, file.size_bytes, media_type, zipped, _compressed(content, ".br", _brotli, smaller_than)
    )


def _compressed(content: Path, suffix: str, compress: Callable[[bytes], bytes], smaller_than: int) -> int | None:
    """Size of one compressed form; None where it would not be smaller."""
    place = content.with_name(f"{content.name}{suffix}")
    if not place.exists():
        made = compress(content.read_bytes())
        if len(made) >= smaller_than:
            return None
        aside = place.with_name(f"{place.name}.tmp")
        aside.write_bytes(made)
        aside.replace(place)
    return place.stat().st_size


def _gzip(content: bytes) -> bytes:
    # No time in it: the same content gives the same bytes.
    return gzip.compress(content, LEVEL, mtime=0)


def _brotli(content: bytes) -> bytes:
    # Most yards have no site.
    import brotli  # noqa: PLC0415

    quality = BEST_QUALITY if len(content) <= LARGE_BYTES else LARGE_QUALITY
    # Its stubs say nothing of types.
    compress: Any = brotli.compress  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return bytes(compress(content, quality=quality))
