"""Messages to webhooks, signed as Standard Webhooks has it (standardwebhooks.com), whose libraries check them.

webhook-id          the same for every try of one message: a receiver that has seen it is told nothing new
webhook-timestamp   seconds since the epoch, of this try
webhook-signature   v1,BASE64 of the HMAC-SHA256 of `id.timestamp.body`
"""

import base64
import hashlib
import hmac

SECRET_PREFIX = "whsec_"  # noqa: S105 (what a secret begins with, not one)


def secret_text(secret: bytes) -> str:
    """As people copy it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signed_headers(secret: bytes, message_id: str, at: float, body: bytes) -> dict[str, str]:
    moment = str(int(at))
    signature = hmac.new(secret, f"{message_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
