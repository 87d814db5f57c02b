"""`models`: fields as written, in any of the places that Cortex has for them -> which models an endpoint serves."""

from pathlib import Path
from typing import Any, Literal

from modelyard_worker.object_store import is_object_url, parse_place

from modelyard.manifest.checks import add_problem
from modelyard.manifest.document import Document, FieldPath, field_text
from modelyard.manifest.places import check_place
from modelyard.manifest.problems import shown
from modelyard.manifest.schema import EndpointFields, ModelsFields

ONLY_NAME = "model"
"""What the one model of `models.path` is called."""


def check_models(document: Document, index: int, label: str, fields: EndpointFields) -> None:
    places = _places(fields)
    if not places:
        return
    field, models = places[0]
    for other, _ in places[1:]:
        sentence = f"found beside {field_text(field)}; allowed: one of them, they mean the same"
        add_problem(document, index, label, other, sentence)
    if fields.model is not None:
        add_problem(document, index, label, ("model",), f"found beside {field_text(field)}; allowed: one of the two")
    if fields.predictor is not None and fields.predictor.app is not None:
        add_problem(document, index, label, field, "found beside predictor.app; allowed: beside a class or functions")
    given = [name for name in ("dir", "path", "paths") if getattr(models, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of dir, path and paths"
        add_problem(document, index, label, field, f"found {found}; allowed: exactly one of dir, path, paths")
    if len({is_object_url(one.path) for one in models.paths or ()}) > 1:
        sentence = "found paths on this machine and in buckets; allowed: all of them in one or the other"
        add_problem(document, index, label, (*field, "paths"), sentence)
    names = [one.name for one in models.paths or ()]
    if len(set(names)) != len(names):
        add_problem(document, index, label, (*field, "paths"), "found two of one name; allowed: a name for each")


def check_model_places(document: Document, index: int, label: str, fields: EndpointFields, folder: Path) -> None:
    for field, models in _places(fields)[:1]:
        if models.dir is not None:
            _check_place(document, index, label, (*field, "dir"), folder, models.dir, want="folder")
        if models.path is not None:
            _check_place(document, index, label, (*field, "path"), folder, models.path)
        for one in models.paths or ():
            _check_place(document, index, label, (*field, "paths"), folder, one.path)


def _check_place(
    document: Document,
    index: int,
    label: str,
    field: FieldPath,
    folder: Path,
    written: str,
    want: Literal["folder", "any"] = "any",
) -> None:
    """What lies in a bucket is not looked at: it may be right while the bucket is away."""
    if not is_object_url(written):
        check_place(document, index, label, field, folder, written, want=want)
        return
    try:
        parse_place(written)
    except ValueError:
        sentence = f"found {shown(written)}; allowed: a path, or s3://BUCKET/KEY"
        add_problem(document, index, label, field, sentence)


def model_folder_settings(fields: EndpointFields, folder: Path) -> dict[str, Any]:
    """The setting `models`, absolute paths and URLs: what is on this machine is served where it lies."""
    for _, models in _places(fields)[:1]:
        paths = {one.name: _absolute(folder, one.path) for one in models.paths or ()}
        if models.path is not None:
            paths[ONLY_NAME] = _absolute(folder, models.path)
        given = {
            "dir": _absolute(folder, models.dir) if models.dir is not None else None,
            "paths": paths or None,
            "cache_size": models.cache_size,
            "memory_bytes": models.memory,
        }
        return {"models": {name: value for name, value in given.items() if value is not None}}
    return {}


def _places(fields: EndpointFields) -> list[tuple[FieldPath, ModelsFields]]:
    predictor = fields.predictor
    found: list[tuple[FieldPath, ModelsFields | None]] = [
        (("models",), fields.models),
        (("predictor", "models"), predictor.models if predictor is not None else None),
        (("predictor", "multi_model_reloading"), predictor.multi_model_reloading if predictor is not None else None),
    ]
    return [(field, models) for field, models in found if models is not None]


def _absolute(folder: Path, written: str) -> str:
    if is_object_url(written):
        return written
    return str((folder / Path(written).expanduser()).resolve())
