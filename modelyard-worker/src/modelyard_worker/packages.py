"""A package on disk, as a worker finds it: a folder with `package.json`, `code/` and `model/`.

    {
      "format": 1,
      "predictor": {"path": "predictor.py", "class": null, "config": {}, "python_path": null,
                    "app": "main:app", "handler": "handler", "runtime": "awslambdaric",
                    "tracker": {"key": "class", "model_type": "classification"}} or null,
      "model": {"name": "price", "version": 3, "framework": "xgboost", "file": "model.ubj"} or null,
      "libraries": ["xgboost"],
      "app": {"command": ["python", "app.py"], "environment": {}, "health": "/health"},
      "environment": {"python": "3.12", "kind": "requirements.txt", "folder": "", "lock": null}
    }

`predictor.path` and `python_path` are relative to `code/`; `class` null means what `discovery` finds there. `app` names
an ASGI or WSGI application, `handler` a function in Lambda's contract and `runtime` the program that calls it,
`tracker` what of predictions is counted or measured; each is left out where there is none. `model.file` is relative to
`model/`, null where the folder as a whole is the model. `libraries` is what a template imports before it forks for this
package.

`app`, in place of predictor and model, is a program with a web server of its own: `command` is what starts it, in
`code/`.

`environment` is there only where the package asks for one of its own: `python` a version or null, `kind` the file that
names the requirements (`requirements.txt`, `pyproject.toml`, `uv.lock`) or null for a version alone, `folder` where in
`code/` that file lies, `lock` the file of the package that has all of them resolved, with hashes, or null.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from modelyard_worker.records import read_json

PACKAGE = "package.json"
FORMAT = 1


class TrackerSpec(NamedTuple):
    """What of each prediction is counted or measured."""

    key: Optional[str]
    """Where in a prediction it stands; None for the prediction itself."""
    model_type: str
    """`classification` counts, `regression` measures."""


class PredictorSpec(NamedTuple):
    path: str
    class_name: Optional[str]
    config: Dict[str, Any]
    python_path: Optional[str]
    app: Optional[str] = None
    tracker: Optional[TrackerSpec] = None
    handler: Optional[str] = None
    """Function in the file that is called with an event and a context."""
    runtime: Optional[str] = None
    """What calls the handler instead of the replica itself, over Lambda's runtime API."""


class ModelSpec(NamedTuple):
    name: Optional[str]
    version: Optional[int]
    framework: Optional[str]
    file: Optional[str]


class AppSpec(NamedTuple):
    """A program with a web server of its own."""

    command: List[str]
    """`$PORT` stands for the port that it is to listen on."""
    environment: Dict[str, str]
    health: Optional[str]
    """Path that answers below 500 once it is ready; None where listening is enough."""


class EnvironmentSpec(NamedTuple):
    """What a package asks of the environment that it runs in."""

    python: Optional[str]
    kind: Optional[str]
    folder: str
    lock: Optional[str]


class Package(NamedTuple):
    folder: str
    predictor: Optional[PredictorSpec]
    model: Optional[ModelSpec]
    libraries: List[str]
    environment: Optional[EnvironmentSpec] = None
    """None runs in the yard's own."""
    app: Optional[AppSpec] = None
    """In place of a predictor and a model."""

    @property
    def code_folder(self) -> str:
        return os.path.join(self.folder, "code")

    @property
    def model_folder(self) -> str:
        return os.path.join(self.folder, "model")

    @property
    def model_path(self) -> Optional[str]:
        """The model's file, or its folder where it has no single file; None without a model."""
        if self.model is None:
            return None
        return os.path.join(self.model_folder, self.model.file) if self.model.file else self.model_folder


def read_package(folder: str) -> Package:
    """Raises ValueError where the folder holds no package of a format known here."""
    found = read_json(os.path.join(folder, PACKAGE))
    if found is None or found.get("format") != FORMAT:
        raise ValueError(f"cannot read the package in {folder}: no {PACKAGE} of format {FORMAT}")
    predictor, model = found.get("predictor"), found.get("model")
    return Package(
        folder,
        _predictor_from(predictor) if predictor else None,
        ModelSpec(model.get("name"), model.get("version"), model.get("framework"), model.get("file"))
        if model
        else None,
        list(found.get("libraries") or []),
        environment_from(found.get("environment")),
        _app_from(found.get("app")),
    )


def _app_from(found: Optional[Dict[str, Any]]) -> Optional[AppSpec]:
    if not found:
        return None
    return AppSpec(list(found["command"]), dict(found.get("environment") or {}), found.get("health"))


def _predictor_from(found: Dict[str, Any]) -> PredictorSpec:
    tracker = found.get("tracker")
    return PredictorSpec(
        found["path"],
        found.get("class"),
        found.get("config") or {},
        found.get("python_path"),
        found.get("app"),
        TrackerSpec(tracker.get("key"), tracker["model_type"]) if tracker else None,
        found.get("handler"),
        found.get("runtime"),
    )


def environment_from(found: Optional[Dict[str, Any]]) -> Optional[EnvironmentSpec]:
    """The `environment` of a package's document."""
    if not found:
        return None
    return EnvironmentSpec(found.get("python"), found.get("kind"), str(found.get("folder") or ""), found.get("lock"))
