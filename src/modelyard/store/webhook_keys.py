"""What webhooks are signed with: a secret for each endpoint, derived from one key of the yard. So the receiver of one
endpoint's messages cannot sign another's."""

import hashlib
import hmac
import secrets
from pathlib import Path

from modelyard.domain.names import name_key
from modelyard.store.disk import disk
from modelyard.store.private_files import make_private

KEY_BYTES = 32


def webhook_secret(path: Path, endpoint: str) -> bytes:
    """Raises StoreFailed. `path` is where the yard's key is; it is made where it is not there."""
    with disk("read", path):
        key = path.read_bytes() if path.exists() else make_private(path, secrets.token_bytes(KEY_BYTES))
    return hmac.new(key, f"webhook:{name_key(endpoint)}".encode(), hashlib.sha256).digest()
