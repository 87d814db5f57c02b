"""`model.tar.gz` as SageMaker has it: the model's files at its root, `code/inference.py` where it brings its code."""

import tarfile
import zlib
from pathlib import Path

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

    Nothing is ever written elsewhere: absolute paths, `..`, links that lead outside and devices are refused. Raises
    InvalidValue, TooLarge.
    """
    model, code = into / "model", into / "code"
    try:
        with tarfile.open(archive) as opened:
            members = _checked(archive, opened)
            opened.extractall(model, members, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        remedy = "make it with `tar czf model.tar.gz -C FOLDER .`"
        raise InvalidValue(f"cannot unpack {archive}: {error}", remedy) from error
    if not (model / "code" / PROGRAM).is_file():
        return None
    (model / "code").rename(code)
    return code


def _checked(archive: Path, opened: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    size_bytes = 0
    for member in opened:
        members.append(member)
        size_bytes += member.size
        if len(members) > FILES_MAX:
            raise TooLarge(f"cannot unpack {archive}: it has more than {FILES_MAX} files")
        if size_bytes > UNPACKED_BYTES_MAX:
            raise TooLarge(f"cannot unpack {archive}: its files have more than {UNPACKED_BYTES_MAX // 2**30} GiB")
    return members
