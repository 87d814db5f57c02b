"""Model files that a guest's own library wrote, served by a worker in its environment.

A guest's `make_models.py FOLDER` writes files and `cases.json`: for each case its file, its loader, what is asked, and
what the library itself answers to it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard_worker.loaders import NEVER, SHARE, loader_named

from tests.contract.worker.replica_harness import Place, Replica, a_place
from tests.guests.guest_environment import BUILD_SECONDS, HERE, WORKER, guest_python

TEST_SECONDS = BUILD_SECONDS + 300
MAKE_SECONDS = 300


class ModelFiles:
    """What a guest made."""

    def __init__(self, python: str, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.cases: dict[str, dict[str, Any]] = json.loads((folder / "cases.json").read_text())

    @contextmanager
    def place(self, python: str | None = None) -> Generator[Place]:
        """Where its files are served by its own interpreter, or another one."""
        with pytest.MonkeyPatch.context() as patch, a_place(python or self.python) as place:
            patch.setenv("PYTHONPATH", str(WORKER))
            yield place

    def package(self, place: Place, case: str, framework: str | None = None) -> Path:
        """A package of the case's file, as `framework` where it is given."""
        found = self.cases[case]
        source, copy = self.folder / found["file"], place.root / Path(found["file"]).name
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy(source, copy)
        return place.package(model=copy, framework=framework or found["framework"])

    def check(self, replica: Replica, case: str) -> None:
        """The replica is ready and answers what the library answered."""
        found = self.cases[case]
        client = replica.connect()
        assert client.probe() == {"ok": True}
        answer = client.ask(found["ask"])
        assert answer.status == 200, answer.meta
        assert_same(answer.json, found["answer"])

    def refusal(self, case: str, framework: str) -> str:
        """Why the case's file does not load as `framework`."""
        with self.place() as place, place.replica(self.package(place, case, framework)) as replica:
            return str(replica.wait_for_exit()["reason"])


def make_models(guest: str, tmp: Path, by_pip: str | None = None) -> ModelFiles:
    """Builds the guest's environment where it is not there, and has it write its models."""
    python = guest_python(guest, by_pip)
    words = [python, str(HERE / guest / "make_models.py"), str(tmp)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=MAKE_SECONDS, check=False, env=_quiet())
    assert done.returncode == 0, done.stdout + done.stderr
    return ModelFiles(python, tmp)


def check_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    """What the loader declares about forking is true, and every way to a replica answers the same."""
    loader = loader_named(models.cases[case]["framework"])
    with models.place() as place:
        package = models.package(place, case)
        with place.replica(package, numeric_threads=threads) as replica:
            models.check(replica, case)
        with place.template() as template:
            assert template.command("import", libraries=list(loader.libraries))["ok"]
            above = [template, template.fork_template(package)] if loader.fork == SHARE else [template]
            for one in above:
                replica = place.replica_folder(package)
                answer = one.fork(replica, numeric_threads=threads)
                if loader.fork == NEVER:
                    assert answer["cannot_fork"], answer
                    continue
                assert answer["ok"], answer
                models.check(replica, case)
                assert one.command("ping")["threads"] == 1


def assert_same(found: Any, expected: Any) -> None:
    """Equal, numbers within what single precision can tell: libraries add up in another order for another batch."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, list) and expected and isinstance(expected[0], (int, float, list)):
        assert np.shape(found) == np.shape(expected)
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    else:
        assert found == expected


def _quiet() -> dict[str, str]:
    """Without what would make a guest ask the network, or compute with another library than it was built for."""
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "3"}
