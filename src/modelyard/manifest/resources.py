"""Resources that are neither endpoints nor trainings: a document for the yard, and the files that go with it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OtherResource:
    """What a yard file wishes of some other kind. What the file leaves out stays out: defaults are the domain's."""

    kind: str
    name: str
    line: int
    """Where it begins in the file, from 1."""
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    """As the yard checks it (`api.kinds`)."""
    trees: dict[str, Path] = field(default_factory=dict[str, Path])
    """Field of the spec -> folder or file that is sent first; its tree's digest then stands in the field."""
    code: bool = False
    """Whether the project's code is sent too; its tree's digest then stands in the spec's `code`."""
    notes: tuple[str, ...] = ()
    """What was read and has no effect."""
