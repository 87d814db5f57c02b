"""Small files that only their owner may read, such as keys: whole or not there, whatever happens meanwhile."""

import contextlib
import os
import secrets
from pathlib import Path

from modelyard.store.disk import disk, sync_folder


def replace_private(path: Path, content: bytes) -> None:
    """Puts the file there, in place of what there is. Raises StoreFailed."""
    with disk("write", path):
        _write_aside(path, content).rename(path)
        sync_folder(path.parent)


def make_private(path: Path, content: bytes) -> bytes:
    """Puts the file there where there is none, and returns what is there then: of several that do so at once the first
    is right, and the others take what it wrote. Raises StoreFailed."""
    with disk("write", path):
        aside = _write_aside(path, content)
        try:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(aside)
        finally:
            aside.unlink()
        sync_folder(path.parent)
        return path.read_bytes()


def _write_aside(path: Path, content: bytes) -> Path:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return aside
