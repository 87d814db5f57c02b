"""From what is to be scored, and with what, to a transform that the yard has taken on."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.domain.names import check_name
from modelyard.errors import InvalidValue, NotFound
from modelyard.protocol.views import view_from
from modelyard.protocol.views_of_transforms import TransformView
from modelyard.sdk.address import is_here
from modelyard.sdk.connection import Connection
from modelyard.sdk.deployments import detect_files
from modelyard.sdk.labels import label_from, project_of
from modelyard.sdk.progress import Progress, no_progress
from modelyard.sdk.uploads import send_tree

ENDPOINT = "endpoint/"


def start_transform(
    connection: Connection,
    model: str,
    given_input: str,
    output: str,
    *,
    options: Mapping[str, Any],
    name: str | None = None,
    project: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    room: Mapping[str, int] | None = None,
    progress: Progress = no_progress,
) -> TransformView:
    """`model` is `price`, `price:3`, `price@champion`, `endpoint/price` or a model's file or folder of this machine."""
    wanted: dict[str, Any] = {
        "project": check_name(project, "project name") if project else project_of(Path.cwd()),
        "name": name,
        "input": _place(connection, given_input),
        "output": _place(connection, output),
        "options": {field: value for field, value in options.items() if value is not None},
        "environment": dict(environment or {}),
        "secrets": dict(secrets or {}),
        **(room or {}),
    }
    wanted |= _source(connection, model, progress)
    if name is None and "tree" in wanted.get("model", {}):
        wanted["name"] = f"{label_from(Path(model).stem, 'model')[:40]}-transform"
    return view_from(TransformView, connection.post("/transforms", wanted))


def _source(connection: Connection, model: str, progress: Progress) -> dict[str, Any]:
    if model.startswith(ENDPOINT):
        return {"endpoint": model.removeprefix(ENDPOINT)}
    place = Path(model).expanduser()
    if connection.own_files and place.exists():
        return {"model": _send_model(connection, place, progress)}
    if "/" in model or place.suffix:
        raise NotFound(f"cannot find the model {model}", "name a registered model, endpoint/NAME, or a model's file")
    return {"model": {"reference": model.removeprefix("model/")}}


def _send_model(connection: Connection, place: Path, progress: Progress) -> dict[str, Any]:
    from modelyard.packaging.files import list_files  # noqa: PLC0415 (loaded when first needed)

    files = list_files(place)
    detection = detect_files(files)
    if detection.framework is None:
        raise InvalidValue(
            f"cannot score with {place}: {detection.reason}", "deploy it with a predictor, and say endpoint/NAME"
        )
    return {"tree": send_tree(connection, files, progress), "framework": str(detection.framework)}


def _place(connection: Connection, text: str) -> str:
    """An absolute path or a URL. The yard reads and writes paths itself, so they must mean the same there."""
    if "://" in text or not connection.own_files:
        return text
    if not is_here(connection.address.url):
        raise InvalidValue(
            f"cannot use {text}: the yard is on another machine, which does not have this machine's files",
            "give a URL, or run the command there",
        )
    return os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (without the `..` that `absolute` leaves)
