"""Finding what nothing needs any more, and freeing it. What may go is decided in `domain.retention`."""

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from modelyard_worker.records import ORDER, read_json

from modelyard.domain.retention import Found, Import, Kind, LaidOut, RunFolder, Surplus, decide_retention, is_kept
from modelyard.domain.transforms import Transform
from modelyard.errors import ModelyardError, NotReady
from modelyard.settings import CareSettings, Home
from modelyard.store.disk import disk
from modelyard.store.file_locks import alone_or_not
from modelyard.store.ports import Artifacts, Store

RUNS_LOOKED_AT_MAX = 100_000

INPUTS = ("input", "code")
"""Folders of a run that are copies of what the store has."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ASIDE = ".freed-"


def collect(
    home: Home, store: Store, artifacts: Artifacts, care: CareSettings, now: float, *, dry_run: bool = False
) -> list[Surplus]:
    """Frees what nothing needs any more, and returns it; with `dry_run`, only says what that is.

    `now` is the disk's own time, seconds since the epoch. Raises NotReady while a backup is being written or another is
    at it, StoreFailed.
    """
    with alone_or_not(home.retention_lock) as alone:
        if not alone:
            raise NotReady(
                f"cannot free anything of {home.root} now: a backup is being written, or another is freeing",
                "try again when it is done",
            )
        remove_leftovers(home)
        surplus = decide_retention(find(home, store, artifacts, care, now), care, now)
        return surplus if dry_run else free(home, store, artifacts, surplus, care, now)


def find(home: Home, store: Store, artifacts: Artifacts, care: CareSettings, now: float) -> Found:
    """What there is, and what of it is needed. Raises StoreFailed.

    What refers is read first: whatever comes to refer later was touched by it, and so is kept.
    """
    imports = tuple(_imports(home))
    kept = frozenset(one.digest for one in imports if is_kept(one, care, now))
    needed = needed_digests(store, artifacts, kept) | _running(home)
    with disk("read", home.root):
        return Found(
            runs=(*_run_folders(home, store), *_transform_folders(home, store)),
            packages=tuple(_packages(home)),
            imports=imports,
            artifacts=tuple(artifacts.stored()),
            needed=needed,
            old_events=store.events.count_before(now - care.events_kept_seconds),
        )


def _running(home: Home) -> frozenset[str]:
    """Packages that have replicas, also such as have ended: their folders go first."""
    found = (read_json(str(folder / ORDER)) or {} for folder in (home.engine / "replicas").iterdir())
    return frozenset(str(order["package_digest"]) for order in found if "package_digest" in order)


def _imports(home: Home) -> Iterator[Import]:
    for place in home.imports.iterdir():
        if _DIGEST.fullmatch(place.name):
            yield Import(place.name, place.stat().st_mtime)


def needed_digests(store: Store, artifacts: Artifacts, roots: Iterable[str] = ()) -> frozenset[str]:
    """Every artifact that something refers to: whatever looks like a digest in it, and what those trees name.

    Looked for rather than listed, so that a field which comes later is not forgotten. `roots` are needed in any case.
    """
    roots = set(roots)
    for model in store.models.select():
        for version in store.models.versions(model.model):
            roots.update(_digests(asdict(version)))
    for endpoint in store.endpoints.select():
        roots.update(_digests(asdict(endpoint)))
    for resource in store.resources.select():
        roots.update(_digests(asdict(resource)))
    for run in store.runs.unfinished():
        roots.update(_digests(asdict(run)))
    for transform in store.transforms.unfinished():
        roots.update(_digests(asdict(transform)))
    return frozenset(roots.union(*(_files(artifacts, root) for root in roots)))


def _digests(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _DIGEST.findall(value)
    elif isinstance(value, dict):
        for one in cast("dict[Any, Any]", value).values():
            yield from _digests(one)
    elif isinstance(value, list | tuple):
        for one in cast("Iterable[Any]", value):
            yield from _digests(one)


def _files(artifacts: Artifacts, digest: str) -> set[str]:
    """The files of a tree; none where the digest is another file's, or of something that is gone."""
    try:
        return {one.sha256 for one in artifacts.tree(digest)}
    except ModelyardError:
        return set()


def _run_folders(home: Home, store: Store) -> Iterator[RunFolder]:
    there = {folder.name for place in (home.runs, home.engine / "jobs") for folder in place.iterdir()}
    for run in store.runs.select(limit=RUNS_LOOKED_AT_MAX):
        if not run.ended or run.ended_at is None or run.id not in there:
            continue
        inputs = sum(_size_bytes(folder) for folder in _input_folders(home, run.id))
        whole = _size_bytes(home.runs / run.id) + _size_bytes(home.engine / "jobs" / run.id)
        yield RunFolder(run.id, run.ended_at, inputs, whole - inputs)


def _transform_folders(home: Home, store: Store) -> Iterator[RunFolder]:
    there = {folder.name for folder in home.transforms.iterdir()} if home.transforms.is_dir() else set[str]()
    for one in store.transforms.select(limit=RUNS_LOOKED_AT_MAX):
        if one.ended and one.ended_at is not None and one.id in there:
            size = sum(_size_bytes(folder) for folder in _folders_of_transform(home, one))
            yield RunFolder(one.id, one.ended_at, 0, size, Kind.TRANSFORM)


def _folders_of_transform(home: Home, transform: Transform) -> list[Path]:
    """Its own comes last: as long as that is there, the others are looked for. Among them is what the yard wrote down
    of the items that were submitted with it."""
    given = Path(transform.spec.input).parent
    submitted = [given] if given.parent == home.transforms else []
    return [*(home.engine / "jobs").glob(f"{transform.id}.*"), *submitted, home.transforms / transform.id]


def _packages(home: Home) -> Iterator[LaidOut]:
    for folder in home.packages.iterdir():
        if _DIGEST.fullmatch(folder.name):
            yield LaidOut(folder.name, _size_bytes(folder, alone=True), folder.stat().st_mtime)


def _input_folders(home: Home, run: str) -> list[Path]:
    return [home.runs / run / "ml" / name for name in INPUTS]


def _size_bytes(folder: Path, *, alone: bool = False) -> int:
    """Bytes of every file below; with `alone`, of those that have no other name elsewhere."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = (Path(place) / name).lstat()
            except FileNotFoundError:
                continue
            total += found.st_size if not alone or found.st_nlink == 1 else 0
    return total


# Freeing


def free(
    home: Home, store: Store, artifacts: Artifacts, surplus: list[Surplus], care: CareSettings, now: float
) -> list[Surplus]:
    """Frees what is still surplus, and returns that. What was touched meanwhile stays. Raises StoreFailed."""
    return [one for one in surplus if _free(home, store, artifacts, one, care, now)]


def _free(home: Home, store: Store, artifacts: Artifacts, one: Surplus, care: CareSettings, now: float) -> bool:
    match one.kind:
        case Kind.ARTIFACT:
            return artifacts.drop(one.name, now - care.artifacts_kept_seconds)
        case Kind.IMPORT:
            (home.imports / one.name).unlink(missing_ok=True)
        case Kind.PACKAGE:
            return _free_package(home, store, one.name)
        case Kind.RUN_INPUTS:
            for folder in _input_folders(home, one.name):
                _remove(folder)
        case Kind.RUN:
            for folder in (home.runs / one.name, home.engine / "jobs" / one.name):
                _remove(folder)
        case Kind.TRANSFORM:
            for folder in _folders_of_transform(home, store.transforms.get(one.name)):
                _remove(folder)
        case Kind.EVENTS:
            store.events.drop_before(now - care.events_kept_seconds)
    return True


def _free_package(home: Home, store: Store, digest: str) -> bool:
    """A deploy may have come to it meanwhile, so it is looked for once more."""
    for endpoint in store.endpoints.select():
        if any(digest in _digests(asdict(version)) for version in endpoint.versions):
            return False
    if any(digest == one.spec.package for one in store.transforms.unfinished()):
        return False
    _remove(home.packages / digest)
    return True


def _remove(folder: Path) -> None:
    """Renamed first: a folder that is there is whole, whatever ends this process."""
    aside = folder.with_name(f"{_ASIDE}{secrets.token_hex(8)}")
    with disk("remove", folder):
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside)


def remove_leftovers(home: Home) -> None:
    """What an earlier process had begun to remove."""
    for place in (home.packages, home.runs, home.transforms, home.engine / "jobs", *home.runs.glob("*/ml")):
        for left in place.glob(f"{_ASIDE}*"):
            shutil.rmtree(left, ignore_errors=True)
