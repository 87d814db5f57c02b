"""Models that are loaded, the least recently used out first, and followed as their files change.

A file is looked at when its model is asked for, and not twice within LOOK_SECONDS: a model that is new is there at
once, one that was removed is gone, and one that changed is loaded again. A file that is still being written changes
from look to look; it is loaded when it has stopped. Where loading it again fails, what was loaded before goes on
serving, and the output says why.
"""

import threading
import time
from collections import OrderedDict
from typing import Any, Callable, Dict, Generic, List, NamedTuple, Optional, Tuple, TypeVar

from modelyard_worker import model_folder
from modelyard_worker.batching import report
from modelyard_worker.model_folder import NEWEST, NoModel, Place, Stamp

LOOK_SECONDS = 0.5
"""A model's file is looked at no oftener."""

SWEEP_SECONDS = 10.0
"""How often it is looked whether files of loaded models are gone, if anything is asked for."""

MODELS_MAX = 1000
"""Loaded at once where nothing else is said."""

ModelT = TypeVar("ModelT")


class Counts(NamedTuple):
    """What became of the models asked for, since the beginning; SageMaker counts the same."""

    loaded: int
    """How many are loaded now."""
    held_bytes: int
    """What they were seen to take, together."""
    hits: int
    loads: int
    evictions: int


class _Entry(Generic[ModelT]):
    __slots__ = ("changing", "held_bytes", "looked_at", "model", "path", "place", "stamp")

    def __init__(
        self, place: Place, path: str, model: ModelT, stamp: Optional[Stamp], held_bytes: int, now: float
    ) -> None:
        self.place = place
        self.path = path
        """Where it was loaded from."""
        self.model = model
        self.stamp = stamp
        self.held_bytes = held_bytes
        self.looked_at = now
        self.changing: Optional[Stamp] = None
        """What the file was at the last look, where that is not what was loaded."""


class ModelCache(Generic[ModelT]):
    """Safe to be asked by several threads: what is loading is waited for, and only by those who want it."""

    def __init__(
        self,
        folder: model_folder.Models,
        load: Callable[[str], ModelT],
        models_max: Optional[int] = None,
        bytes_max: Optional[int] = None,
        private_bytes: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` makes a model of a path; `private_bytes` says what this process holds, from which follows what a model
        takes."""
        self.folder = folder
        self.load = load
        self.let_go: Callable[[str], None] = lambda _: None
        """Called with the path of a model that is loaded no more."""
        self.changed: Callable[[Counts], None] = lambda _: None
        """Called when a model was loaded or let go of, by one thread at a time."""
        self._models_max = models_max or MODELS_MAX
        self._bytes_max = bytes_max
        self._private_bytes = private_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[ModelT]] = OrderedDict()
        self._asked: Dict[Tuple[str, str], Tuple[str, float]] = {}
        """What was asked for -> the key that it meant, and when that was found out."""
        self._lock = threading.RLock()
        self._loading: Dict[str, threading.Lock] = {}
        self._hits = self._loads = self._evictions = 0
        self._swept_at = clock()

    def get(self, name: str, version: str = NEWEST) -> ModelT:
        """Raises NoModel, and whatever loading raises."""
        now = self._clock()
        with self._lock:
            key, found_at = self._asked.get((name, version), ("", now - LOOK_SECONDS))
            entry = self._entries.get(key)
            if entry is not None and now - found_at < LOOK_SECONDS:
                return self._used(key, entry)
        return self._look(name, version, now)

    def counts(self) -> Counts:
        with self._lock:
            held = sum(one.held_bytes for one in self._entries.values())
            return Counts(len(self._entries), held, self._hits, self._loads, self._evictions)

    def loaded(self) -> List[str]:
        """Keys of what is loaded, the least recently used first."""
        with self._lock:
            return list(self._entries)

    def _drop_removed(self, now: float) -> None:
        """Lets go of models whose files are gone, though nobody asks for them any more."""
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        with self._lock:
            entries = list(self._entries.items())
        for key, entry in entries:
            if self.folder.stamp(entry.place) is None:
                self._drop(key, entry)
                print(f"model {key} is let go of: its file is gone", flush=True)

    def _drop(self, key: str, entry: "Optional[_Entry[ModelT]]") -> None:
        with self._lock:
            if entry is None or self._entries.get(key) is not entry:
                return
            del self._entries[key]
            self.changed(self.counts())
        self.let_go(entry.path)

    def _look(self, name: str, version: str, now: float) -> ModelT:
        self._drop_removed(now)
        try:
            place = self.folder.find(name, version)
        except NoModel:
            with self._lock:
                key, _ = self._asked.pop((name, version), ("", 0.0))
                entry = self._entries.get(key)
            self._drop(key, entry)
            raise
        with self._lock:
            if len(self._asked) >= 4 * MODELS_MAX:
                self._asked.clear()
            self._asked[name, version] = place.key, now
            entry = self._entries.get(place.key)
            loading = self._loading.setdefault(place.key, threading.Lock())
            if entry is not None and not self._is_to_be_loaded_again(entry, place, now):
                return self._used(place.key, entry)
        with loading:
            try:
                return self._load(place, now, entry)
            finally:
                with self._lock:
                    self._loading.pop(place.key, None)

    def _is_to_be_loaded_again(self, entry: "_Entry[ModelT]", place: Place, now: float) -> bool:
        if now - entry.looked_at < LOOK_SECONDS and entry.place == place:
            return False
        entry.looked_at = now
        stamp = self.folder.stamp(place)
        if entry.place == place and stamp == entry.stamp:
            entry.changing = None
            return False
        settled, entry.changing = stamp == entry.changing, stamp
        return settled

    def _load(self, place: Place, now: float, before: "Optional[_Entry[ModelT]]") -> ModelT:
        with self._lock:
            entry = self._entries.get(place.key)
            if entry is not None and entry is not before:
                return self._used(place.key, entry)  # another thread has just loaded it
        stamp = self.folder.stamp(place)
        began = time.monotonic()
        try:
            with self.folder.brought(place) as path:
                held = self._private_bytes()
                model = self.load(path)
        except Exception as error:
            if before is None:
                raise
            before.stamp, before.changing = stamp, None
            report(f"model {place.key} changed and cannot be loaded again; what was loaded before serves on", error)
            return self._used(place.key, before)
        size = max(self._private_bytes() - held, stamp[1] if stamp is not None else 0)
        with self._lock:
            self._entries[place.key] = _Entry(place, path, model, stamp, size, now)
            self._entries.move_to_end(place.key)
            self._loads += 1
            again = "loaded again" if before is not None else "loaded"
            print(f"model {place.key} {again} in {time.monotonic() - began:.3f} s", flush=True)
            self._make_room(place.key)
            self.changed(self.counts())
        if before is not None and before.path != path:
            self.let_go(before.path)
        return model

    def _make_room(self, newest: str) -> None:
        """The newest stays, even where it alone is over the bound: it was asked for."""
        while len(self._entries) > 1 and self._is_full():
            key = next(one for one in self._entries if one != newest)
            entry = self._entries.pop(key)
            self._evictions += 1
            self.let_go(entry.path)
            print(f"model {key} is let go of: others were asked for later ({entry.held_bytes} bytes)", flush=True)

    def _is_full(self) -> bool:
        if len(self._entries) > self._models_max:
            return True
        held = sum(one.held_bytes for one in self._entries.values())
        return self._bytes_max is not None and held > self._bytes_max

    def _used(self, key: str, entry: "_Entry[ModelT]") -> ModelT:
        with self._lock:
            self._hits += 1
            if key in self._entries:
                self._entries.move_to_end(key)
        return entry.model


class Models:
    """What a predictor asks for models, as Cortex's client for Python has it."""

    def __init__(self, cache: "ModelCache[Any]") -> None:
        self._cache = cache

    def get_model(self, model_name: Optional[str] = None, model_version: "str | int" = NEWEST) -> Any:
        """The model of that name, loaded by the predictor's `load_model` or by the loader that knows its file. Without
        a name the only one there is. Raises NoModel."""
        if model_name is None:
            names = self._cache.folder.names()
            if len(names) != 1:
                raise NoModel(f"cannot tell which model is meant: there are {len(names)}; name one")
            model_name = names[0]
        return self._cache.get(model_name, str(model_version))

    def names(self) -> List[str]:
        """The models that there are, loaded or not."""
        return self._cache.folder.names()
