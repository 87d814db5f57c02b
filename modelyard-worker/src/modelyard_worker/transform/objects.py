"""What there is to score: one object a file, found once and remembered, so that a second start works on the same list.

The output of `a/b.csv` is `a/b.csv.out` below the output folder, whatever was put in front of it in the input. Which
format an object has is told by the plan, else by its name.
"""

import os
import urllib.parse
from typing import Any, List, NamedTuple, Optional

from modelyard_worker import media
from modelyard_worker.object_store import ObjectStore, is_object_url, parse_place, relative_name
from modelyard_worker.records import read_json, write_json
from modelyard_worker.transform import remote
from modelyard_worker.transform.plan import AUTO, GZIP, LINE, NONE, TransformPlan

OBJECTS = "objects.json"
OBJECTS_MAX = 1_000_000
SUFFIX = ".out"

_TYPES = {
    ".csv": media.CSV,
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".json": media.JSON,
    ".parquet": media.PARQUET,
    ".npy": media.NPY,
    ".txt": media.TEXT,
    ".png": media.PNG,
    ".jpg": media.JPEG,
    ".jpeg": media.JPEG,
}
_LINED = (media.CSV, media.LINES)


class Object(NamedTuple):
    """One input."""

    number: int
    name: str
    """Relative to the input, with forward slashes."""
    source: str
    """A path or a URL."""
    size_bytes: Optional[int]
    """None where a server does not say."""
    identity: str
    """What it was when it was listed: another content has another."""

    @property
    def output(self) -> str:
        return self.name + SUFFIX

    @property
    def remote(self) -> bool:
        return remote.is_url(self.source)


class Format(NamedTuple):
    """How an object is read and its output written, with nothing left to find out."""

    content_type: str
    """As it is sent."""
    kind: str
    """The same under the name that is used here."""
    accept: str
    split: str
    assemble: str
    gzip: bool


class InputGone(Exception):  # noqa: N818 (reads as what happened)
    """An input is not there, cannot be read, or is another than it was."""


def find_objects(plan: TransformPlan) -> List[Object]:
    """The list that an earlier start wrote down, or a new one, written down. Raises InputGone."""
    place = os.path.join(plan.base, OBJECTS)
    found = read_json(place)
    if found is None:
        listed = _list(plan)
        write_json(place, {"objects": [list(one) for one in listed]})
        return listed
    entries: List[Any] = found["objects"]
    return [Object(*entry) for entry in entries]


def _list(plan: TransformPlan) -> List[Object]:
    if is_object_url(plan.input):
        return _objects_below(plan.input)
    if remote.is_url(plan.input):
        return [_remote_object(plan.input)]
    if not os.path.isdir(plan.input):
        return [_local_object(0, os.path.basename(plan.input), plan.input)]
    paths: List[str] = []
    for folder, folders, names in os.walk(plan.input):
        folders.sort()
        # What begins with a dot is somebody's own: partial outputs, a checkout's folder.
        folders[:] = [one for one in folders if not one.startswith(".") and os.path.join(folder, one) != plan.output]
        paths += [os.path.join(folder, one) for one in names if not one.startswith(".")]
    if plan.output.startswith(os.path.join(plan.input, "")):
        # Outputs of others may lie there too, `data/out/price-transform-1`.
        paths = [one for one in paths if not one.endswith(SUFFIX)]
    if not paths:
        raise InputGone(f"cannot find anything to score in {plan.input}: it holds no file")
    if len(paths) > OBJECTS_MAX:
        raise InputGone(f"cannot score {len(paths)} files at once: at most {OBJECTS_MAX}")
    return [
        _local_object(number, os.path.relpath(path, plan.input).replace(os.sep, "/"), path)
        for number, path in enumerate(sorted(paths))
    ]


def _local_object(number: int, name: str, path: str) -> Object:
    try:
        found = os.stat(path)
    except OSError as error:
        raise InputGone(f"cannot read {path}: {error.strerror}") from error
    return Object(number, name, path, found.st_size, identity_of(found))


def _objects_below(url: str) -> List[Object]:
    """Every object whose key begins with the URL's: the object itself, all of a folder, or a prefix (SageMaker's
    S3Prefix)."""
    try:
        prefix = parse_place(url)
        found = [one for one in ObjectStore().find(prefix) if not one.place.key.endswith(SUFFIX)]
    except (OSError, ValueError) as error:
        raise InputGone(f"cannot read {url}: {remote.reason(error)}") from error
    found = [one for one in found if one.place == prefix] or found
    if not found:
        raise InputGone(f"cannot find anything to score at {url}: no object's key begins so")
    if len(found) > OBJECTS_MAX:
        raise InputGone(f"cannot score {len(found)} objects at once: at most {OBJECTS_MAX}")
    return [
        Object(number, _safe(relative_name(prefix, one.place.key)), one.place.url, one.size_bytes, identity)
        for number, one in enumerate(found)
        for identity in (remote.object_identity(one.etag, one.size_bytes),)
    ]


def _safe(name: str) -> str:
    """A key's rest as a path below the output: a bucket may hold any key. Raises InputGone."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise InputGone(f"cannot write the output of {name!r}: it is no path; rename the object")
    return name


def _remote_object(url: str) -> Object:
    name = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path)) or "data"
    try:
        facts = remote.look(url)
    except OSError as error:
        raise InputGone(f"cannot read {remote.without_secrets(url)}: {remote.reason(error)}") from error
    return Object(0, name, url, facts.size_bytes, facts.identity)


def identity_of(found: os.stat_result) -> str:
    return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def format_of(plan: TransformPlan, name: str) -> Format:
    """How the object of that name is read and answered."""
    gzip = plan.compression == GZIP or (plan.compression == AUTO and name.lower().endswith(".gz"))
    plain = name[:-3] if name.lower().endswith(".gz") else name
    content_type = plan.content_type or _TYPES.get(os.path.splitext(plain)[1].lower(), media.BYTES)
    kind = media.known(media.media_type(content_type))
    split = plan.split if plan.split != AUTO else (LINE if kind in _LINED else NONE)
    same = content_type if kind in (*_LINED, media.PARQUET) else ""
    assemble = plan.assemble if plan.assemble != AUTO else (LINE if split == LINE else NONE)
    return Format(content_type, kind, plan.accept or same, split, assemble, gzip)
