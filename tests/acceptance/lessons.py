"""A lesson of examples/, done as its page says: for its tests, and for the pictures in the documents."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.acceptance.yard import Yard

EXAMPLES = Path(__file__).parents[2] / "examples"


class Lesson:
    """A copy of an example, prepared, in a yard."""

    def __init__(self, yard: Yard, root: Path, name: str, data: Path | None = None) -> None:
        """`data` is a folder with real data, as MODELYARD_DATA names it; without it, a stand-in is used."""
        self.yard = yard
        self.environment = {key: value for key, value in os.environ.items() if key != "MODELYARD_DATA"}
        self.environment |= {"MODELYARD_DATA": str(data)} if data is not None else {}
        # As deep as in a checkout, beside which there is no data.
        self.folder = root / "checkout" / "examples" / name
        shutil.copytree(
            EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("data", "__pycache__", "predictions")
        )
        self.prepared = self.script("prepare.py") if (self.folder / "prepare.py").exists() else ""

    def script(self, name: str) -> str:
        done = subprocess.run(
            [sys.executable, self.folder / name],
            env={**self.environment, "MODELYARD_HOME": str(self.yard.home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def train(self, name: str) -> dict[str, float]:
        started = self.yard.client().train_file(self.folder, name, project="lessons")
        ended = self.yard.client().wait_run(started["id"], limit_seconds=180)
        assert ended["status"] == "Completed", ended["failure_reason"]
        return ended["metrics"]

    def change(self, before: str, after: str, *, last: bool = False) -> None:
        """Another text in the yard file, at its first or last place there."""
        file = self.folder / "modelyard.yaml"
        text = file.read_text()
        assert before in text
        file.write_text(after.join(text.rsplit(before, 1) if last else text.split(before, 1)))

    def tune(self, name: str) -> tuple[str, int | None]:
        """How it ended, and the version that its best trial became."""
        client = self.yard.client()
        file = client.read_file(self.folder)
        tuning = next(one for one in file.tunings if one.name == name)
        ended = client.wait_tuning(client.start_tuning(tuning, file, project="lessons").id, limit_seconds=180)
        return ended.status, ended.model_version

    def transform(self, model: str, **options: Any) -> None:
        target = self.folder / "predictions"
        started = self.yard.client().transform(model, self.folder / "data" / "test.csv", target, **options)
        ended = self.yard.client().wait_transform(started.id, limit_seconds=120)
        assert ended.status == "Completed", ended.failure_reason

    def deploy(self, name: str) -> None:
        self.yard.client().deploy(self.folder, project="lessons")
        assert self.yard.client().wait_endpoint(name).state == "live"
