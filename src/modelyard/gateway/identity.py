"""The tokens that an app is handed with a request: one says who is there, with the other it calls endpoints as them.

What signing and checking costs is paid once for each person, app and few minutes: both ways are remembered, bounded.
"""

import hashlib
import logging
import time
from collections import OrderedDict
from typing import Any, NamedTuple

from modelyard.domain.access import Principal
from modelyard.errors import StoreFailed, Unauthorized
from modelyard.gateway.shown import Shown
from modelyard.protocol.tokens import TokenKey

RENEWED_SECONDS = 300.0
"""How old the tokens are at most that an app is handed with a request."""

TOKENS_MAX = 4096

_log = logging.getLogger("modelyard.gateway")


class Tokens(NamedTuple):
    """What an app is handed."""

    identity: bytes
    """Says who is there; opens nothing."""
    person: bytes
    """Calls endpoints in the place of whoever is there."""


class Errand(NamedTuple):
    """Whose token somebody showed: `client` asks for whoever has the session `sid`."""

    digest: str
    sid: str
    client: str
    scope: str


class Identity:
    def __init__(self, key: TokenKey) -> None:
        self._key = key
        self._made: OrderedDict[tuple[str, str, Principal], tuple[Tokens, float]] = OrderedDict()
        self._read: OrderedDict[str, tuple[Errand, float]] = OrderedDict()

    def tokens_for(self, shown: Shown, client: str, expires_at: float | None) -> Tokens | None:
        """For the app `client` (`app/NAME`); None where nobody was recognised, and where there is no key."""
        principal = shown.principal
        if principal is None:
            return None
        now = time.time()
        place = (shown.digest, client, principal)
        kept = self._made.get(place)
        if kept is not None and kept[1] > now:
            return kept[0]
        try:
            tokens = Tokens(
                self._key.identity_token(client, principal, shown.digest, expires_at).encode(),
                self._key.person_token(client, principal, shown.digest, expires_at).encode(),
            )
        except StoreFailed as error:
            _log.error("%s", error.message)
            return None
        self._made[place] = (tokens, min(expires_at or now + RENEWED_SECONDS, now + RENEWED_SECONDS))
        _trim(self._made)
        return tokens

    def errand_of(self, token: bytes) -> Errand | None:
        """What a person's token says; None for any other word."""
        digest = hashlib.sha256(token).hexdigest()
        kept = self._read.get(digest)
        if kept is None:
            try:
                claims = self._key.check(token.decode("latin-1"))
            except (Unauthorized, StoreFailed):
                return None
            errand = Errand(digest, str(claims["sid"]), str(claims["client_id"]), str(claims["scope"]))
            kept = self._read[digest] = (errand, float(claims["exp"]))
            _trim(self._read)
        return kept[0] if kept[1] > time.time() else None


def _trim(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > TOKENS_MAX:
        kept.popitem(last=False)
