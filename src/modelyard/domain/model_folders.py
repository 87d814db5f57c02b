"""Many models behind one endpoint: those of a folder, each loaded when it is asked for."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Cortex's `models`, SageMaker's multi-model endpoint. Which models there are is no part of a version: what is put
    into the folder is served, what is taken out is not."""

    dir: str | None = None
    """Absolute path of the folder that has them, or `s3://BUCKET/PREFIX`."""
    paths: dict[str, str] = field(default_factory=dict[str, str])
    """Name -> absolute path or URL, of models that lie elsewhere."""
    cache_size: int | None = None
    """Most models that one process has loaded; the least recently used go."""
    memory_bytes: int | None = None
    """What the models that one process has loaded may take together."""


def model_folder_document(folder: ModelFolder) -> dict[str, Any]:
    return asdict(folder)


def model_folder_from(document: dict[str, Any]) -> ModelFolder:
    """The inverse, tolerant of keys that a later version added."""
    return ModelFolder(**{name: document[name] for name in ModelFolder.__dataclass_fields__ if name in document})
