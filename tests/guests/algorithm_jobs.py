"""Built-in algorithms trained in a guest's environment, and their models served there."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from modelyard_worker.job_environment import JobPlan, lay_out_job

from tests.guests.guest_environment import WORKER

JOB_SECONDS = 120

_SERVE = """
import json, sys
import numpy
from modelyard_worker.loaders import loader_for
loader = loader_for(sys.argv[1])
model = loader.load(sys.argv[1])
rows = numpy.array(json.load(sys.stdin), numpy.float32)
inputs = loader.inputs(model)
answer = loader.predict(model, rows if inputs is None else {inputs[0].name: rows})
print(json.dumps({name: numpy.asarray(one).tolist() for name, one in answer.items()}))
"""


class Trained(NamedTuple):
    python: str
    base: Path
    output: str
    code: int

    @property
    def metrics(self) -> dict[str, float]:
        lines = (self.base / "output" / "metrics.jsonl").read_text().splitlines()
        return {one["name"]: one["value"] for one in map(json.loads, lines)}

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    def predict(self, rows: list[list[float]]) -> dict[str, Any]:
        """As its loader answers: `model_file` is the one file that requirements are not."""
        (file,) = (one for one in (self.base / "model").iterdir() if one.name != "requirements.txt")
        done = _run([self.python, "-c", _SERVE, str(file)], {}, json.dumps(rows))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def train(python: str, base: Path, algorithm: str, channels: dict[str, str], kind: str, **values: str) -> Trained:
    for channel, text in channels.items():
        folder = base / "input" / "data" / channel
        folder.mkdir(parents=True)
        (folder / "data.csv").write_text(text)
    kinds = dict.fromkeys(channels, kind)
    process = lay_out_job(
        JobPlan("fit-1", str(base), None, algorithm, sorted(channels), kinds, values, {}, None, python)
    )
    done = _run(process.command, process.environment)
    return Trained(python, base, done.stdout + done.stderr, done.returncode)


def _run(command: list[str], environment: dict[str, str], given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env={**os.environ, **environment, "PYTHONPATH": str(WORKER), "OMP_NUM_THREADS": "1"},
        input=given,
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
    )
