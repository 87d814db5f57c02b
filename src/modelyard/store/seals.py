"""Encryption of single values under a key in the home: AES-256 in Galois/counter mode, which also proves who wrote it.

The key is a file of its own, so that a copy of the database alone gives nothing away. A sealed value is

    1 byte format, 8 bytes of the key's sha256, 12 bytes nonce, then the ciphertext with its tag

and is bound to the name that it was written for: one cannot be put in another's place.
"""

import hashlib
import secrets
from pathlib import Path

from modelyard.errors import StoreFailed
from modelyard.store.disk import disk
from modelyard.store.private_files import make_private

KEY_BYTES = 32
KEY_NAME_BYTES = 8
NONCE_BYTES = 12
FORMAT = b"\x01"

_LOST = "restore that file from where it was kept, or set the secret again"


class Seals:
    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, value: str, bound_to: str) -> bytes:
        """Makes the key with its first use. Raises StoreFailed."""
        # Takes 50 ms and a few MB, which a yard without secrets need not pay.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        key = self._read() or make_private(self._path, secrets.token_bytes(KEY_BYTES))
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + _name(key) + nonce + AESGCM(key).encrypt(nonce, value.encode(), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Raises StoreFailed where the key is not there, is another, or the value is not what was written."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 (see `seal`)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (see `seal`)

        key = self._read()
        if key is None:
            raise StoreFailed(f"cannot read secret {bound_to}: {self._path} is not there", _LOST)
        format_, rest = sealed[:1], sealed[1:]
        name, rest = rest[:KEY_NAME_BYTES], rest[KEY_NAME_BYTES:]
        if format_ != FORMAT or name != _name(key):
            raise StoreFailed(f"cannot read secret {bound_to}: it was written under another key", _LOST)
        try:
            return AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], bound_to.encode()).decode()
        except InvalidTag as error:
            raise StoreFailed(f"cannot read secret {bound_to}: what is stored was changed", _LOST) from error

    def _read(self) -> bytes | None:
        with disk("read", self._path):
            try:
                key = self._path.read_bytes()
            except FileNotFoundError:
                return None
        if len(key) != KEY_BYTES:
            raise StoreFailed(f"cannot use {self._path}: it does not hold a key", "restore it from where it was kept")
        return key


def _name(key: bytes) -> bytes:
    """What tells keys apart without saying anything about them."""
    return hashlib.sha256(key).digest()[:KEY_NAME_BYTES]
