"""How gateways write down what is left of usage plans, and how it is read: a file for each API gateway, a record for
each key that has asked. The record without a name is of the whole gateway's bound."""

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple, Self

from modelyard.domain.usage import Usage

DIGEST_BYTES = 16

_LAYOUT = struct.Struct("<16sddqq")
"""Digest of the name, tokens, when they were right (wall clock), the period, requests in it."""

RECORD_BYTES = _LAYOUT.size

RECORDS_MAX = 4096
"""Keys that are counted in one file; beyond it the record that was used longest ago is given away."""


class UsageRecord(NamedTuple):
    digest: bytes
    usage: Usage

    def to_bytes(self) -> bytes:
        usage = self.usage
        return _LAYOUT.pack(self.digest, usage.tokens, usage.at, usage.period, usage.used)

    @classmethod
    def from_bytes(cls, held: bytes, at: int = 0) -> Self:
        digest, *figures = _LAYOUT.unpack_from(held, at)
        return cls(digest, Usage(*figures))


def digest_of(name: str) -> bytes:
    """Of a key's name, so that every record is equally long."""
    return hashlib.sha256(name.encode()).digest()[:DIGEST_BYTES]


def read_usages(path: Path) -> dict[bytes, Usage]:
    """By `digest_of` a key's name; empty where nobody has asked yet.

    It is read at once and without the records' locks: a record that is being written may be half old and half new,
    which a figure on a page can be.
    """
    try:
        with path.open("rb") as file:
            held = file.read(RECORDS_MAX * RECORD_BYTES)
    except FileNotFoundError:
        return {}
    whole = len(held) - len(held) % RECORD_BYTES
    return dict(UsageRecord.from_bytes(held, at) for at in range(0, whole, RECORD_BYTES))
