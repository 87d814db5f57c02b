"""Objects behind http(s) and s3 URLs: read as a stream that goes on where a broken connection left off.

S3, GCS and Azure hand out http URLs for single objects (presigned); their query, where the signature is, is shown to
nobody. What s3 URLs are signed with, `object_store` says.
"""

import contextlib
import errno
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, ContextManager, Dict, Generator, Iterator, NamedTuple, Optional

from modelyard_worker.object_store import ObjectStore, is_object_url, parse_place

SECONDS_MAX = 30.0
"""How long a server may say nothing."""
TRIES_MAX = 5
"""Connections that may break one after the other without a byte between."""
PAUSE_SECONDS = 0.5
BLOCK_BYTES = 2**20


class Facts(NamedTuple):
    size_bytes: Optional[int]
    identity: str
    ranges: bool
    """Whether the server hands out parts."""


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://")) or is_object_url(text)


def without_secrets(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered with status {error.code}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def look(url: str) -> Facts:
    """What a server says of an object, by asking for its first byte, or of a store's object by name. Raises OSError."""
    if is_object_url(url):
        return _look_at_object(url)
    with _open(url, 0, 0) as answer:
        headers = answer.headers
        ranges = answer.status == 206
        whole = str(headers.get("Content-Range", "")).rpartition("/")[2] if ranges else headers.get("Content-Length")
        size = int(whole) if whole and whole.isdigit() else None
        return Facts(size, f"{headers.get('ETag', '')} {headers.get('Last-Modified', '')} {size}", ranges)


def _look_at_object(url: str) -> Facts:
    with ObjectStore().open("HEAD", parse_place(url)) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        return Facts(size, object_identity(answer.headers.get("ETag", ""), size), ranges=True)


def object_identity(etag: str, size_bytes: int) -> str:
    """What tells one content of a store's object from another."""
    return f"{etag.strip(chr(34))} {size_bytes}"


def fetch(url: str, identity: str, target: str) -> None:
    """The whole object as a file, which is there as a whole or not at all. Raises OSError."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    aside = f"{target}.part"
    with open(aside, "wb") as file:
        file.writelines(stream(url, 0, identity))
    os.replace(aside, target)


def send(source: str, url: str) -> None:
    """A file as an object. Raises OSError where the store fails for good."""
    for failures in range(1, TRIES_MAX + 1):
        try:
            ObjectStore().put(source, parse_place(url))
        except OSError as error:
            lasting = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if lasting or failures == TRIES_MAX:
                raise OSError(errno.EIO, reason(error), url) from error
            time.sleep(PAUSE_SECONDS * failures)
        else:
            return


def stream(url: str, begin: int, identity: str) -> Iterator[bytes]:
    """The bytes from `begin`. Raises OSError where the server fails for good or has another content by now."""
    at, failures = begin, 0
    while True:
        try:
            facts = look(url)
            if facts.identity != identity:
                raise _Changed("it is another than it was when it was listed")
            if facts.size_bytes is not None and at >= facts.size_bytes:
                return
            for block in _blocks(url, at, facts.ranges):
                at += len(block)
                failures = 0
                yield block
            if facts.size_bytes is None or at >= facts.size_bytes:
                return
            raise ConnectionError(f"the connection ended after {at} of {facts.size_bytes} bytes")
        except _Changed:
            raise
        except OSError as error:
            failures += 1
            lasting = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if lasting or failures >= TRIES_MAX:
                raise
            time.sleep(PAUSE_SECONDS * failures)


class _Changed(OSError):  # noqa: N818 (reads as what happened)
    """The object is another than the one that was listed."""


def _blocks(url: str, begin: int, ranges: bool) -> Iterator[bytes]:
    with _open(url, begin if ranges else None, None) as answer:
        skipped = 0 if ranges else begin
        while True:
            block: bytes = answer.read(BLOCK_BYTES)
            if not block:
                return
            if skipped:
                cut = min(skipped, len(block))
                skipped -= cut
                block = block[cut:]
            if block:
                yield block


@contextlib.contextmanager
def _open(url: str, begin: Optional[int], end: Optional[int]) -> "Generator[Any]":
    headers = {} if begin is None else {"Range": f"bytes={begin}-{'' if end is None else end}"}
    try:
        with _answer(url, headers) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        raise OSError("the object is empty") from error


def _answer(url: str, headers: Dict[str, str]) -> "ContextManager[Any]":
    if is_object_url(url):
        return ObjectStore().open("GET", parse_place(url), headers=headers)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (http and https alone come here: `is_url`)
    return urllib.request.urlopen(request, timeout=SECONDS_MAX)  # noqa: S310 (likewise)
