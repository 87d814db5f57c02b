"""Models by name below a prefix of a bucket, with the same names and versions as in a folder (`model_folder`).

A name is looked up in the bucket when it is asked for the first time, and its objects are brought to this machine then.
From there on no request waits for the network: names that are asked for are looked at again by a thread of its own,
at most every LOOK_SECONDS. What changed is brought before it is told of, and only when two looks one after the other
see the same, as a model of several objects is uploaded one by one. What is gone is gone. While the bucket cannot be
reached, what was known goes on serving.
"""

import contextlib
import hashlib
import os
import queue
import threading
import time
from collections import OrderedDict
from typing import Callable, Dict, Generator, Iterator, List, NamedTuple, Optional, Set, Tuple

from modelyard_worker import object_store
from modelyard_worker.batching import report
from modelyard_worker.model_folder import (
    ENTRIES_LOOKED_AT_MAX,
    NEWEST,
    ModelFolder,
    NoModel,
    Place,
    Stamp,
    check_name,
    stem_of,
)
from modelyard_worker.object_cache import ObjectCache, Wanted
from modelyard_worker.object_store import Listed, ObjectStore, parse_place
from modelyard_worker.request import Refusal
from modelyard_worker.transform.remote import reason

LOOK_SECONDS = 5.0
"""A name that is asked for is looked at again in the bucket no oftener."""

MISSING_SECONDS = 1.0
"""For so long a name that was not found is not looked for again."""

SETTLE_SECONDS = 1.0
"""Between two looks that have to see the same."""

SETTLE_LOOKS_MAX = 30
NAMES_KEPT_MAX = 20_000
"""Names whose objects are remembered."""

LOOKS_WAITING_MAX = 1000

_Asked = Tuple[str, str]
"""A name and a version as they are asked for."""


class _Found(NamedTuple):
    place: Place
    """Its path is a key: it is told apart by it, and shown with its bucket."""
    objects: Tuple[Listed, ...]
    prefix: str
    """Key of the object or folder."""


class _Known:
    __slots__ = ("found", "looked_at")

    def __init__(self, found: Optional[_Found], looked_at: float) -> None:
        self.found = found
        self.looked_at = looked_at


class Keys:
    """Objects as a tree of files in folders."""

    def __init__(self, names: "List[str]") -> None:
        self._folders: Dict[str, Dict[str, bool]] = {"": {}}
        for name in names:
            folder, _, file = name.rpartition("/")
            self._add(folder, file, is_file=True)

    def _add(self, folder: str, name: str, *, is_file: bool) -> None:
        if folder not in self._folders:
            self._folders[folder] = {}
            above, _, own = folder.rpartition("/")
            self._add(above, own, is_file=False)
        self._folders[folder][name] = is_file

    def exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return path in self._folders or name in self._folders.get(folder, {})

    def is_folder(self, path: str) -> bool:
        return path in self._folders

    def scan(self, path: str) -> List[Tuple[str, bool]]:
        if path not in self._folders:
            raise FileNotFoundError(path)
        return list(self._folders[path].items())


class ModelBucket:
    """The models below `root`, an `s3://` URL, and those whose own URLs `paths` names."""

    def __init__(
        self,
        root: Optional[str],
        paths: Dict[str, str],
        cache: ObjectCache,
        store: Optional[ObjectStore] = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = _folder_of(root) if root is not None else None
        self._paths = {name: parse_place(url.rstrip("/")) for name, url in paths.items()}
        self._cache = cache
        self._store = store or ObjectStore()
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._known: OrderedDict[_Asked, _Known] = OrderedDict()
        self._waiting: Set[_Asked] = set()
        self._looks: queue.Queue[_Asked] = queue.Queue(LOOKS_WAITING_MAX)
        self._looking: Optional[threading.Thread] = None
        self._away = False
        """Whether the bucket could not be reached at the last look."""

    def find(self, name: str, version: str = NEWEST) -> Place:
        check_name(name)
        now = self._clock()
        with self._lock:
            known = self._known.get((name, version))
        if known is None or (known.found is None and now - known.looked_at >= MISSING_SECONDS):
            known = self._look_now(name, version)
        if known.found is None:
            raise NoModel(f"there is no model {name}" + (f" of version {version}" if version != NEWEST else ""))
        self._look_later((name, version), known, now)
        return known.found.place

    def names(self) -> List[str]:
        listed: List[str] = []
        if self._root is not None:
            keys = [one.place.key[len(self._root.key) :] for one in self._listed(self._root)]
            listed = ModelFolder("", None, Keys(keys)).names()
        return sorted({*self._paths, *listed})

    def stamp(self, place: Place) -> Optional[Stamp]:
        asked = _exactly(place)
        with self._lock:
            known = self._known.get(asked)
        if known is None or known.found is None:
            return None
        self._look_later(asked, known, self._clock())
        objects = known.found.objects
        whole = hashlib.sha256("\n".join(f"{one.place.key} {one.etag}" for one in objects).encode()).digest()
        return int.from_bytes(whole[:8], "big"), sum(one.size_bytes for one in objects), len(objects)

    @contextlib.contextmanager
    def brought(self, place: Place) -> "Generator[str]":
        with self._lock:
            known = self._known.get(_exactly(place))
        if known is None or known.found is None:
            raise NoModel(f"there is no model {place.key} any more")
        with contextlib.ExitStack() as held:
            try:
                path = held.enter_context(self._cache.brought(*_wanted(known.found)))
            except OSError as error:
                with self._lock:
                    # It may be another by now: the next request looks again.
                    self._known = OrderedDict((asked, one) for asked, one in self._known.items() if one is not known)
                raise _unavailable(place.key, error) from error
            yield path

    def check(self) -> None:
        places = [*([self._root] if self._root is not None else []), *self._paths.values()]
        for place in places[:1]:
            next(iter(self._store.find(place)), None)

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look_now(self, name: str, version: str) -> _Known:
        try:
            found = self._find(name, version)
        except OSError as error:
            raise _unavailable(name, error) from error
        return self._learn((name, version), found)

    def _learn(self, asked: _Asked, found: Optional[_Found]) -> _Known:
        known = _Known(found, self._clock())
        with self._lock:
            self._known[asked] = known
            self._known.move_to_end(asked)
            if found is not None:
                self._known[_exactly(found.place)] = known
            while len(self._known) > NAMES_KEPT_MAX:
                self._known.popitem(last=False)
        return known

    def _look_later(self, asked: _Asked, known: _Known, now: float) -> None:
        if now - known.looked_at < LOOK_SECONDS:
            return
        with self._lock:
            if asked in self._waiting or self._looks.full():
                return
            self._waiting.add(asked)
            self._looks.put_nowait(asked)
            if self._looking is None:
                self._looking = threading.Thread(target=self._go_on_looking, name="models", daemon=True)
                self._looking.start()

    def _go_on_looking(self) -> None:
        while True:
            asked = self._looks.get()
            try:
                self.look_again(*asked)
            except Exception as error:  # noqa: BLE001 (one name must not end the looks at all others)
                report(f"model {asked[0]} cannot be looked at again", error)
            with self._lock:
                self._waiting.discard(asked)

    def look_again(self, name: str, version: str) -> None:
        """One look at a name that is known, and whatever follows from it."""
        asked = (name, version)
        with self._lock:
            known = self._known.get(asked)
        before = known.found if known is not None else None
        try:
            found = self._find(name, version)
            if found is not None and found != before:
                found = self._settled(asked, found)
            if found is not None and found != before:
                with self._cache.brought(*_wanted(found)):
                    pass
        except OSError as error:
            if not self._away:
                report("the bucket does not answer; models that are known serve on", error)
            self._away = True
            if known is not None:
                known.looked_at = self._clock()
            return
        self._away = False
        self._learn(asked, found)

    def _settled(self, asked: _Asked, found: _Found) -> Optional[_Found]:
        for _ in range(SETTLE_LOOKS_MAX):
            self._pause(SETTLE_SECONDS)
            again = self._find(*asked)
            if again is None or again == found:
                return again
            found = again
        return found

    # -- in the bucket -----------------------------------------------------------------------------------------------

    def _find(self, name: str, version: str) -> Optional[_Found]:
        """Raises OSError."""
        alone = self._paths.get(name)
        if alone is not None:
            above, _, last = alone.key.rpartition("/")
            root = object_store.Place(alone.bucket, f"{above}/" if above else "")
            return self._found(root, last, lambda keys: ModelFolder(None, {name: last}, keys).find(name, version))
        if self._root is None:
            return None
        found = self._found(self._root, name, lambda keys: ModelFolder("", None, keys).find(name, version))
        before, slash, last = name.rpartition("/")
        if found is None and version == NEWEST and slash and last.isdigit():
            return self._found(self._root, before, lambda keys: ModelFolder("", None, keys).find(before, last))
        return found

    def _found(self, root: object_store.Place, name: str, find: Callable[[Keys], Place]) -> Optional[_Found]:
        """What `find` makes of the objects that `name` may mean in a folder of the bucket."""
        listed = {one.place.key[len(root.key) :]: one for one in self._around(root, name)}
        try:
            place = find(Keys(list(listed)))
        except NoModel:
            return None
        objects = tuple(one for key, one in listed.items() if key == place.path or key.startswith(f"{place.path}/"))
        return _Found(place, objects, root.key + place.path) if objects else None

    def _around(self, root: object_store.Place, name: str) -> Iterator[Listed]:
        """Objects that a name may mean: itself, what lies in it as a folder, and files of that name before an
        extension. Listings are sorted, and all of these come before NAME0."""
        folder, _, stem = name.rpartition("/")
        for one in self._listed(object_store.Place(root.bucket, root.key + name)):
            key = one.place.key[len(root.key) :]
            if key > f"{name}0":
                return
            above, _, file = key.rpartition("/")
            if key == name or key.startswith(f"{name}/") or (above == folder and stem_of(file) == stem):
                yield one

    def _listed(self, prefix: object_store.Place) -> Iterator[Listed]:
        """Those that can be files: a bucket may hold any key."""
        for number, one in enumerate(self._store.find(prefix)):
            if number >= ENTRIES_LOOKED_AT_MAX:
                return
            if all(part not in ("", ".", "..") for part in one.place.key.split("/")):
                yield one


def _folder_of(url: str) -> object_store.Place:
    place = parse_place(url)
    return place if not place.key or place.key.endswith("/") else object_store.Place(place.bucket, f"{place.key}/")


def _exactly(place: Place) -> _Asked:
    return place.name, NEWEST if place.version is None else str(place.version)


def _wanted(found: _Found) -> Tuple[str, List[Wanted]]:
    """What the cache calls it, and what belongs to it."""
    name = os.path.basename(found.prefix)
    return name, [Wanted(one, one.place.key[len(found.prefix) + 1 :]) for one in found.objects]


def _unavailable(name: str, error: OSError) -> Refusal:
    return Refusal(503, "unavailable", f"cannot predict: cannot fetch model {name} from its bucket: {reason(error)}")
