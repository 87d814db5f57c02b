"""What webhooks are signed with: a secret for each endpoint, derived from one key of the yard. So the receiver of one
endpoint's messages cannot sign another's."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from modelyard.domain.names import name_key
from modelyard.store.disk import disk

KEY_BYTES = 32


def webhook_secret(path: Path, endpoint: str) -> bytes:
    """Raises StoreFailed. `path` is where the yard's key is; it is made where it is not there."""
    with disk("read", path):
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    return hmac.new(key, f"webhook:{name_key(endpoint)}".encode(), hashlib.sha256).digest()


def _make(path: Path) -> None:
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    # Another process may have been first: its key stays.
    with contextlib.suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()
