"""`model.tar.gz` as SageMaker has it: the model's files at its root, `code/inference.py` where it brings its code."""

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from modelyard.errors import InvalidValue, TooLarge
from modelyard.packaging.files import FILES_MAX

SUFFIXES = (".tar.gz", ".tgz", ".tar")
PROGRAM = "inference.py"
"""SageMaker's default for SAGEMAKER_PROGRAM."""

UNPACKED_BYTES_MAX = 64 * 2**30
"""All files of one archive together: a small file can stand for a very large one."""


def is_archive(place: Path) -> bool:
    return place.name.lower().endswith(SUFFIXES) and place.is_file()


def unpack_model(archive: Path, into: Path) -> Path | None:
    """Unpacks the model to `into/model`; returns `into/code`, its code, where `code/inference.py` is there.

    Nothing is ever written elsewhere: absolute paths, `..`, links and devices are refused. Raises InvalidValue,
    TooLarge.
    """
    model, code = into / "model", into / "code"
    try:
        with tarfile.open(archive) as opened:
            for member in _checked(archive, opened):
                _extract(opened, member, model)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        remedy = "make it with `tar czf model.tar.gz -C FOLDER .`"
        raise InvalidValue(f"cannot unpack {archive}: {error}", remedy) from error
    if not (model / "code" / PROGRAM).is_file():
        return None
    (model / "code").rename(code)
    return code


def _extract(opened: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Written by hand, because tarfile's own filters came with later releases of Python 3.11."""
    place = folder / member.name
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    content = opened.extractfile(member)
    assert content is not None
    with content, place.open("xb") as file:
        shutil.copyfileobj(content, file)
    place.chmod(0o755 if member.mode & 0o100 else 0o644)


def _checked(archive: Path, opened: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    size_bytes = 0
    for member in opened:
        place = PurePosixPath(member.name)
        if place.is_absolute() or ".." in place.parts or "\\" in member.name:
            raise InvalidValue(f"cannot unpack {archive}: {member.name!r} leads out of it")
        if not member.isreg() and not member.isdir():
            raise InvalidValue(f"cannot unpack {archive}: {member.name!r} is neither a file nor a folder")
        members.append(member)
        size_bytes += member.size
        if len(members) > FILES_MAX:
            raise TooLarge(f"cannot unpack {archive}: it has more than {FILES_MAX} files")
        if size_bytes > UNPACKED_BYTES_MAX:
            raise TooLarge(f"cannot unpack {archive}: its files have more than {UNPACKED_BYTES_MAX // 2**30} GiB")
    return members
