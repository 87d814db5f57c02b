"""Where a training's input comes from, as people write it.

data/train.csv                     a file or a folder beside the yard file
https://example.com/train.csv      downloaded when the run is asked for
s3://bucket/data/train.csv         likewise, the object or all whose keys begin so
dvc:data/train.csv@v1              what DVC tracks there, as of a git revision; without @ as of the work tree
run:price-training-3/model         the model that an earlier run made; /output for its output folder
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from modelyard.errors import InvalidValue

SOURCE_LENGTH_MAX = 2048
"""Characters."""

ALLOWED = "a path, an http(s) URL, s3://BUCKET/KEY, dvc:PATH@REVISION, or run:ID/model or run:ID/output"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OBJECT = re.compile(r"//([A-Za-z0-9][A-Za-z0-9._-]{1,62})(?:/(.*))?", re.DOTALL)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./~^{}+-]*")
_RUN = re.compile(r"([A-Za-z0-9-]{1,80})/(model|output)")


@dataclass(frozen=True, slots=True)
class PathSource:
    path: str
    """Relative to the folder of the yard file, or absolute."""


@dataclass(frozen=True, slots=True)
class UrlSource:
    url: str

    @property
    def file_name(self) -> str:
        """What the downloaded file is called: the last part of the URL's path."""
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return name if name not in ("", "..") and "\0" not in name and "\\" not in name else "data"

    @property
    def without_secrets(self) -> str:
        """The URL as it may be shown and kept: user, password and query, where signatures are, left out."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class DvcSource:
    path: str
    """Relative to the folder of the yard file."""
    revision: str | None
    """Of git; None means the work tree."""


@dataclass(frozen=True, slots=True)
class RunSource:
    run: str
    part: Literal["model", "output"]


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object of S3 or of what speaks its protocol, or all whose keys begin so."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


InputSource = PathSource | UrlSource | ObjectSource | DvcSource | RunSource


def parse_source(text: str) -> InputSource:
    """Raises InvalidValue for what is none of them. A file whose name looks like one is written with `./` before it."""
    if not text or "\0" in text or len(text) > SOURCE_LENGTH_MAX:
        raise _refused(text)
    kind, colon, rest = text.partition(":")
    if colon and kind == "dvc":
        return _dvc_source(text, rest)
    if colon and kind == "run":
        match = _RUN.fullmatch(rest)
        if match is None:
            raise _refused(text)
        return RunSource(match[1], "model" if match[2] == "model" else "output")
    if not _SCHEME.match(text):
        return PathSource(text)
    if kind.lower() == "s3":
        match = _OBJECT.fullmatch(rest)
        if match is None:
            raise _refused(text)
        return ObjectSource(match[1], match[2] or "")
    try:
        good = kind.lower() in ("http", "https") and bool(urlsplit(text).hostname)
    except ValueError:
        good = False
    if not good:
        raise _refused(text)
    return UrlSource(text)


def _dvc_source(text: str, rest: str) -> DvcSource:
    path, at, revision = rest.rpartition("@")
    if not at:
        path, revision = rest, ""
    pure = PurePosixPath(path)
    # A revision becomes a word of git's command line, so it must not look like an option or leave its place.
    bad_revision = at and (not _REVISION.fullmatch(revision) or ".." in revision)
    if not path or "\\" in path or pure.is_absolute() or ".." in pure.parts or bad_revision:
        raise _refused(text)
    return DvcSource(str(pure), revision or None)


def _refused(text: str) -> InvalidValue:
    return InvalidValue(f"cannot read {text[:120]!r} as an input", f"write {ALLOWED}")
