"""Models below a prefix of a bucket: found as in a folder, brought once, followed as the bucket changes."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker.model_bucket import LOOK_SECONDS, MISSING_SECONDS, Keys, ModelBucket
from modelyard_worker.model_cache import SWEEP_SECONDS, ModelCache
from modelyard_worker.model_folder import ModelFolder, NoModel
from modelyard_worker.object_cache import ObjectCache, Wanted
from modelyard_worker.object_store import Listed, ObjectStore, Place
from modelyard_worker.request import Refusal

from tests.unit.worker.test_model_folder import Clock, put


class Bucket:
    """An object store in memory, which counts what is asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.listings: list[str] = []
        self.read: list[tuple[str, int]] = []
        self.away = False
        self.break_after: int | None = None

    def put(self, **contents: str) -> None:
        for key, content in contents.items():
            self.objects[key] = content.encode()

    def find(self, prefix: Place) -> Iterator[Listed]:
        self._answer()
        self.listings.append(prefix.key)
        for key in sorted(self.objects):
            if key.startswith(prefix.key):
                yield self.listed(key)

    def listed(self, key: str) -> Listed:
        content = self.objects[key]
        return Listed(Place("bucket", key), len(content), hashlib.md5(content).hexdigest())

    def stream(self, url: str, begin: int, identity: str) -> Iterator[bytes]:
        self._answer()
        key = url.removeprefix("s3://bucket/")
        content = self.objects[key]
        if identity != f"{hashlib.md5(content).hexdigest()} {len(content)}":
            raise OSError("it is another than it was when it was listed")
        self.read.append((key, begin))
        if self.break_after is not None:
            yield content[begin : begin + self.break_after]
            raise OSError("the connection ended")
        yield content[begin:]

    def _answer(self) -> None:
        if self.away:
            raise OSError("nobody answers")


class World:
    def __init__(self, folder: Path, root: str | None = "s3://bucket/m", paths: dict[str, str] | None = None) -> None:
        self.clock = Clock()
        self.bucket = Bucket()
        self.copies = ObjectCache(str(folder), 1000, self.bucket.stream)
        store = cast("ObjectStore", self.bucket)
        self.models = ModelBucket(root, paths or {}, self.copies, store, self.clock, self._pause)
        self.pauses: list[Any] = []
        """What happens to the bucket at each pause."""
        self.cache: ModelCache[str] = ModelCache(self.models, _text, None, None, lambda: 0, self.clock)

    def _pause(self, _: float) -> None:
        if self.pauses:
            self.pauses.pop(0)()

    def get(self, name: str) -> str:
        """As it is asked for, with every look done that was to be done later."""
        self.settle()
        return self.cache.get(name)

    def settle(self) -> None:
        """Waits for the thread that looks."""
        while self.models._waiting:
            os.sched_yield()

    def pass_seconds(self, seconds: float) -> None:
        self.settle()
        self.clock.now += seconds


def _text(path: str) -> str:
    place = Path(path)
    return place.read_text() if place.is_file() else "+".join(sorted(one.read_text() for one in place.iterdir()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "copies")


# -- found as in a folder --------------------------------------------------------------------------------------------

_part = st.sampled_from(["a", "ab", "1", "2", "10", "a.ubj", "ab.joblib", "MLmodel", "a-b", "a.b", "x.tar.gz"])
_names = st.lists(st.lists(_part, min_size=1, max_size=3).map("/".join), min_size=1, max_size=6)


@given(_names, st.lists(_part, min_size=1, max_size=3).map("/".join), st.sampled_from(["latest", "1", "2"]))
def test_a_bucket_has_the_models_that_the_same_files_have_in_a_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], asked: str, version: str
) -> None:
    # A bucket may have an object beside others below its name; a folder cannot.
    files = sorted({one for one in names if not any(other.startswith(f"{one}/") for other in names)})
    folder = tmp_path_factory.mktemp("same")
    here = put(folder, *files)
    world = World(folder / "copies", "s3://bucket")
    world.bucket.put(**dict.fromkeys(files, "x"))

    def found(models: ModelFolder | ModelBucket) -> tuple[str, str] | None:
        try:
            place = models.find(asked, version)
        except NoModel:
            return None
        return place.key, os.path.relpath(place.path, folder) if models is here else place.path

    assert found(world.models) == found(here)
    keys = Keys(files)
    assert ModelFolder("", None, keys).names() == here.names() == world.models.names()


@pytest.mark.parametrize("name", ["../secret", "/secret", "a//b", ""])
def test_a_name_never_leads_out_of_the_prefix(world: World, name: str) -> None:
    world.bucket.put(secret="x")
    with pytest.raises(NoModel):
        world.models.find(name)
    assert not world.bucket.listings


def test_a_key_that_is_no_path_is_no_part_of_a_model(world: World) -> None:
    world.bucket.put(**{"m/price/../../etc": "x", "m/price/model": "y"})
    assert world.get("price") == "y"


def test_a_path_may_be_an_object_or_a_folder_of_objects(tmp_path: Path) -> None:
    world = World(tmp_path, None, {"one": "s3://bucket/deep/x.ubj", "two": "s3://bucket/deep/y/"})
    world.bucket.put(**{"deep/x.ubj": "x", "deep/y/1": "1", "deep/y/model": "2", "deep/z": "z"})
    assert (world.get("one"), world.get("two"), world.models.names()) == ("x", "1+2", ["one", "two"])
    with pytest.raises(NoModel):
        world.get("z")


# -- brought once, and followed --------------------------------------------------------------------------------------


def test_what_is_known_is_answered_without_the_network(world: World) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    assert [world.get("price") for _ in range(3)] == ["1"] * 3
    assert (len(world.bucket.listings), len(world.bucket.read)) == (1, 1)


def test_another_process_finds_what_was_brought(world: World, tmp_path: Path) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    world.get("price")
    other = World(tmp_path / "copies")
    other.bucket.objects = world.bucket.objects
    assert (other.get("price"), other.bucket.read) == ("1", [])


def test_a_changed_object_is_brought_beside_the_requests_and_then_served(world: World) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    world.get("price")
    world.bucket.put(**{"m/price.ubj": "2"})
    world.pass_seconds(LOOK_SECONDS)
    assert world.get("price") == "1"
    seen: list[str] = []
    for _ in range(3):
        world.pass_seconds(1.0)
        seen.append(world.get("price"))
    assert seen[-1] == "2"
    assert len(world.bucket.read) == 2


def test_a_model_of_several_objects_is_served_only_when_they_have_stopped_changing(world: World) -> None:
    world.bucket.put(**{"m/price/1/a": "a", "m/price/1/b": "b"})
    assert world.get("price") == "a+b"
    world.bucket.put(**{"m/price/2/a": "A"})
    world.pauses = [lambda: world.bucket.put(**{"m/price/2/b": "B"}), lambda: None]
    world.pass_seconds(LOOK_SECONDS)
    world.get("price")
    world.pass_seconds(1.0)
    assert world.get("price") == "A+B"


def test_what_vanished_is_gone_and_what_comes_later_is_found(world: World) -> None:
    world.bucket.put(**{"m/price.ubj": "1", "m/rent.ubj": "2"})
    world.get("price")
    world.get("rent")
    world.bucket.objects.clear()
    for _ in range(2):
        world.pass_seconds(SWEEP_SECONDS)
        try:
            world.get("price")
        except NoModel:
            break
    with pytest.raises(NoModel):
        world.get("price")
    for _ in range(3):
        world.pass_seconds(SWEEP_SECONDS)
        with pytest.raises(NoModel):
            world.get("other")
    assert world.cache.loaded() == []
    world.bucket.put(**{"m/price.ubj": "3"})
    world.pass_seconds(MISSING_SECONDS)
    assert world.get("price") == "3"


def test_who_asks_for_what_is_not_there_asks_the_bucket_once_a_second(world: World) -> None:
    for _ in range(5):
        with pytest.raises(NoModel):
            world.get("none")
    assert len(world.bucket.listings) == 1


def test_while_the_bucket_is_away_what_is_known_serves_on_and_what_is_not_is_refused_for_now(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    world.get("price")
    world.bucket.away = True
    for _ in range(3):
        world.pass_seconds(LOOK_SECONDS)
        assert world.get("price") == "1"
    with pytest.raises(Refusal, match="cannot fetch model rent") as refused:
        world.get("rent")
    assert refused.value.status == 503
    world.settle()
    assert capsys.readouterr().err.count("the bucket does not answer") == 1
    world.bucket.away = False
    world.bucket.put(**{"m/rent.ubj": "2"})
    assert world.get("rent") == "2"


def test_what_changes_between_look_and_copy_is_looked_at_again(world: World) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    world.models.find("price")
    world.bucket.put(**{"m/price.ubj": "22"})
    with pytest.raises(Refusal, match="another than it was"):
        world.get("price")
    assert world.get("price") == "22"


# -- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_that_broke_off_goes_on_where_it_stopped(world: World) -> None:
    world.bucket.put(**{"m/price.ubj": "0123456789"})
    world.bucket.break_after = 4
    for _ in range(2):
        with pytest.raises(Refusal, match="the connection ended"):
            world.get("price")
    world.bucket.break_after = None
    assert world.get("price") == "0123456789"
    assert [begin for _, begin in world.bucket.read] == [0, 4, 8]


def test_copies_are_bounded_and_those_used_longest_ago_go(world: World, tmp_path: Path) -> None:
    for number in range(5):
        name = f"n{number}"
        world.bucket.put(**{f"m/{name}.ubj": str(number) * 300})
        world.get(name)
        for place in (tmp_path / "copies").iterdir():
            # A second older for each that comes later: file systems stamp coarsely.
            earlier = place.stat().st_mtime - 1
            os.utime(place, (earlier, earlier))
    kept = sorted(path.name for path in (tmp_path / "copies").rglob("*.ubj"))
    assert kept == ["n2.ubj", "n3.ubj", "n4.ubj"]


def test_what_somebody_reads_is_not_removed(world: World, tmp_path: Path) -> None:
    world.bucket.put(**{"m/price.ubj": "x" * 900, "m/rent.ubj": "y" * 900})
    listed = world.bucket.listed("m/price.ubj")
    with world.copies.brought("price.ubj", [Wanted(listed, "")]) as path:
        assert world.get("rent") == "y" * 900
        assert Path(path).read_text() == "x" * 900
    world.copies.make_room(900)
    assert not list((tmp_path / "copies").iterdir())


def test_who_finds_another_bringing_it_waits_and_copies_nothing(world: World, tmp_path: Path) -> None:
    world.bucket.put(**{"m/price.ubj": "1"})
    wanted = [Wanted(world.bucket.listed("m/price.ubj"), "")]
    with world.copies.brought("price.ubj", wanted) as path:
        folder = Path(path).parent
    aside = folder.with_name(f"{folder.name}.part")
    folder.rename(aside)
    held = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        # The other process comes to its end while this one waits.
        aside.rename(folder)
        os._exit(0)
    os.close(held)
    with world.copies.brought("price.ubj", wanted) as again:
        assert Path(again).read_text() == "1"
    os.waitpid(child, 0)
    assert len(world.bucket.read) == 1
