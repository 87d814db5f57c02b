"""A model version as MLflow's clients load it: a folder with an `MLmodel` file.

One that was logged with MLflow is such a folder already. Any other gets one: its files under `data`, and beside them
the worker's own loaders as `code`, so that `mlflow.pyfunc` predicts what an endpoint would, with nothing installed but
the model's own framework.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from modelyard_worker import packages

from modelyard.packaging.package_file import PackedFile

MLMODEL = "MLmodel"
LOADER_MODULE = "modelyard_worker.pyfunc"

_MLMODEL = """\
flavors:
  python_function:
    code: code
    data: data
    loader_module: {loader}
    python_version: {python}
mlflow_version: {mlflow}
model_uuid: {uuid}
utc_time_created: '{created}'
metadata:
  modelyard_model: {reference}
"""


class Blobs(Protocol):
    def put_bytes(self, content: bytes) -> str: ...


def as_mlflow_model(blobs: Blobs, files: list[PackedFile], words: Mapping[str, str]) -> list[PackedFile]:
    """The files of the folder, those that it needs beside the model's own stored; `words` fill its MLmodel file:
    `reference`, `created`, `uuid` and `python`."""
    if any(one.path == MLMODEL for one in files):
        return files
    text = _MLMODEL.format(loader=LOADER_MODULE, mlflow="3.0.0", **words)
    found = [PackedFile(f"data/{one.path}", one.sha256, one.size_bytes, one.executable) for one in files]
    found.append(_stored(blobs, MLMODEL, text.encode()))
    root = Path(packages.__file__).parent
    for path in sorted(root.rglob("*.py")):
        inner = path.relative_to(root)
        if inner.parts[0] not in ("mlflow_server", "transform"):
            found.append(_stored(blobs, f"code/modelyard_worker/{inner.as_posix()}", path.read_bytes()))
    return found


def _stored(blobs: Blobs, path: str, content: bytes) -> PackedFile:
    return PackedFile(path, blobs.put_bytes(content), len(content), executable=False)
