"""Environments built by the real uv: shared, remembered, never half there, collected when unused."""

import asyncio
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from modelyard_worker.packages import EnvironmentSpec, Package

from modelyard.errors import StartFailed
from modelyard.packaging import environments as module
from modelyard.packaging.environments import Environments
from modelyard.packaging.worker_wheel import worker_wheel

pytestmark = [pytest.mark.environments, pytest.mark.timeout(120)]

Make = Callable[..., Package]


@pytest.fixture(autouse=True)
def cache_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded once is not downloaded again."""
    found = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    monkeypatch.setenv("UV_CACHE_DIR", str(Path(found) / "modelyard-tests" / "uv"))


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture
def package(tmp_path: Path) -> Make:
    def make(name: str, requirements: str, **files: str) -> Package:
        code = tmp_path / name / "code"
        code.mkdir(parents=True, exist_ok=True)
        (code / "requirements.txt").write_text(requirements)
        for path, text in files.items():
            (code / path.replace("__", ".")).write_text(text)
        return Package(str(tmp_path / name), None, None, [], EnvironmentSpec(None, "requirements.txt", "", None))

    return make


def ensure(environments: Environments, package: Package) -> str:
    return asyncio.run(environments.ensure(package, "build", lambda _step: None))


def has(python: str, name: str) -> bool:
    return subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def test_packages_with_the_same_requirements_share_one_environment(environments: Environments, package: Make) -> None:
    first = package("one", "iniconfig==2.0.0\n", other__py="1")
    second = package("two", "iniconfig==2.0.0\n", other__py="2")
    python = ensure(environments, first)
    assert environments.find(second) == python
    assert has(python, "iniconfig")
    assert has(python, "modelyard_worker")
    assert not has(python, "numpy")


def test_what_was_resolved_once_stays_so_for_the_same_requirements(environments: Environments, package: Make) -> None:
    one = package("one", "iniconfig\n")
    python = ensure(environments, one)
    asked = environments.asked(one)
    assert asked is not None
    assert "--hash=sha256:" in asked.lock
    # The environment is gone, and built again it is the same, whatever the registry would say today.
    for place in (Path(python).parents[1],):
        place.rename(place.with_name("gone"))
    assert environments.find(one) is None
    assert ensure(environments, one) == python


def test_a_build_that_fails_leaves_nothing_that_counts(environments: Environments, package: Make) -> None:
    one = package("one", "iniconfig==2.0.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(StartFailed) as failure:
        ensure(environments, one)
    assert "ash mismatch" in failure.value.message
    assert environments.find(one) is None
    left = {path.name for path in environments.builds.parent.iterdir()}
    assert left <= {"builds", "asked", "cache"}


def test_a_build_that_is_cancelled_ends_uv_and_leaves_nothing(environments: Environments, package: Make) -> None:
    async def cancel() -> None:
        began = asyncio.Event()
        building = asyncio.create_task(
            environments.ensure(package("one", "iniconfig==2.0.0\n"), "build", lambda _step: began.set())
        )
        await began.wait()
        await asyncio.sleep(0)
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building

    asyncio.run(cancel())
    assert not list(environments.builds.parent.glob(".aside-*"))


def test_no_network_is_said_in_the_words_of_uv(
    environments: Environments, package: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    one = package("one", "iniconfig==2.0.0\n")
    with pytest.raises(StartFailed, match="network was disabled") as failure:
        ensure(environments, one)
    assert "deploy again" in str(failure.value.hint)


def test_changed_files_that_requirements_include_are_other_requirements(
    environments: Environments, package: Make
) -> None:
    digests = {
        module.asked_digest(package("one", "-r more.txt\n", more__txt=f"iniconfig=={version}\n"))
        for version in ("2.0.0", "2.1.0")
    }
    assert len(digests) == 2


def test_unused_environments_go_but_for_the_last_ones_and_those_of_today(
    environments: Environments, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [package(f"one-{version}", f"iniconfig=={version}\n") for version in ("2.0.0", "2.1.0", "2.3.0")]
    for one in packages:
        ensure(environments, one)
    monkeypatch.setattr(module, "UNUSED_KEPT", 1)
    now = time.time()
    assert environments.collect([packages[0]], now) == []
    gone = environments.collect([packages[0]], now + module.UNUSED_KEPT_SECONDS + 60)
    assert len(gone) == 1
    assert environments.find(packages[0]) is not None
    assert environments.find(packages[1]) is None
    assert environments.find(packages[2]) is not None


def test_the_wheel_of_the_worker_lists_every_file_with_its_digest() -> None:
    wheel = worker_wheel()
    with zipfile.ZipFile(BytesIO(wheel.content)) as archive:
        names = set(archive.namelist())
        record = next(name for name in names if name.endswith("RECORD"))
        listed = {line.split(",")[0] for line in archive.read(record).decode().splitlines()}
    assert names == listed
    assert {"modelyard_worker/__main__.py", "modelyard_worker/loaders/xgboost.py"} <= names
    worker_wheel.cache_clear()
    assert worker_wheel() == wheel


def test_what_a_package_got_is_remembered_as_plain_json(environments: Environments, package: Make) -> None:
    ensure(environments, package("one", "iniconfig==2.0.0\n"))
    (remembered,) = (environments.builds.parent / "asked").iterdir()
    assert set(json.loads(remembered.read_text())) == {"lock", "python_version", "environment", "worker"}
