"""An object cut into pieces, each of which is scored by itself and has its place in the output.

Lines are cut at line feeds, so that a piece is as many whole lines as fit into the limit. Of a plain file only the
places are found here; who scores a piece reads it. What is compressed or behind a URL is read here, as a stream.
Parquet is cut at its row groups, whose number shows when the first of them is scored. Without a split the object is one
piece.

A piece's `begin` and `end` are places in the input - bytes after decompression, or numbers of row groups - and what an
interrupted transform goes on from.
"""

import os
import zlib
from typing import BinaryIO, Callable, Iterator, NamedTuple, Optional, Tuple

from modelyard_worker import media
from modelyard_worker.transform import remote
from modelyard_worker.transform.objects import Format, InputGone, Object, identity_of
from modelyard_worker.transform.plan import (
    AUTO,
    LINE,
    NONE,
    PAYLOAD_MB_DEFAULT,
    REPEAT,
    TransformPlan,
)

AUTO_BYTES = 2**20
"""What a piece of lines has where nothing was said: small enough that all cores end together, large enough that nothing
but scoring takes time."""

BLOCK_BYTES = 64 * 1024
READ_BYTES = 2**20
HEADER_BYTES_MAX = 2**20
GROUPS_MAX = 10_000_000


class Piece(NamedTuple):
    number: int
    """Of its object."""
    begin: int
    end: int
    path: Optional[str]
    """The file to read it from; None where `body` has it."""
    body: bytes
    header: bytes
    """What goes before it in every request."""
    identity: str
    size_bytes: int
    """What it counts in the object's own bytes, for showing how far it is."""


class TooLong(Exception):  # noqa: N818 (reads as what is wrong)
    """A record, or an object without a split, is over the limit of one request."""


def limit_bytes(plan: TransformPlan, found: Format) -> int:
    """Bytes of one request; 0 is without limit."""
    stated = int(plan.max_payload_mb * 2**20)
    if found.split == LINE and plan.strategy == AUTO:
        return min(stated or AUTO_BYTES, AUTO_BYTES)
    return stated or (int(PAYLOAD_MB_DEFAULT * 2**20) if found.split == LINE else 0)


def pieces(plan: TransformPlan, one: Object, found: Format, begin: int) -> Iterator[Piece]:
    """The pieces from the place `begin` on; none where it is the end. Raises InputGone, TooLong."""
    limit = limit_bytes(plan, found)
    if found.kind == media.PARQUET:
        return _groups(plan, one, begin)
    if found.split != LINE:
        return _whole(one, found, limit, begin)
    if found.gzip or one.remote:
        return _from_stream(plan, one, found, limit, begin)
    return _from_file(plan, one, found, limit, begin)


def _groups(plan: TransformPlan, one: Object, begin: int) -> Iterator[Piece]:
    """One after the other until who scores them says that there are no more."""
    source, identity = (one.source, one.identity) if not one.remote else _fetched(plan, one)
    for number in range(begin, GROUPS_MAX):
        yield Piece(one.number, number, number + 1, source, b"", b"", identity, 0)


def _fetched(plan: TransformPlan, one: Object) -> Tuple[str, str]:
    """A copy in the transform's folder, and what it is: Parquet is read from its end."""
    target = fetched_place(plan.base, one.number)
    try:
        if not os.path.exists(target):
            remote.fetch(one.source, one.identity, target)
        return target, identity_of(os.stat(target))
    except OSError as error:
        raise InputGone(f"cannot read {remote.without_secrets(one.source)}: {remote.reason(error)}") from error


def fetched_place(base: str, number: int) -> str:
    return os.path.join(base, "fetched", f"{number:07d}")


# All of it


def _whole(one: Object, found: Format, limit: int, begin: int) -> Iterator[Piece]:
    if begin:
        return
    if not found.gzip and not one.remote:
        size = one.size_bytes or 0
        _check(one, size, limit)
        yield Piece(one.number, 0, max(size, 1), one.source, b"", b"", one.identity, size)
        return
    body = bytearray()
    for block in _stream(one, found):
        body += block
        _check(one, len(body), limit)
    yield Piece(one.number, 0, max(len(body), 1), None, bytes(body), b"", one.identity, one.size_bytes or 0)


def _check(one: Object, size: int, limit: int) -> None:
    if limit and size > limit:
        raise TooLong(
            f"cannot send {one.name} as one request: it has more than the {limit} bytes of max_payload_mb; "
            "set a split, or a higher limit"
        )


# Lines of a plain file


def _from_file(plan: TransformPlan, one: Object, found: Format, limit: int, begin: int) -> Iterator[Piece]:
    try:
        file = open(one.source, "rb", buffering=0)  # noqa: SIM115 (closed below; only the opening may fail so)
    except OSError as error:
        raise InputGone(f"cannot read {one.source}: {error.strerror}") from error
    with file:
        if identity_of(os.fstat(file.fileno())) != one.identity:
            raise InputGone(changed(one.source))
        size = one.size_bytes or 0
        header = _header(plan, found, lambda: os.pread(file.fileno(), HEADER_BYTES_MAX, 0))
        at = max(begin, len(header))
        repeated = header if plan.csv_header == REPEAT else b""
        while at < size:
            end = _line_end(one, file, at, limit, size)
            yield Piece(one.number, at, end, one.source, b"", repeated, one.identity, end - at)
            at = end


def changed(source: str) -> str:
    return f"cannot go on with {source}: it is another file than when it was listed"


def _header(plan: TransformPlan, found: Format, first: Callable[[], bytes]) -> bytes:
    """The first line of a CSV object, where it is none of the rows."""
    if plan.csv_header == NONE or found.kind != media.CSV:
        return b""
    begins = first()
    feed = begins.find(b"\n")
    if feed < 0 and len(begins) >= HEADER_BYTES_MAX:
        raise TooLong(f"cannot find the header: the first line has more than {HEADER_BYTES_MAX} bytes")
    return begins[: feed + 1] if feed >= 0 else begins


def _line_end(one: Object, file: BinaryIO, begin: int, limit: int, size: int) -> int:
    """Where the last whole line within the limit ends."""
    upto = begin + limit
    if upto >= size:
        return size
    while upto > begin:
        block_begin = max(begin, upto - BLOCK_BYTES)
        feed = os.pread(file.fileno(), upto - block_begin, block_begin).rfind(b"\n")
        if feed >= 0:
            return block_begin + feed + 1
        upto = block_begin
    raise _long_line(one, begin, limit)


def _long_line(one: Object, begin: int, limit: int) -> TooLong:
    return TooLong(
        f"cannot send the line of {one.name} that begins at byte {begin} as one request: it has more than {limit} "
        "bytes; raise max_payload_mb"
    )


# Lines of a stream


def _from_stream(plan: TransformPlan, one: Object, found: Format, limit: int, begin: int) -> Iterator[Piece]:
    blocks = _stream(one, found)
    held = bytearray(next(blocks, b""))
    header = _header(plan, found, lambda: bytes(held))
    repeated = header if plan.csv_header == REPEAT else b""
    at, skip = 0, max(begin, len(header))
    while True:
        block = next(blocks, b"") if len(held) < limit + skip - at else b""
        held += block
        if skip > at:
            cut = min(len(held), skip - at)
            del held[:cut]
            at += cut
        if block and len(held) < limit:
            continue
        if not held:
            if at < skip and block:
                continue
            return
        size = len(held) if len(held) <= limit and not block else bytes(held).rfind(b"\n", 0, limit) + 1
        if not size:
            raise _long_line(one, at, limit)
        yield Piece(one.number, at, at + size, None, bytes(held[:size]), repeated, one.identity, 0)
        del held[:size]
        at += size


def _stream(one: Object, found: Format) -> Iterator[bytes]:
    """Blocks of the object, decompressed. Raises InputGone."""
    try:
        source = remote.stream(one.source, 0, one.identity) if one.remote else _blocks(one)
        yield from _inflated(one, source) if found.gzip else source
    except OSError as error:
        shown = remote.without_secrets(one.source) if one.remote else one.source
        raise InputGone(f"cannot read {shown}: {remote.reason(error)}") from error


def _blocks(one: Object) -> Iterator[bytes]:
    with open(one.source, "rb", buffering=0) as file:
        if identity_of(os.fstat(file.fileno())) != one.identity:
            raise InputGone(changed(one.source))
        while True:
            block = file.read(READ_BYTES)
            if not block:
                return
            yield block


def _inflated(one: Object, source: Iterator[bytes]) -> Iterator[bytes]:
    """Gzip, of any number of members; a few bytes may stand for many, so it is unpacked part by part."""
    inflating = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for block in source:
            left = block
            while left:
                if inflating.eof:
                    if not left.strip(b"\0"):
                        break
                    inflating, begun = zlib.decompressobj(wbits=31), False
                part = inflating.decompress(left, READ_BYTES)
                begun = True
                left = inflating.unused_data if inflating.eof else inflating.unconsumed_tail
                if part:
                    yield part
    except zlib.error as error:
        raise InputGone(f"cannot read {one.name}: it is not gzip, or damaged ({error})") from error
    if begun and not inflating.eof:
        raise InputGone(f"cannot read {one.name}: its gzip stream is cut short")
