"""DVC's own files, as far as they say what is tracked: `NAME.dvc`, `dvc.lock`, `.dvc/config`."""

import configparser
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

from modelyard.errors import InvalidValue

DVC_FILE_BYTES_MAX = 16 * 2**20
"""A `dvc.lock` of tens of thousands of stages."""

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_REMOTE_SECTION = re.compile(r"""'?remote "(.+)"'?""")


@dataclass(frozen=True, slots=True)
class TrackedOutput:
    path: str
    """Relative to the folder of the file that says so, unless it lies elsewhere."""
    md5: str
    """With `.dir` behind it for a folder."""


def tracked_outputs(file: str, text: str) -> list[TrackedOutput]:
    """What a `.dvc` file or a `dvc.lock` tracks by MD5. Raises InvalidValue where it is not YAML of that form."""
    try:
        if len(text) > DVC_FILE_BYTES_MAX:
            raise ValueError(f"it has more than {DVC_FILE_BYTES_MAX} characters")
        document: Any = yaml.safe_load(text) or {}
        stages: Iterable[Any] = document.get("stages", {}).values() if "stages" in document else [document]
        return [
            TrackedOutput(_joined(str(stage.get("wdir", ".")), str(output["path"])), str(output["md5"]))
            for stage in stages
            for output in stage.get("outs") or ()
            if _MD5.fullmatch(str(output.get("md5", "")))
        ]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidValue(
            f"cannot read {file}: it is not as DVC writes it ({error})", "`dvc add` writes it"
        ) from error


def _joined(folder: str, path: str) -> str:
    return str(PurePosixPath(folder) / path)


@dataclass(frozen=True, slots=True)
class DvcConfig:
    remotes: tuple[str, ...]
    """URLs of the remotes, the default one first."""
    cache: str | None
    """Folder of the cache where it is not `.dvc/cache`."""


def read_dvc_config(texts: Iterable[str]) -> DvcConfig:
    """From `.dvc/config` and what overrides it (`.dvc/config.local`), in this order. What cannot be read says
    nothing."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    for text in texts:
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
    remotes = {
        match[1]: parser.get(section, "url")
        for section in parser.sections()
        if (match := _REMOTE_SECTION.fullmatch(section)) and parser.has_option(section, "url")
    }
    default = parser.get("core", "remote", fallback=None)
    ordered = sorted(remotes, key=lambda name: name != default)
    return DvcConfig(tuple(remotes[name] for name in ordered), parser.get("cache", "dir", fallback=None))


def listed_files(text: str) -> list[tuple[str, str]]:
    """(path, MD5) of each file that a `.dir` object lists. Raises InvalidValue."""
    try:
        entries = [(str(one["relpath"]), str(one["md5"])) for one in cast("list[Any]", json.loads(text))]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidValue("cannot read a folder's list in DVC's cache: it is not as DVC writes it") from error
    return entries
