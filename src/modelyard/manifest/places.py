"""Paths in a yard file: relative to its folder, and there."""

from pathlib import Path, PurePosixPath
from typing import Literal

from modelyard.domain.names import nearest
from modelyard.domain.sources import ALLOWED, PathSource, parse_source
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem
from modelyard.manifest.document import Document, FieldPath
from modelyard.manifest.problems import shown


def check_place(
    document: Document,
    index: int,
    label: str,
    field: FieldPath,
    folder: Path,
    written: str,
    *,
    inside: bool = False,
    want: Literal["file", "folder", "any"] = "any",
) -> None:
    """Adds a problem where `written` is not there. `inside` says that it belongs to the project, so it must not lead
    out of the folder."""
    if "\0" in written or "\\" in written or "://" in written:
        sentence = f"found {shown(written)}; allowed: a path with forward slashes, relative to {folder.name or folder}"
        add_problem(document, index, label, field, sentence)
        return
    pure = PurePosixPath(written)
    if inside and (pure.is_absolute() or ".." in pure.parts):
        sentence = f"found {shown(written)}; allowed: a path inside the project, without .."
        add_problem(document, index, label, field, sentence)
        return
    place = folder / Path(written).expanduser()
    there = {"file": place.is_file(), "folder": place.is_dir(), "any": place.exists()}[want]
    if not there:
        wanted = "file or folder" if want == "any" else want
        add_problem(
            document, index, label, field, f"found {shown(written)}, but there is no such {wanted}{_near(place)}"
        )


def check_source(document: Document, index: int, label: str, field: FieldPath, folder: Path, written: str) -> None:
    """Adds a problem where `written` is nothing that an input can come from. What is not on this machine is not looked
    at: the file may be right while a server is away."""
    try:
        source = parse_source(written)
    except InvalidValue:
        add_problem(document, index, label, field, f"found {shown(written)}; allowed: {ALLOWED}")
        return
    if isinstance(source, PathSource):
        check_place(document, index, label, field, folder, written)


def _near(place: Path) -> str:
    try:
        names = [one.name for one in place.parent.iterdir()]
    except OSError:
        return ""
    near = nearest(place.name, names)
    return f"; did you mean {near}?" if near else ""
