"""Serves the models of a folder as one endpoint: each request names its model, and all of one batch the same.

A model is a bare file that a loader knows, or whatever the package's `model_fn` makes of its folder (SageMaker's
functions). A predictor class gets the models to ask for itself (`model_cache.Models`), and is served as any class is.
"""

import contextlib
import os
import shutil
import tarfile
import tempfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from modelyard_worker.limits import private_bytes
from modelyard_worker.model_cache import Counts, ModelCache
from modelyard_worker.model_folder import DOOR_SAYS, NEWEST, ModelFolder, Models, is_archive
from modelyard_worker.records import write_json
from modelyard_worker.request import Refusal, Request
from modelyard_worker.rows import READABLE_TYPES
from modelyard_worker.schemas import describe_rows
from modelyard_worker.servable import Answer, Servable

BUCKETS = "s3://"
"""What begins so lies in a bucket. One endpoint has all its models in buckets, or all on this machine."""

SHOWN_MAX = 200
"""Models that a description names."""

UNPACKED_BYTES_MAX = 16 * 2**30
"""What one archive may hold."""


class ModelsOrder(NamedTuple):
    """Which models an endpoint serves, as an order states it."""

    dir: Optional[str] = None
    """Folder that has them, or an `s3://` URL."""
    paths: Optional[Dict[str, str]] = None
    """Name -> file, folder or URL of one that lies elsewhere."""
    cache_size: Optional[int] = None
    """Most that are loaded at once in one process."""
    memory_bytes: Optional[int] = None
    """What those loaded may take together."""
    objects: Optional[str] = None
    """Folder for copies of those that lie in a bucket."""
    objects_bytes_max: int = 0
    """What all of it may take."""
    counts: Optional[str] = None
    """File that says what is loaded, for whoever counts it; nowhere where None."""


def model_cache(order: ModelsOrder, load: Callable[[str], Any]) -> "ModelCache[Any]":
    """The models of an order, none of them loaded yet; archives are unpacked before `load` sees them."""
    cache: ModelCache[Any] = ModelCache(_models_of(order), load, order.cache_size, order.memory_bytes, private_bytes)
    load_with(cache, load)
    if order.counts is not None:
        cache.changed = lambda counts: _write_counts(order.counts or "", counts)
    return cache


def _write_counts(path: str, counts: Counts) -> None:
    # A full disk must not make a prediction fail for the sake of a count.
    with contextlib.suppress(OSError):
        write_json(path, counts._asdict(), durable=False)


def load_with(cache: "ModelCache[Any]", load: Callable[[str], Any]) -> None:
    """From here on models are made by `load`."""
    unpacking = Unpacking(load)
    cache.load, cache.let_go = unpacking, unpacking.remove


def _models_of(order: ModelsOrder) -> Models:
    paths = order.paths or {}
    if order.objects is None or not any(one.startswith(BUCKETS) for one in (order.dir or "", *paths.values())):
        return ModelFolder(order.dir, paths)
    # The client for buckets takes megabytes, which replicas without one are to do without.
    from modelyard_worker.model_bucket import ModelBucket
    from modelyard_worker.object_cache import ObjectCache

    return ModelBucket(order.dir, paths, ObjectCache(order.objects, order.objects_bytes_max))


class ManyModels:
    """`batches` and `wants` are those of any of the models: they are all made alike."""

    asynchronous = False

    def __init__(self, endpoint: str, cache: "ModelCache[Servable]", *, batches: bool, wants: Tuple[str, ...]) -> None:
        self.batches = batches
        self.wants: Tuple[str, ...] = ("model", *wants)
        self._endpoint = endpoint
        self._cache = cache

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        return self._servable_for(requests[0]).predict(requests)

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    async def open(self) -> None:
        """Models are loaded when they are asked for."""

    async def close(self) -> None:
        """Nothing is to be let go of."""

    def describe(self) -> Dict[str, Any]:
        described = describe_rows(None, READABLE_TYPES)
        with contextlib.suppress(OSError):
            described["models"] = self._cache.folder.names()[:SHOWN_MAX]
        return described

    def probe(self) -> None:
        """Raises OSError where the folder cannot be read. That it is empty is no failure: models may come."""
        self._cache.folder.check()

    def _servable_for(self, request: Request) -> Servable:
        name = request.meta.model
        if not name:
            raise Refusal(
                DOOR_SAYS,
                "invalid_value",
                f"cannot predict: the request to {self._endpoint} is missing a target model; name it in the header "
                "X-Amzn-SageMaker-Target-Model or as ?model=NAME",
            )
        return self._cache.get(name, request.meta.model_version or NEWEST)


class Unpacking:
    """Calls `load` with a file or folder; of an archive, with a folder of what was in it, which stays until the model
    is let go of or unpacked anew."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        self._load = load
        self._unpacked: Dict[str, str] = {}

    def __call__(self, path: str) -> Any:
        if not is_archive(path):
            return self._load(path)
        into = tempfile.mkdtemp(prefix="model-")
        try:
            unpack(path, into)
            model = self._load(into)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
        self.remove(path)
        self._unpacked[path] = into
        return model

    def remove(self, path: str) -> None:
        """What was unpacked of an archive; harmless where nothing was."""
        before = self._unpacked.pop(path, None)
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)


def unpack(archive: str, into: str) -> None:
    """Raises ValueError for an archive with anything in it but files and folders below it, or with too much."""
    total = 0
    with tarfile.open(archive) as opened:
        for one in opened:
            target = os.path.normpath(os.path.join(into, one.name))
            outside = target != into and not target.startswith(into + os.sep)
            if outside or not (one.isfile() or one.isdir()):
                raise ValueError(f"cannot unpack {archive}: {one.name!r} is no file or folder inside of it")
            total += one.size
            if total > UNPACKED_BYTES_MAX:
                raise ValueError(f"cannot unpack {archive}: it holds more than {UNPACKED_BYTES_MAX} bytes")
            if one.isdir():
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            source = opened.extractfile(one)
            if source is not None:
                with open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
