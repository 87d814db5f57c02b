"""What serves or scores, as bodies of requests name it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ModelSource(Strict):
    """Exactly one of a registered model and a tree of files."""

    reference: str | None = None
    """`price`, `price:3`, `price@champion`."""
    tree: str | None = None
    framework: str | None = None


class Tracker(Strict):
    """What of each prediction is counted or measured, as Cortex has it."""

    key: str | None = None
    model_type: Literal["classification", "regression"]


class Predictor(Strict):
    path: str
    class_name: Annotated[str | None, Field(alias="class")] = None
    config: dict[str, Any] | None = None
    python_path: str | None = None
    python: str | None = None
    """A version such as 3.12, where the package wants another than the yard's."""
    app: str | None = None
    """Name of an ASGI or WSGI application in the file, or `MODULE:NAME`."""
    tracker: Tracker | None = None
    handler: str | None = None
    """Function in the file that is called with an event and a context."""
    runtime: Literal["awslambdaric", "provided"] | None = None
    """What calls the handler in place of the replica."""
