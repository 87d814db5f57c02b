"""The yard as a data remote of the real DVC client."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from modelyard.sdk.address import Address
from modelyard.sdk.environment import environment_lines
from tests.acceptance.yard import Yard, eventually
from tests.guests.dvc.conftest import REMOTE
from tests.guests.dvc.project import Project

MANY = 2000
MANY_SECONDS_MAX = 60.0


def objects(yard: Yard) -> set[str]:
    root = yard.home / "dvc" / REMOTE / "files" / "md5"
    return {f"{one.parent.name}{one.name}" for one in root.glob("*/*")}


def test_what_is_pushed_comes_into_a_fresh_clone(yard: Yard, project: Project, clone: Callable[[], Project]) -> None:
    project.write("train.csv", "1,2\n3,4\n")
    project.write("pictures/cat/1.txt", "a cat")
    project.write("pictures/dog/1.txt", "a dog")
    project.dvc("add", "train.csv", "pictures")
    project.commit("data")
    assert "new" in project.dvc("status", "--cloud")
    assert "4 files pushed" in project.dvc("push")
    assert "in sync" in project.dvc("status", "--cloud")
    assert sum(name.endswith(".dir") for name in objects(yard)) == 1

    other = clone()
    assert "4 files fetched" in other.dvc("fetch")
    other.dvc("pull")
    assert (other.folder / "train.csv").read_text() == "1,2\n3,4\n"
    assert (other.folder / "pictures" / "dog" / "1.txt").read_text() == "a dog"


def test_garbage_is_collected_on_the_yards_machine_where_the_remote_is_a_folder_of_dvcs_own_layout(
    yard: Yard, project: Project, clone: Callable[[], Project]
) -> None:
    for content in ("first", "second"):
        project.write("train.csv", content)
        project.dvc("add", "train.csv")
        project.commit(content)
        project.dvc("push")
    assert len(objects(yard)) == 2
    # The client cannot list any HTTP remote, whoever serves it; it must not lose anything by trying.
    project.dvc("gc", "--workspace", "--cloud", "--force", fails=True)
    assert len(objects(yard)) == 2
    project.dvc("remote", "add", "--local", "folder", str(yard.home / "dvc" / REMOTE))
    project.dvc("gc", "--workspace", "--cloud", "--remote", "folder", "--force")
    assert len(objects(yard)) == 1
    other = clone()
    other.dvc("pull")
    assert (other.folder / "train.csv").read_text() == "second"


def test_a_wrong_key_is_refused(project: Project) -> None:
    project.write("train.csv", "1")
    project.dvc("add", "train.csv")
    project.give_key("another-yard's")
    assert "401" in project.dvc("push", fails=True)


def test_what_the_yard_prints_makes_it_the_remote_of_a_project_and_does_so_twice(
    yard: Yard, tmp_path: Path, dvc: Path
) -> None:
    other = Project(tmp_path / "other", dvc).begin()
    printed = environment_lines(Address(yard.url, yard.key), "dvc", "rents")
    for _ in range(2):
        for line in printed:
            program, *words = shlex.split(line)
            assert program == "dvc"
            other.dvc(*words)
    assert yard.key not in (other.folder / ".dvc" / "config").read_text()
    other.write("rents.csv", "1,2")
    other.dvc("add", "rents.csv")
    assert "1 file pushed" in other.dvc("push")
    assert (yard.home / "dvc" / "rents").is_dir()


def test_an_empty_file_and_a_large_one_go_through(project: Project, clone: Callable[[], Project]) -> None:
    project.write("empty.csv", "")
    project.write("large.csv", "0123456789abcdef" * 2**21)
    project.dvc("add", "empty.csv", "large.csv")
    project.commit("data")
    project.dvc("push")
    other = clone()
    other.dvc("pull")
    for name in ("empty.csv", "large.csv"):
        assert (other.folder / name).read_bytes() == (project.folder / name).read_bytes()


def test_thousands_of_small_files_are_pushed_and_pulled_in_good_time(
    yard: Yard, project: Project, clone: Callable[[], Project]
) -> None:
    for number in range(MANY):
        project.write(f"many/{number}.txt", f"file {number}")
    project.dvc("add", "many")
    project.commit("data")
    began = time.monotonic()
    project.dvc("push", "--jobs", "16")
    pushed = time.monotonic()
    assert len(objects(yard)) == MANY + 1
    other = clone()
    other.dvc("pull", "--jobs", "16")
    pulled = time.monotonic()
    print(f"{MANY} files: pushed in {pushed - began:.1f} s, cloned and pulled in {pulled - pushed:.1f} s")
    assert pulled - began < MANY_SECONDS_MAX
    assert len(list((other.folder / "many").iterdir())) == MANY


def test_a_push_that_lost_its_yard_is_completed_by_the_next(
    yard: Yard, project: Project, clone: Callable[[], Project]
) -> None:
    for number in range(MANY // 4):
        project.write(f"many/{number}.txt", f"file {number}" * 1000)
    project.dvc("add", "many")
    project.commit("data")
    push = project.start_dvc("push", "--jobs", "4")
    eventually(lambda: len(objects(yard)) > 20)
    yard.kill("control")
    push.communicate(timeout=120)
    eventually(lambda: yard.client().status(), saying="control again")

    project.dvc("push")
    assert "in sync" in project.dvc("status", "--cloud")
    shutil.rmtree(project.folder / ".dvc" / "cache")
    other = clone()
    other.dvc("pull")
    assert _contents(other.folder / "many") == _contents(project.folder / "many")


def _contents(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in folder.iterdir()}
