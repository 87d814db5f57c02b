"""The yard's own copy of the worker as a wheel, made from the files that are imported here.

It is made wherever Modelyard runs, from a checkout as from an installed distribution, and needs no build tool and no
network. The same files give the same bytes, so its digest says which worker an environment has.
"""

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from modelyard_worker import packages

from modelyard.version import VERSION

_INFO = f"modelyard_worker-{VERSION}.dist-info"
_METADATA = f"""\
Metadata-Version: 2.1
Name: modelyard-worker
Version: {VERSION}
Summary: The part of Modelyard that runs a user's code.
License: Apache-2.0
Requires-Python: >=3.9
"""
_WHEEL = """\
Wheel-Version: 1.0
Generator: modelyard
Root-Is-Purelib: true
Tag: py3-none-any
"""
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)
"""What a ZIP archive can say at the earliest: the files' own times are nobody's business."""


class Wheel(NamedTuple):
    name: str
    content: bytes
    sha256: str


@cache
def worker_wheel() -> Wheel:
    """Raises OSError where the worker's own files cannot be read."""
    root = Path(packages.__file__).parent
    files = {
        f"modelyard_worker/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".py", ".typed")
    }
    files[f"{_INFO}/METADATA"] = _METADATA.encode()
    files[f"{_INFO}/WHEEL"] = _WHEEL.encode()
    files[f"{_INFO}/RECORD"] = _record(files).encode()
    content = _zip(files)
    return Wheel(f"modelyard_worker-{VERSION}-py3-none-any.whl", content, hashlib.sha256(content).hexdigest())


def _record(files: dict[str, bytes]) -> str:
    lines = [f"{path},sha256={_encoded(content)},{len(content)}" for path, content in files.items()]
    return "\n".join([*lines, f"{_INFO}/RECORD,,", ""])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _OLDEST_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
