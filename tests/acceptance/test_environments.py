"""Packages in environments of their own, in a real yard: built by uv, shared, refused with uv's words."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from modelyard.sdk.waiting import endpoint_serves
from tests.acceptance.yard import Yard

pytestmark = [pytest.mark.acceptance, pytest.mark.environments, pytest.mark.timeout(300)]

YARD_FILE = "- name: {name}\n  predictor: {{path: predictor.py}}\n  compute: {{cpu: 100m}}\n"
PREDICTOR = """
import sys

try:
    import iniconfig
    found = iniconfig.__file__
except ImportError:
    found = None

class Predictor:
    def predict(self, payload):
        return {"python": list(sys.version_info[:2]), "found": found, "prefix": sys.prefix, "word": "WORD"}
"""


def other_python(version: str) -> str:
    """The folder of an installed interpreter of that minor version; skips where the machine has none."""
    known = [str(one) for one in Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}")]
    on_path = shutil.which(f"python{version}")
    for candidate in [*known, *([on_path] if on_path else [])]:
        done = subprocess.run([candidate, "-c", ""], capture_output=True, timeout=30, check=False)
        if done.returncode == 0:
            return str(Path(candidate).parent)
    pytest.skip(f"no Python {version} is installed here")


@pytest.fixture(autouse=True)
def cache_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded once is not downloaded again for each home."""
    found = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    monkeypatch.setenv("UV_CACHE_DIR", str(Path(found) / "modelyard-tests" / "uv"))
    # Before the yard starts, so that its controller finds the other interpreter.
    folders = [str(one) for one in Path(sys.base_prefix).parent.glob("3.12.*/bin")]
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], *folders]))


@pytest.fixture
def own_yard(cache_of_uv: None, yard: Yard) -> Yard:
    return yard


def deploy(yard: Yard, file: Path) -> dict[str, Any]:
    outcome = yard.client().deploy(file).outcomes[0]
    view = yard.client().wait_endpoint(outcome["name"], outcome["version"], limit_seconds=120)
    return {**asdict(view), "serves": endpoint_serves(view, outcome["version"])}


def built(yard: Yard) -> set[str]:
    return {one.name for one in (yard.home / "environments").iterdir() if len(one.name) == 64}


def test_requirements_beside_the_predictor_give_the_package_an_environment_of_its_own(
    own_yard: Yard, project: Callable[..., Path]
) -> None:
    client = own_yard.client()
    file = project(YARD_FILE.format(name="price"), predictor__py=PREDICTOR, requirements__txt="iniconfig==2.0.0\n")
    assert deploy(own_yard, file)["serves"]
    first = client.predict("price", {})
    assert first["prefix"].startswith(str(own_yard.home / "environments"))
    assert first["found"].startswith(first["prefix"])
    assert all(one.forked for one in client.endpoint("price").replicas)

    assert "iniconfig==2.0.0" in "\n".join(client.endpoint_logs("price"))

    # Other code with the same requirements shares it, and nothing is built.
    environments = built(own_yard)
    (file.parent / "predictor.py").write_text(PREDICTOR.replace("WORD", "other"))
    assert deploy(own_yard, file)["serves"]
    second = client.predict("price", {})
    assert (second["word"], second["prefix"]) == ("other", first["prefix"])
    assert built(own_yard) == environments

    # A broken requirement fails its version with uv's words, and the old one serves on.
    (file.parent / "requirements.txt").write_text("no-such-distribution-anywhere==9.9\n")
    view = deploy(own_yard, file)
    assert not view["serves"]
    failed = view["versions"][-1]
    assert failed["state"] == "failed"
    assert "No solution found" in failed["reason"]
    assert "no-such-distribution-anywhere" in failed["reason"]
    assert view["serving_version"] == 2
    assert client.predict("price", {})["word"] == "other"

    # Mended, it is tried again.
    (file.parent / "requirements.txt").write_text("iniconfig==2.1.0\n")
    assert deploy(own_yard, file)["serves"]
    assert client.predict("price", {})["prefix"] != first["prefix"]
    assert len(built(own_yard)) == 2


def test_another_python_serves_and_a_missing_one_is_refused(own_yard: Yard, project: Callable[..., Path]) -> None:
    other_python("3.12")
    client = own_yard.client()
    file = project(YARD_FILE.format(name="price"), predictor__py=PREDICTOR)
    (file.parent / ".python-version").write_text("3.12\n")
    assert deploy(own_yard, file)["serves"]
    assert client.predict("price", {})["python"] == [3, 12]
    (file.parent / ".python-version").write_text("3.99\n")
    view = deploy(own_yard, file)
    assert "cannot find Python 3.99 on this machine" in view["versions"][-1]["reason"]
    assert "uv python install 3.99" in view["versions"][-1]["reason"]
    assert client.predict("price", {})["python"] == [3, 12]


def test_a_training_script_runs_in_the_environment_that_its_code_asks_for(
    own_yard: Yard, project: Callable[..., Path]
) -> None:
    script = "import iniconfig, sys, modelyard_worker\nprint('prefix', sys.prefix)\n"
    file = project(
        "- name: fit\n  kind: training\n  entry: train.py\n",
        train__py=script,
        requirements__txt="iniconfig==2.0.0\n",
    )
    client = own_yard.client()
    run = client.wait_run(client.train_file(file)["id"], limit_seconds=120)
    lines = list(client.run_logs(run["id"]))
    assert run["status"] == "Completed", (run["failure_reason"], lines)
    assert f"prefix {own_yard.home / 'environments'}" in "\n".join(lines)

    (file.parent / "requirements.txt").write_text("no-such-distribution-anywhere==9.9\n")
    run = client.wait_run(client.train_file(file)["id"], limit_seconds=120)
    assert run["status"] == "Failed"
    assert "no-such-distribution-anywhere" in (run["failure_reason"] or "")
