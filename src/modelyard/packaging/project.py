"""Which files of a project's folder are its code: everything but what below says.

As with Cortex, a project is the folder of its yard file and all of it is shipped except bytecode, dot-files and the
yard file itself (cortex.md 6.1); of the dot-files `.python-version` alone belongs to it. `.modelyardignore` names more,
in gitignore's syntax; `.cortexignore` counts too. A yard's home among them stays out: its keys are in it, and its logs
grow while they are read.
"""

from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from modelyard.errors import InvalidValue, TooLarge
from modelyard.packaging.files import LocalFile, walk_files
from modelyard.packaging.requirements import PYTHON_VERSION
from modelyard.settings import Home

IGNORE_FILES = (".modelyardignore", ".cortexignore")
PROJECT_BYTES_MAX = 512 * 2**20
"""All code of a project together. More than that is data, and belongs to `inputs` or to a model."""

IGNORE_BYTES_MAX = 256 * 2**10

_FOLDERS = frozenset({"__pycache__", "venv", "node_modules"})
_SUFFIXES = (".pyc", ".pyo", ".egg-info")


def project_files(folder: Path, yard_file: Path | None = None) -> list[LocalFile]:
    """The code of the project in `folder`, by path; empty where there is none.

    Raises TooLarge beyond PROJECT_BYTES_MAX, InvalidValue for a link that leads outside or an ignore file that cannot
    be read.
    """
    ignored = _read_ignored(folder)
    own = yard_file.name if yard_file is not None else None

    def belongs(path: PurePosixPath, is_folder: bool) -> bool:
        name = path.name
        if (
            (name.startswith(".") and (is_folder or name != PYTHON_VERSION))
            or name.endswith(_SUFFIXES)
            or (is_folder and name in _FOLDERS)
        ):
            return False
        if str(path) == own or (is_folder and Home(folder / path).lock.exists()):
            return False
        return not ignored.match_file(f"{path}/" if is_folder else str(path))

    files = list(walk_files(folder, belongs))
    _check_size(folder, files)
    return files


def _read_ignored(folder: Path) -> GitIgnoreSpec:
    lines: list[str] = []
    for name in IGNORE_FILES:
        place = folder / name
        if not place.is_file():
            continue
        if place.stat().st_size > IGNORE_BYTES_MAX:
            raise InvalidValue(f"cannot read {place}: it is larger than {IGNORE_BYTES_MAX} bytes")
        try:
            lines += place.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise InvalidValue(f"cannot read {place}: it is not UTF-8 at byte {error.start}") from error
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise InvalidValue(f"cannot read the ignore file in {folder}: {error}", "see gitignore's syntax") from error


def _check_size(folder: Path, files: list[LocalFile]) -> None:
    size_bytes = sum(file.size_bytes for file in files)
    if size_bytes <= PROJECT_BYTES_MAX:
        return
    largest = sorted(files, key=lambda file: file.size_bytes, reverse=True)[:3]
    listed = ", ".join(f"{file.path} ({file.size_bytes // 2**20} MiB)" for file in largest)
    raise TooLarge(
        f"cannot send the code in {folder}: {size_bytes // 2**20} MiB, {PROJECT_BYTES_MAX // 2**20} are allowed",
        f"name what is not code in {IGNORE_FILES[0]}; the largest are {listed}",
    )
