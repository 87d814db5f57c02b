"""`kind: batch`: fields as written -> what a deploy wishes."""

from pathlib import Path
from typing import Any

from modelyard.domain.batches import KIND
from modelyard.manifest.checks import check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.places import check_place
from modelyard.manifest.predictors import predictor_document
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schedules import read_schedule
from modelyard.manifest.schema import BatchFields
from modelyard.manifest.values import is_path

_OPTIONS = (
    "content_type",
    "accept",
    "split",
    "strategy",
    "assemble",
    "max_payload_mb",
    "processes",
    "compression",
    "csv_header",
    "input_filter",
    "output_filter",
    "join",
    "retries",
    "batch_size",
)


def read_batch(document: Document, index: int, label: str, folder: Path) -> OtherResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, BatchFields, index, label)
    if fields is None:
        return None
    by_path = fields.model is not None and is_path(fields.model)
    if fields.model is not None and by_path:
        check_place(document, index, label, ("model",), folder, fields.model)
    if fields.predictor is not None:
        place = ("predictor", "path")
        check_place(document, index, label, place, folder, fields.predictor.path, inside=True, want="file")
    schedule = read_schedule(document, index, label, fields.schedule)
    if len(document.problems) > before:
        return None
    given: dict[str, Any] = {
        "model": fields.model if not by_path else None,
        "endpoint": fields.endpoint,
        "predictor": predictor_document(fields.predictor) if fields.predictor is not None else None,
        "input": _place(folder, fields.input),
        "output": _place(folder, fields.output),
        "options": _options(fields) or None,
        "environment": fields.env.plain if fields.env else None,
        "secrets": fields.env.secrets if fields.env else None,
        "cpu_millis": fields.compute.cpu if fields.compute else None,
        "memory_bytes": fields.compute.mem if fields.compute else None,
        "priority": fields.priority or None,
        "schedule": schedule,
    }
    return OtherResource(
        KIND,
        fields.name,
        document.line((index,)),
        {name: value for name, value in given.items() if value is not None},
        trees={"model_tree": folder / Path(fields.model).expanduser()} if fields.model is not None and by_path else {},
        code=fields.predictor is not None,
        notes=(f"{fields.name}: networking has no effect",) if fields.networking is not None else (),
    )


def _options(fields: BatchFields) -> dict[str, Any]:
    given = {name: getattr(fields, name) for name in _OPTIONS} | {"timeout_seconds": fields.timeout}
    return {name: value for name, value in given.items() if value is not None}


def _place(folder: Path, written: str | None) -> str | None:
    """An absolute path, or a URL: the yard reads and writes it itself."""
    if written is None or "://" in written:
        return written
    return str((folder / Path(written).expanduser()).absolute())
