"""The lane of sites: files of a folder, found in a table of all there are, so that no path can lead anywhere else.

What is small is kept in memory, as it is sent; what is large is read as the client takes it. Each content is known by
its digest, which is also its entity tag: another version of a site changes the tags of those files alone that differ.
"""

import os
import re
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from modelyard.errors import InvalidValue, NotFound, StoreFailed
from modelyard.gateway.answers import plain_error, status_line
from modelyard.gateway.pages import HEAD, error_page
from modelyard.gateway.repeats import Said
from modelyard.protocol.sites import SiteFile, SiteManifest, read_manifest

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection

KEPT_FILE_BYTES_MAX = 256 * 2**10
KEPT_BYTES_MAX = 32 * 2**20
"""All contents together that are kept in memory."""

READ_BYTES = 256 * 2**10
SITES_MAX = 64
"""Sites whose tables are kept in memory; beyond it the one used longest ago is read again."""

SEE_FOLDER = 308
"""Status of the answer that leads from `/docs` to `/docs/`."""

ANSWERS_MAX = 4096
"""Answers of one site that are kept as they are sent."""

ACCEPTS_MAX = 256
"""Accept-Encoding headers whose meaning is remembered; browsers have few."""

_NOT_AT_ALL = (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
_CONDITIONS = (b"if-none-match", b"range", b"origin")


class Coding(NamedTuple):
    """How a file can be compressed."""

    word: bytes
    """In HTTP's headers."""
    suffix: str
    """Of the content that is compressed so."""


BROTLI, GZIP = Coding(b"br", ".br"), Coding(b"gzip", ".gz")
CODINGS = (BROTLI, GZIP)
"""The smallest first."""


class Answer(NamedTuple):
    status: int
    head: bytes
    """Header lines, with the length."""
    body: bytes | None = None
    """None is sent from the file."""
    path: str = ""
    start: int = 0
    length: int = 0


class Found(NamedTuple):
    status: int
    file: SiteFile
    is_named: bool = False
    """Whether the path alone says so, whoever asks for it."""


class Site:
    """One version of a site."""

    def __init__(self, manifest: SiteManifest, *, private: bool) -> None:
        self.answers: dict[tuple[bytes, tuple[Coding, ...]], Answer] = {}
        self._manifest = manifest
        self._private = private

    def answer(self, path: bytes, fields: dict[bytes, bytes], *, wants_page: bool, contents: "Contents") -> Answer:
        """Raises NotFound, StoreFailed."""
        accepted = accepted_codings(fields.get(b"accept-encoding", b""))
        plain = not any(name in fields for name in _CONDITIONS)
        if plain:
            kept = self.answers.get((path, accepted))
            if kept is not None:
                return kept
        found = self._find(path, wants_page=wants_page)
        if isinstance(found, bytes):
            return Answer(SEE_FOLDER, b"location: %b\r\ncontent-length: 0\r\n" % found, b"")
        status, file = found.status, found.file
        answer = self._made(status, file, fields, contents, accepted)
        if plain and found.is_named and answer.body is not None and len(self.answers) < ANSWERS_MAX:
            self.answers[path, accepted] = answer
        return answer

    def _find(self, path: bytes, *, wants_page: bool) -> "Found | bytes":
        """The file; or where to go instead."""
        files, index = self._manifest.files, self._manifest.index
        name = unquote(path.decode("latin-1"), errors="replace").removeprefix("/")
        place = f"{name}{index}" if not name or name.endswith("/") else name
        if place in files:
            return Found(200, files[place], is_named=True)
        if f"{name}/{index}" in files:
            return f"/{quote(name)}/".encode()
        if self._manifest.spa and wants_page and index in files:
            return Found(200, files[index])
        if self._manifest.error is not None:
            return Found(404, files[self._manifest.error])
        raise NotFound(f"cannot find {name[:100] or 'a page here'}")

    def _made(
        self,
        status: int,
        file: SiteFile,
        fields: dict[bytes, bytes],
        contents: "Contents",
        accepted: tuple["Coding", ...],
    ) -> Answer:
        coding, size = None, file.size_bytes
        if b"range" not in fields:
            coding, size = _smallest(file, accepted)
        place = os.path.join(self._manifest.folder, file.sha256 + (coding.suffix if coding else ""))  # noqa: PTH118 (hot)
        tag = b'"%b%b"' % (file.sha256[:32].encode(), b"-%b" % coding.word if coding else b"")
        head = self._head(file, fields, tag, coding)
        if status == 200 and _matches(fields.get(b"if-none-match"), tag):
            return Answer(304, head, b"")
        if status == 200 and b"range" in fields and fields.get(b"if-range", tag) == tag:
            part = _range(fields[b"range"], size)
            if part == (0, 0):
                return Answer(416, head + b"content-range: bytes */%d\r\ncontent-length: 0\r\n" % size, b"")
            if part is not None:
                start, length = part
                head += b"content-range: bytes %d-%d/%d\r\n" % (start, start + length - 1, size)
                return Answer(206, head + b"content-length: %d\r\n" % length, None, place, start, length)
        head += b"content-length: %d\r\n" % size
        body = contents.read(place, size) if size <= KEPT_FILE_BYTES_MAX else None
        return Answer(status, head, body, place, 0, size)

    def _head(self, file: SiteFile, fields: dict[bytes, bytes], tag: bytes, coding: "Coding | None") -> bytes:
        seconds = self._manifest.cache_seconds
        cache = b"max-age=%d" % seconds if seconds else b"no-cache"
        lines = [
            b"content-type: %b\r\netag: %b\r\naccept-ranges: bytes\r\n" % (file.media_type.encode(), tag),
            b"cache-control: %b%b\r\n" % (b"private, " if self._private else b"", cache),
            b"x-content-type-options: nosniff\r\n",
        ]
        if coding is not None:
            lines.append(b"content-encoding: %b\r\n" % coding.word)
        varies = [b"accept-encoding"] if file.gzip_bytes is not None or file.brotli_bytes is not None else []
        if self._manifest.cors:
            varies.append(b"origin")
            lines.append(self.cors_lines(fields))
        if varies:
            lines.append(b"vary: %b\r\n" % b", ".join(varies))
        return b"".join(lines)

    def cors_lines(self, fields: dict[bytes, bytes]) -> bytes:
        """What lets a page of another origin read this."""
        allowed, origin = self._manifest.cors, fields.get(b"origin")
        if "*" in allowed and not self._private:
            return b"access-control-allow-origin: *\r\n"
        if origin is not None and origin.decode("latin-1") in allowed:
            return b"access-control-allow-origin: %b\r\n" % origin
        return b""


class Contents:
    """Small files in memory, those used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def read(self, place: str, size: int) -> bytes:
        """Raises StoreFailed."""
        kept = self._kept.get(place)
        if kept is not None:
            self._kept.move_to_end(place)
            return kept
        try:
            content = Path(place).read_bytes()
        except OSError as error:
            raise StoreFailed(f"cannot read a file of the site: {error.strerror}", "deploy the site again") from error
        if len(content) != size:
            raise StoreFailed("cannot read a file of the site: it is not what was deployed", "deploy the site again")
        self._kept[place] = content
        self._bytes += size
        while self._bytes > KEPT_BYTES_MAX:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return content


class Sites:
    """Tables of sites, read when they are first asked for."""

    def __init__(self) -> None:
        self.contents = Contents()
        self._read: OrderedDict[tuple[str, bool], Site] = OrderedDict()

    def site(self, manifest: str, *, private: bool) -> Site:
        """Raises StoreFailed."""
        place = (manifest, private)
        found = self._read.get(place)
        if found is None:
            try:
                found = Site(read_manifest(Path(manifest)), private=private)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StoreFailed(f"cannot read the site's table: {error}", "deploy the site again") from error
            self._read[place] = found
            while len(self._read) > SITES_MAX:
                self._read.popitem(last=False)
        return found


class Served:
    """The exchange."""

    def __init__(
        self, connection: "HttpConnection", answer: Answer, request_id: bytes, *, is_head: bool, for_all: bool = False
    ) -> None:
        """`for_all` says that whoever asks in these words gets this answer."""
        self._for_all = for_all and not is_head
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._answer = answer
        self._request_id = request_id
        self._is_head = is_head
        self._file = -1
        self._at = answer.start

    @property
    def repeatable(self) -> Said | None:
        """What is said again to the same words; None where that depends on more than them."""
        answer = self._answer
        if not self._for_all or answer.body is None or not self.keep_alive or self.body_bytes:
            return None
        return Said(status_line(answer.status) + answer.head, answer.body)

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        answer, connection = self._answer, self._connection
        head = connection.head(status_line(answer.status) + answer.head, self._request_id, self.keep_alive)
        if self._is_head or answer.body is not None:
            connection.transport.write(head if self._is_head else head + (answer.body or b""))
            connection.finished(self)
            return
        try:
            self._file = os.open(answer.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fail(StoreFailed(f"cannot read a file of the site: {error.strerror}", "deploy the site again"))
            return
        connection.transport.write(head)
        self.can_write()

    def can_write(self) -> None:
        """Goes on as far as the client takes it."""
        if self._file < 0:
            return
        end = self._answer.start + self._answer.length
        while self._at < end and not self._connection.client_is_slow:
            part = os.pread(self._file, min(READ_BYTES, end - self._at), self._at)
            if not part:
                # It is shorter than it was: the client must not take it for whole.
                self.abort()
                self._connection.transport.abort()
                return
            self._at += len(part)
            self._connection.transport.write(part)
        if self._at >= end:
            self.abort()
            self._connection.finished(self)

    def abort(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _fail(self, error: StoreFailed) -> None:
        _, head, body = plain_error(error, self._request_id.decode("latin-1"))
        self._connection.write_answer(
            status_line(500) + head, body, self._request_id, self.keep_alive, is_head=self._is_head
        )
        self._connection.finished(self)


def preflight(site: Site, fields: dict[bytes, bytes]) -> Answer:
    """The answer to OPTIONS."""
    allowed = site.cors_lines(fields)
    methods = b"access-control-allow-methods: GET, HEAD\r\naccess-control-max-age: 3600\r\n" if allowed else b""
    return Answer(204, b"allow: GET, HEAD, OPTIONS\r\nvary: origin\r\n" + allowed + methods, b"")


def missing(error: NotFound, request_id: bytes) -> Answer:
    body = error_page(error, request_id.decode("latin-1"))
    return Answer(404, HEAD + b"content-length: %d\r\n" % len(body), body)


def check_method(method: bytes) -> None:
    """Raises InvalidValue."""
    if method not in (b"GET", b"HEAD", b"OPTIONS"):
        raise InvalidValue(f"cannot {method.decode('latin-1')} a file of a site", "use GET")


@lru_cache(ACCEPTS_MAX)
def accepted_codings(accepts: bytes) -> tuple[Coding, ...]:
    """Those of ours that Accept-Encoding allows (RFC 9110, 12.5.3), the smallest first."""
    weights: dict[bytes, bool] = {}
    for one in accepts.lower().split(b","):
        name, _, quality = one.partition(b";")
        weights[name.strip()] = quality.replace(b" ", b"") not in _NOT_AT_ALL
    every = weights.get(b"*", False)
    return tuple(one for one in CODINGS if weights.get(one.word, every))


def _smallest(file: SiteFile, accepted: tuple[Coding, ...]) -> tuple[Coding | None, int]:
    """The form that is sent, and its size."""
    for coding in accepted:
        size = file.brotli_bytes if coding is BROTLI else file.gzip_bytes
        if size is not None:
            return coding, size
    return None, file.size_bytes


def _matches(condition: bytes | None, tag: bytes) -> bool:
    """If-None-Match (RFC 9110, 13.1.2): weak tags match as strong ones do."""
    if condition is None:
        return False
    return condition.strip() == b"*" or tag in (one.strip().removeprefix(b"W/") for one in condition.split(b","))


def _range(header: bytes, size: int) -> tuple[int, int] | None:
    """(start, length); (0, 0) where none of it is there; None where the header is to be ignored, as one of several
    ranges is (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = min(size, int(match[2]))
        return (size - length, length) if length else (0, 0)
    start = int(match[1])
    end = min(size - 1, int(match[2])) if match[2] else size - 1
    if match[2] and int(match[2]) < start:
        return None
    return (start, end - start + 1) if start < size else (0, 0)
