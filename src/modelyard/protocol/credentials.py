"""Whom a gateway recognises: digests of keys and sessions with who is behind them, as the controller publishes it.

One JSON file, replaced whole, and the same document over the controller's socket whenever it changes. A gateway without
a controller goes on with the last. The owner's key is not among them: gateways read its file.
"""

from dataclasses import dataclass
from typing import Any

from modelyard.domain.access import Principal
from modelyard.domain.users import principal_document, principal_from


@dataclass(frozen=True, slots=True)
class Credential:
    principal: Principal
    expires_at: float | None
    """Seconds since the epoch; None lasts until it is taken away."""
    host: str | None = None
    """The one host name where a session counts; None is the yard's own."""


Credentials = dict[str, Credential]
"""By digest (sha256, hexadecimal)."""


def credentials_document(credentials: Credentials) -> dict[str, Any]:
    return {
        digest: {"principal": principal_document(one.principal), "expires_at": one.expires_at, "host": one.host}
        for digest, one in credentials.items()
    }


def credentials_from(document: dict[str, Any]) -> Credentials:
    """The inverse of `credentials_document`. Raises KeyError, TypeError or ValueError where it is none."""
    return {
        digest: Credential(principal_from(one["principal"]), one["expires_at"], one.get("host"))
        for digest, one in document.items()
    }
