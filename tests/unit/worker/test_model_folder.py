"""Models by name in a folder, and which of them are loaded."""

import os
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker.many_models import unpack
from modelyard_worker.model_cache import LOOK_SECONDS, SWEEP_SECONDS, ModelCache
from modelyard_worker.model_folder import ModelFolder, NoModel, check_name


def put(root: Path, *names: str) -> ModelFolder:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return ModelFolder(str(root))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def text_of(path: str) -> str:
    return Path(path).read_text()


def cache_of(
    folder: ModelFolder, clock: Clock, load: Callable[[str], str] = text_of, models_max: int | None = None
) -> ModelCache[str]:
    return ModelCache(folder, load, models_max, None, lambda: 0, clock)


# -- where they lie --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "path"),
    [
        ("price", "price", "price.joblib"),
        ("price.joblib", "price.joblib", "price.joblib"),
        ("eu/rent", "eu/rent", "eu/rent.ubj"),
        ("churn", "churn/10", "churn/10"),
        ("churn/2", "churn/2", "churn/2"),
        ("whole", "whole", "whole"),
        ("packed.tar.gz", "packed.tar.gz", "packed.tar.gz"),
        ("packed", "packed", "packed.tar.gz"),
    ],
)
def test_a_name_means_a_file_a_folder_or_a_version_of_one(tmp_path: Path, name: str, key: str, path: str) -> None:
    files = ("price.joblib", "eu/rent.ubj", "churn/2/m.ubj", "churn/10/m.ubj", "whole/MLmodel", "packed.tar.gz")
    folder = put(tmp_path, *files)
    found = folder.find(name)
    assert (found.key, found.path) == (key, str(tmp_path / path))


def test_a_version_is_asked_for_by_its_number_and_the_highest_is_the_newest(tmp_path: Path) -> None:
    folder = put(tmp_path, "churn/9/m.ubj", "churn/10/m.ubj")
    assert [folder.find("churn", one).version for one in ("9", "10", "latest")] == [9, 10, 10]
    with pytest.raises(NoModel, match="of version 11"):
        folder.find("churn", "11")


def test_every_model_is_listed_by_the_name_that_finds_it(tmp_path: Path) -> None:
    put(tmp_path, "eu/rent.ubj", "eu/price.ubj", "churn/2/m.ubj", "whole/MLmodel", "whole/conda.yaml")
    folder = put(tmp_path, "price.joblib", "packed.tar.gz", "alone/model.joblib", ".hidden")
    assert folder.names() == ["alone", "churn", "eu/price", "eu/rent", "packed", "price", "whole"]
    assert all(folder.find(name) for name in folder.names())


@pytest.mark.parametrize("name", ["../price", "/etc/passwd", "eu/../../x", "", ".", "..", "a//b", ".hidden", "a\0b"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    put(tmp_path, "price.joblib", "inside/a.joblib")
    with pytest.raises(NoModel):
        ModelFolder(str(inside)).find(name)


@given(st.text(max_size=40))
def test_whatever_is_a_name_stays_below_its_folder(name: str) -> None:
    try:
        check_name(name)
    except NoModel:
        return
    path = os.path.normpath(f"/models/{name}")
    assert path.startswith("/models/")


def test_paths_are_models_wherever_they_lie(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.joblib")
    folder = ModelFolder(None, {"price": str(tmp_path / "elsewhere" / "x.joblib")})
    assert folder.names() == ["price"]
    assert folder.find("price").path.endswith("x.joblib")
    with pytest.raises(NoModel):
        folder.find("x")


# -- which are loaded ------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_once_and_the_least_recently_used_goes(tmp_path: Path, clock: Clock) -> None:
    loads: list[str] = []

    def load(path: str) -> str:
        loads.append(Path(path).name)
        return path

    cache = cache_of(put(tmp_path, "a", "b", "c"), clock, load, models_max=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name)
    assert loads == ["a", "b", "c", "b"]
    assert cache.loaded() == ["a", "b"]
    counts = cache.counts()
    assert (counts.loaded, counts.hits, counts.loads, counts.evictions) == (2, 2, 4, 2)


def test_the_loaded_are_bounded_by_what_they_take(tmp_path: Path, clock: Clock) -> None:
    held = [0]

    def load(path: str) -> str:
        held[0] += 100
        return path

    folder = put(tmp_path, *"abcd")
    cache = ModelCache(folder, load, None, 250, lambda: held[0], clock)
    for name in "abcd":
        cache.get(name)
    assert cache.loaded() == ["c", "d"]
    assert cache.counts().held_bytes == 200


def test_the_model_that_is_asked_for_stays_though_it_alone_is_too_large(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "big").write_bytes(bytes(1000))
    cache = ModelCache(ModelFolder(str(tmp_path)), lambda path: path, None, 10, lambda: 0, clock)
    cache.get("big")
    assert cache.loaded() == ["big"]


def test_a_changed_file_is_loaded_again_when_it_has_stopped_changing(tmp_path: Path, clock: Clock) -> None:
    cache = cache_of(put(tmp_path, "price"), clock)
    seen: list[str] = []
    for content in ("price", "new, half", "new, whole", "new, whole", "new, whole"):
        if (tmp_path / "price").read_text() != content:
            (tmp_path / "price").write_text(content)
        clock.now += LOOK_SECONDS
        seen.append(cache.get("price"))
    assert seen == ["price", "price", "price", "new, whole", "new, whole"]


def test_a_new_version_and_a_new_model_are_there_at_once(tmp_path: Path, clock: Clock) -> None:
    cache = cache_of(put(tmp_path, "churn/1/m"), clock, lambda path: Path(path).name)
    assert cache.get("churn") == "1"
    put(tmp_path, "churn/2/m", "late")
    assert cache.get("late") == "late"
    clock.now += LOOK_SECONDS
    assert cache.get("churn") == "2"
    assert cache.get("churn", "1") == "1"


def test_a_removed_model_is_gone_though_it_was_loaded(tmp_path: Path, clock: Clock) -> None:
    cache = cache_of(put(tmp_path, "price", "rent"), clock)
    cache.get("price")
    cache.get("rent")
    (tmp_path / "price").unlink()
    clock.now += LOOK_SECONDS
    with pytest.raises(NoModel, match="there is no model price"):
        cache.get("price")
    (tmp_path / "rent").unlink()
    put(tmp_path, "other")
    clock.now += SWEEP_SECONDS
    cache.get("other")
    assert cache.loaded() == ["other"]


def test_what_was_loaded_serves_on_where_the_new_file_cannot_be_loaded(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: str) -> str:
        if text_of(path) == "broken":
            raise ValueError("no model")
        return text_of(path)

    cache = cache_of(put(tmp_path, "price"), clock, load)
    assert cache.get("price") == "price"
    (tmp_path / "price").write_text("broken")
    for _ in range(4):
        clock.now += LOOK_SECONDS
        assert cache.get("price") == "price"
    assert capsys.readouterr().err.count("cannot be loaded again") == 1


# -- archives --------------------------------------------------------------------------------------------------------


def archive(path: Path, name: str, kind: bytes = tarfile.REGTYPE) -> str:
    with tarfile.open(path, "w:gz") as opened:
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.size = 3 if kind == tarfile.REGTYPE else 0
        entry.linkname = "/etc/passwd"
        opened.addfile(entry, BytesIO(b"abc"))
    return str(path)


def test_an_archive_is_unpacked_as_it_is(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    unpack(archive(tmp_path / "m.tar.gz", "./code/inference.py"), str(into))
    assert (into / "code" / "inference.py").read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../out", tarfile.REGTYPE), ("/etc/out", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("link", tarfile.LNKTYPE)],
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ValueError, match="cannot unpack"):
        unpack(archive(tmp_path / "m.tar.gz", name, kind), str(into))
    assert not list(into.iterdir())
