"""Webhooks: how a delivery is signed, and when it is tried again.

Signed as Standard Webhooks has it (standardwebhooks.com), so that the receivers' libraries that there are can check it:
`webhook-id` is the same in each attempt, so a receiver that has seen it knows that it has.
"""

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from modelyard.errors import InvalidValue

RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0)
"""After each failed attempt; then it is given up."""

SECRET_PREFIX = "whsec_"  # noqa: S105 (what a secret begins with, not one)

URL_LENGTH_MAX = 2000
ANSWER_SECONDS_MAX = 10.0
"""How long a receiver may take."""


def check_webhook_url(url: str) -> str:
    """Returns a URL that can be posted to. Raises InvalidValue."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or len(url) > URL_LENGTH_MAX or any(ord(one) <= 32 or ord(one) == 127 for one in url):
        raise InvalidValue(f"cannot post to {url[:80]!r}: not a URL", "write https://HOST/PATH")
    return url


def webhook_headers(delivery: str, at: float, body: bytes, secret: str | None) -> dict[str, str]:
    """The headers of one attempt; with a secret they prove who sent it, when and what."""
    stamp = str(int(at))
    headers = {"content-type": "application/json", "webhook-id": delivery, "webhook-timestamp": stamp}
    if secret is not None:
        signed = b".".join((delivery.encode(), stamp.encode(), body))
        digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def secret_text(secret: bytes) -> str:
    """As people copy it, and as such libraries take it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signing_key(secret: str) -> bytes:
    """The inverse of `secret_text`; any other text as it is."""
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except ValueError:
            pass
    return secret.encode()


def retry_at(attempts: int, now: float) -> float | None:
    """When to try again after so many attempts have failed; None gives it up."""
    return now + RETRY_SECONDS[attempts - 1] if attempts <= len(RETRY_SECONDS) else None
