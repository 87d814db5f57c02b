"""What code asks of the environment that it runs in, read from the files beside it.

Looked at are the predictor's folder and the root of the code, in this order; the first that names requirements counts:

    uv.lock beside pyproject.toml   taken as it is
    requirements.txt                resolved by uv
    pyproject.toml                  its `project.dependencies`, resolved by uv

The Python version is what the yard file says, else `.python-version`, else `project.requires-python`, else the yard's
own. Code that names neither requirements nor a version runs in the yard's own environment.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any, cast

from modelyard_worker.packages import EnvironmentSpec

from modelyard.errors import InvalidValue

REQUIREMENTS = "requirements.txt"
PROJECT = "pyproject.toml"
PROJECT_LOCK = "uv.lock"
LOCK = "requirements.lock"
"""What a locked package has beside its `package.json`."""

PYTHON_VERSION = ".python-version"

FILE_BYTES_MAX = 8 * 2**20
"""A requirements file, a project file or a lock."""

_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")

Read = Callable[[str], bytes]
"""The content of the file at a path of the code."""


def requested_environment(
    paths: Iterable[str], read: Read, program: str | None = None, python: str | None = None
) -> EnvironmentSpec | None:
    """The environment that code with files at `paths` asks for, or None.

    `program` is the predictor's or the script's path; `python` a version that is asked for elsewhere. Raises
    InvalidValue for a version that is none and for a project file that cannot be read.
    """
    known = set(paths)
    folders = _folders(program)
    kind, folder = _requirements(known, folders, read)
    wanted = check_python(python) if python else _version_file(known, folders, read)
    if wanted is None and kind in (PROJECT, PROJECT_LOCK):
        wanted = _requires_python(read, _join(folder, PROJECT))
    if kind is None and wanted is None:
        return None
    return EnvironmentSpec(wanted, kind, folder, None)


def check_python(text: str) -> str:
    """Returns a Python version such as 3.12 or 3.12.1. Raises InvalidValue for anything else."""
    version = text.strip()
    if not _VERSION.fullmatch(version):
        raise InvalidValue(f"cannot use Python {text[:40]!r}: it is no version", 'write a version in quotes: "3.12"')
    return version


def _folders(program: str | None) -> list[str]:
    parent = str(PurePosixPath(program).parent) if program else "."
    return ["" if parent == "." else parent] if parent == "." else [parent, ""]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _requirements(known: set[str], folders: list[str], read: Read) -> tuple[str | None, str]:
    for folder in folders:
        project = _join(folder, PROJECT)
        if project in known and _join(folder, PROJECT_LOCK) in known:
            return PROJECT_LOCK, folder
        if _join(folder, REQUIREMENTS) in known:
            return REQUIREMENTS, folder
        # A project file is often there for its tools alone; only one with a [project] table names requirements.
        if project in known and _project_table(read, project):
            return PROJECT, folder
    return None, ""


def _version_file(known: set[str], folders: list[str], read: Read) -> str | None:
    for folder in folders:
        path = _join(folder, PYTHON_VERSION)
        if path in known:
            lines = (line.strip() for line in _text(read, path).splitlines())
            version = next((line for line in lines if line and not line.startswith("#")), "")
            if not _VERSION.fullmatch(version):
                raise InvalidValue(f"cannot use {path}: {version[:40]!r} is no version", "write one, such as 3.12")
            return version
    return None


def _requires_python(read: Read, path: str) -> str | None:
    found = _project_table(read, path).get("requires-python")
    return str(found) if found else None


def _project_table(read: Read, path: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(_text(read, path))
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue(f"cannot read {path}: {error}") from error
    table: Any = document.get("project")
    return cast("dict[str, Any]", table) if isinstance(table, dict) else {}


def _text(read: Read, path: str) -> str:
    content = read(path)
    if len(content) > FILE_BYTES_MAX:
        raise InvalidValue(f"cannot read {path}: it has more than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidValue(f"cannot read {path}: it is not UTF-8 at byte {error.start}") from error
