"""Hashes of passwords: Argon2id (RFC 9106) with OWASP's parameters, written as PHC strings."""

import os
import secrets

MEMORY_KIB = 19_456
ITERATIONS = 2
LANES = 1
_LENGTH_BYTES = 32
_SALT_BYTES = 16

TEMPORARY_WORDS = 4
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def hash_password(password: str) -> str:
    # An idle yard checks no password; the library is loaded by the first.
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415

    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES), length=_LENGTH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    )
    return kdf.derive_phc_encoded(password.encode())


def is_password(password: str, encoded: str | None) -> bool:
    """Takes as long where there is no hash, so that the time does not say who has an account."""
    from cryptography.exceptions import InvalidKey  # noqa: PLC0415 (as above)
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415

    if encoded is None:
        hash_password(password)
        return False
    try:
        Argon2id.verify_phc_encoded(password.encode(), encoded)
    except InvalidKey:
        return False
    return True


def temporary_password() -> str:
    """Easily read over the phone, and 79 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(TEMPORARY_WORDS))
