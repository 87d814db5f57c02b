"""Forms as browsers and `curl -F` send them (RFC 7578): fields and files by name, as Cortex 0.34 gave them.

The boundary is the body's own first line: the parameter of the content type says the same, and need not travel.
"""

import io
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from modelyard_worker import bodies
from modelyard_worker.request import unreadable

PARTS_MAX = 1000
"""Fields and files of one form."""

HEADER_BYTES_MAX = 8192
"""Of one part."""

BOUNDARY_BYTES_MAX = 70
"""RFC 2046, 5.1.1."""

_PARAMETER = re.compile(r';\s*(name|filename)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.IGNORECASE)


class UploadedFile:
    """A file of a form: `file` is open for reading, `filename` and `content_type` are as the client said."""

    __slots__ = ("content_type", "file", "filename")

    def __init__(self, content: bytes, filename: str, content_type: str) -> None:
        self.file = io.BytesIO(content)
        self.filename = filename
        self.content_type = content_type

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)

    def __repr__(self) -> str:
        return f"UploadedFile({self.filename!r}, {self.content_type!r}, {len(self.file.getbuffer())} bytes)"


class _Part(NamedTuple):
    name: str
    filename: Optional[str]
    content_type: str
    content: bytes


def read_form(body: bytes) -> Dict[str, Any]:
    """Fields as text, files as UploadedFile; a name that comes several times has a list. Raises Refusal."""
    form: Dict[str, Any] = {}
    many: Dict[str, List[Any]] = {}
    for part in _parts(body):
        value: Any = (
            bodies.read_text(part.content)
            if part.filename is None
            else UploadedFile(part.content, part.filename, part.content_type)
        )
        if part.name in form:
            many.setdefault(part.name, [form[part.name]]).append(value)
            continue
        form[part.name] = value
    return {**form, **many}


def _parts(body: bytes) -> List[_Part]:
    line, found, rest = body.partition(b"\r\n")
    if not found or not line.startswith(b"--") or not 2 < len(line) <= BOUNDARY_BYTES_MAX + 2:
        raise unreadable("cannot read the body as a form: it does not begin with a boundary")
    pieces = (b"\r\n" + rest).split(b"\r\n" + line)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise unreadable("cannot read the body as a form: its last boundary is missing")
    if len(pieces) > PARTS_MAX + 1:
        raise unreadable(f"cannot read the body as a form: it has more than {PARTS_MAX} parts")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> _Part:
    head, found, content = piece.partition(b"\r\n\r\n")
    if not found or len(head) > HEADER_BYTES_MAX:
        raise unreadable("cannot read the body as a form: a part has no end of its headers")
    headers = dict(_header(line) for line in bodies.read_text(head).split("\r\n") if line)
    disposition = headers.get("content-disposition", "")
    names = {name.lower(): _unquoted(quoted, bare) for name, quoted, bare in _PARAMETER.findall(disposition)}
    if "name" not in names:
        raise unreadable("cannot read the body as a form: a part has no name")
    kind = headers.get("content-type", "application/octet-stream" if "filename" in names else "text/plain")
    return _Part(names["name"], names.get("filename"), kind, content)


def _header(line: str) -> Tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _unquoted(quoted: str, bare: str) -> str:
    # HTML's way to write a quote in a name; a backslash is what curl writes before one.
    return (re.sub(r'\\(["\\])', r"\1", quoted) or bare).replace("%22", '"')
