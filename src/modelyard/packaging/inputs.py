"""Inputs that the yard itself reads anew for a run: files of its machine and of URLs, as trees in its store."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modelyard.domain.sources import ObjectSource, PathSource, UrlSource, parse_source
from modelyard.errors import InvalidValue, ModelyardError
from modelyard.packaging.downloads import download_objects, download_url
from modelyard.packaging.files import LocalFile, list_files


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a tree, as the store has it."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool


class Trees(Protocol):
    """What this needs of the artifact store; see `modelyard.store.ports`."""

    def put_file(self, path: Path) -> tuple[str, int]: ...
    def put_tree(self, files: Sequence[Any]) -> str: ...


def read_inputs(trees: Trees, sources: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Digests of trees by channel. `environment` says as whom objects of S3 are read, before what this process's own
    says. Raises NotFound and others, naming the channel, where a source is not to be had."""
    found: dict[str, str] = {}
    for channel, text in sources.items():
        try:
            found[channel] = _read(trees, text, environment)
        except ModelyardError as error:
            raise type(error)(f"{error.message} (input {channel})", error.hint) from error
    return found


def _read(trees: Trees, text: str, environment: Mapping[str, str]) -> str:
    match parse_source(text):
        case PathSource(path):
            return _put(trees, list_files(Path(path)))
        case UrlSource() as source:
            with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
                return _put(trees, download_url(source, Path(folder), _quiet))
        case ObjectSource() as source:
            with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
                told = {**os.environ, **environment}
                return _put(trees, download_objects(source, Path(folder), _quiet, told))
        case _:
            raise InvalidValue(f"cannot read {text} anew: only paths and URLs are")


def _put(trees: Trees, files: list[LocalFile]) -> str:
    return trees.put_tree([InputFile(one.path, *trees.put_file(one.source), one.executable) for one in files])


def _quiet(step: str, done: int, total: int) -> None:
    del step, done, total
