"""Trainings that read what DVC tracks: from the yard, from the project's cache, and with DVC's own help."""

import os
import shutil
from pathlib import Path

import pytest

from modelyard.errors import NotFound
from modelyard.sdk.client import Client
from modelyard.sdk.views import RunView
from tests.acceptance.yard import Yard
from tests.guests.dvc.project import Project

SCRIPT = """
import os, pathlib
folder = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
for file in sorted(folder.rglob("*")):
    if file.is_file():
        print("read", file.relative_to(folder), file.read_text())
"""


def train(client: Client, project: Project, source: str) -> tuple[RunView, list[str]]:
    """The run, and what it read."""
    (project.folder / "train.py").write_text(SCRIPT)
    run = client.train("reading", entry="train.py", inputs={"train": source}, source=project.folder)
    ended = client.wait_run(run["id"], limit_seconds=60)
    assert ended["status"] == "Completed", ended
    return ended, [line.removeprefix("read ") for line in client.run_logs(run["id"]) if line.startswith("read ")]


def forget_data(project: Project) -> None:
    shutil.rmtree(project.folder / ".dvc" / "cache")
    for path in ("data/train.csv", "pictures"):
        place = project.folder / path
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


@pytest.fixture
def versions(project: Project) -> Project:
    """A project whose data has two versions, v1 and v2."""
    for version in ("v1", "v2"):
        project.write("data/train.csv", f"rows of {version}")
        project.write("pictures/cat/1.txt", f"cat {version}")
        project.write("pictures/dog/1.txt", f"dog {version}")
        project.dvc("add", "data/train.csv", "pictures")
        project.commit(version)
        project.git("tag", version)
    return project


@pytest.fixture
def without_dvc() -> None:
    """A machine on which DVC is not installed, as those are where the yard's own client trains."""
    assert shutil.which("dvc") is None


@pytest.mark.usefixtures("without_dvc")
def test_a_training_reads_either_version_from_the_yard_without_dvc(yard: Yard, versions: Project) -> None:
    versions.dvc("push", "--all-tags")
    forget_data(versions)
    client = yard.client()
    old, read = train(client, versions, "dvc:data/train.csv@v1")
    assert read == ["train.csv rows of v1"]
    assert old["sources"] == {"train": "dvc:data/train.csv@v1"}
    new, read = train(client, versions, "dvc:data/train.csv")
    assert read == ["train.csv rows of v2"]
    assert old["inputs"] != new["inputs"]
    again, _ = train(client, versions, "dvc:data/train.csv@v2")
    assert again["inputs"] == new["inputs"]


@pytest.mark.usefixtures("without_dvc")
def test_a_tracked_folder_is_read_whole_or_in_part(yard: Yard, versions: Project) -> None:
    versions.dvc("push", "--all-tags")
    forget_data(versions)
    client = yard.client()
    assert train(client, versions, "dvc:pictures@v1")[1] == ["cat/1.txt cat v1", "dog/1.txt dog v1"]
    assert train(client, versions, "dvc:pictures/dog@v2")[1] == ["1.txt dog v2"]
    assert train(client, versions, "dvc:pictures/dog/1.txt@v1")[1] == ["1.txt dog v1"]


@pytest.mark.usefixtures("without_dvc")
def test_what_was_not_pushed_is_read_from_the_projects_cache_or_refused(yard: Yard, versions: Project) -> None:
    client = yard.client()
    assert train(client, versions, "dvc:data/train.csv@v1")[1] == ["train.csv rows of v1"]
    assert train(client, versions, "dvc:pictures/cat@v1")[1] == ["1.txt cat v1"]
    forget_data(versions)
    with pytest.raises(NotFound, match="neither this yard nor the project's cache") as refused:
        train(client, versions, "dvc:data/train.csv@v1")
    assert "modelyard env dvc" in str(refused.value.hint)
    with pytest.raises(NotFound, match="cannot find revision v9"):
        train(client, versions, "dvc:data/train.csv@v9")
    with pytest.raises(NotFound, match="among what DVC tracks"):
        train(client, versions, "dvc:data/test.csv@v1")


def test_another_remotes_data_comes_with_dvcs_own_help(
    yard: Yard, versions: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.dvc("remote", "add", "--default", "--force", "elsewhere", str(tmp_path / "elsewhere"))
    versions.dvc("push", "--all-tags")
    forget_data(versions)
    monkeypatch.setenv("PATH", f"{versions.command.parent}{os.pathsep}{os.environ['PATH']}")
    assert train(yard.client(), versions, "dvc:data/train.csv@v1")[1] == ["train.csv rows of v1"]
