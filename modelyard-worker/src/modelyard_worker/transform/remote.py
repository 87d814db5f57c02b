"""Objects behind http(s) URLs: read as a stream that goes on where a broken connection left off.

S3, GCS and Azure hand out such URLs for single objects (presigned); their query, where the signature is, is shown to
nobody.
"""

import contextlib
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Generator, Iterator, NamedTuple, Optional

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


def without_secrets(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered with status {error.code}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def look(url: str) -> Facts:
    """What a server says of an object, by asking for its first byte. Raises OSError."""
    with _open(url, 0, 0) as answer:
        headers = answer.headers
        ranges = answer.status == 206
        whole = str(headers.get("Content-Range", "")).rpartition("/")[2] if ranges else headers.get("Content-Length")
        size = int(whole) if whole and whole.isdigit() else None
        return Facts(size, f"{headers.get('ETag', '')} {headers.get('Last-Modified', '')} {size}", ranges)


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
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (http and https alone come here: `is_url`)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 (likewise)
            yield answer
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        raise OSError("the object is empty") from error
