"""Real transforms: each is `python -m modelyard_worker.transform FOLDER`, started as an engine's wrapper starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from modelyard_worker.algorithms.port import save
from modelyard_worker.records import read_json
from modelyard_worker.transform.plan import PROGRESS, RESULT, TransformPlan, write_plan

LIMIT_SECONDS = 60.0
WORKER = Path(__file__).parents[3] / "modelyard-worker" / "src"

DOUBLES = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        return payload["x"] * 2
"""


class Place:
    """A package, an input, an output, and the folder of the transform."""

    def __init__(self, root: Path, predictor: str = DOUBLES, python: str = sys.executable) -> None:
        """`python` is the interpreter of the package's environment; the worker in it is that of this checkout."""
        self.root = root
        self.python = python
        self.input = root / "input"
        self.output = root / "output"
        self.base = root / "transform"
        self.package = root / "package"
        for folder in (self.input, self.base, self.package / "code", self.package / "model"):
            folder.mkdir(parents=True)
        (self.package / "code" / "predictor.py").write_text(predictor)
        predictor_spec = {"path": "predictor.py", "class": None, "config": {}, "python_path": None}
        document = {"format": 1, "predictor": predictor_spec, "model": None, "libraries": []}
        (self.package / "package.json").write_text(json.dumps(document))

    def serve_classifier(self, *weights: float) -> None:
        """In the predictor's place a model without code that answers with `score` and `predicted_label`."""
        arrays = {"predictor_type": np.array("binary_classifier"), "weights": np.array([weights])}
        arrays |= {"bias": np.zeros(1), "mean": np.zeros(len(weights)), "threshold": np.array(0.5)}
        save("linear-learner", arrays, str(self.package / "model" / "model.npz"))
        model = {"name": "m", "version": 1, "framework": "builtin", "file": "model.npz"}
        document = {"format": 1, "predictor": None, "model": model, "libraries": []}
        (self.package / "package.json").write_text(json.dumps(document))

    def plan(self, **changes: Any) -> TransformPlan:
        plan = TransformPlan("t-1", str(self.package), str(self.input), str(self.output), processes=2, retries=0)
        return plan._replace(**changes)

    def start(self, **changes: Any) -> "subprocess.Popen[str]":
        write_plan(str(self.base), self.plan(**changes))
        return subprocess.Popen(
            [self.python, "-m", "modelyard_worker.transform", str(self.base)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(WORKER)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **changes: Any) -> int:
        """Runs it to its end: the exit code. What it printed is in `said`."""
        process = self.start(**changes)
        self.said, _ = process.communicate(timeout=LIMIT_SECONDS)
        return process.returncode

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.input / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name: str) -> str:
        return (self.output / name).read_text()

    def outputs(self) -> list[str]:
        found = (one for one in self.output.rglob("*") if one.is_file())
        return sorted(str(one.relative_to(self.output)) for one in found)

    @property
    def result(self) -> dict[str, Any]:
        return read_json(str(self.base / RESULT)) or {}

    @property
    def progress(self) -> dict[str, Any]:
        return read_json(str(self.base / PROGRESS)) or {}
