"""Who a client is, and whether it may come in: the gate before every lane."""

import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

from modelyard.domain.access import OWNER, Entry, Policy, Principal, PrincipalKind, decide_entry, remedy_of
from modelyard.domain.tokens import acting_for
from modelyard.errors import Forbidden, Unauthorized
from modelyard.gateway.identity import Identity
from modelyard.gateway.passing import cookie, is_own_page
from modelyard.gateway.shown import NOBODY, Shown
from modelyard.protocol.browsers import app_cookies
from modelyard.protocol.credentials import Credentials
from modelyard.protocol.routes import SECURE_SESSION_COOKIE, SESSION_COOKIE
from modelyard.protocol.tokens import looks_signed

_SESSION_COOKIES = (SECURE_SESSION_COOKIE.encode(), SESSION_COOKIE.encode())

KEY_BYTES_MAX = 512
USED_NOTED_MAX = 10_000
"""Keys whose use waits to be reported; beyond it the rest is reported at their next use."""

KEY_LOOKED_AT_SECONDS = 0.5
"""How often it is looked whether the owner's key is another one."""

ENTRIES_KEPT_MAX = 4096
"""Decisions that are kept for use again; beyond it they are made anew."""

WELCOME_SECONDS = 0.5
"""For how long who showed a key is let in again by the same words, without a look at what it is: less where the key
expires before, no longer once anything was changed. An app's token may expire so much later."""

WELCOME_BYTES_MAX = 2048
"""The longest words that are kept for it; tokens are shorter."""


class Access:
    """`by_default` is the policy of an endpoint that has none of its own."""

    def __init__(self, key_file: Path, by_default: Policy, identity: Identity) -> None:
        self.by_default = by_default
        self._identity = identity
        self.used: dict[str, float] = {}
        """Digests of keys that were shown since the last report, with the time."""
        self.changes = 0
        """How often what was decided may have become otherwise."""
        self._credentials: Credentials = {}
        self._entries: dict[tuple[str, str, str], Entry] = {}
        self._welcome: dict[tuple[bytes, str, str], tuple[Shown, float]] = {}
        """Who was let in by this `Authorization` a moment ago, and until when that holds."""
        self._key_file = key_file
        self._key_seen: tuple[float, bytes] = (0.0, b"")
        self._key_looked_at = float("-inf")

    def follow(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.forget()

    def forget(self) -> None:
        """Whatever was decided may be otherwise now."""
        self.changes += 1
        self._entries.clear()
        self._welcome.clear()

    def recognise(self, fields: dict[bytes, bytes], host: str | None = None) -> Principal | None:
        """By a key (`Authorization: Bearer`, `x-api-key`), else by a session's cookie; None for a stranger. `host` is
        the name of the origin where one is not at the yard's own."""
        return self._shown(fields, host).principal

    def knows_session(self, token: str, host: str) -> bool:
        """Whether the session of an app's origin has been heard of; one that has just begun may not have been."""
        return self._known(hashlib.sha256(token.encode()).hexdigest(), host, is_session=True) is not None

    def check(
        self,
        policy: Policy,
        fields: dict[bytes, bytes],
        address: str,
        project: str,
        resource: str,
        host: str | None = None,
    ) -> Shown:
        """Who came in; `host` is the name of the origin where one is not at the yard's own. Raises Unauthorized where a
        key or a login would help, Forbidden where it would not."""
        seen_from = address if policy.addresses else ""
        # What is shown so is all that counts at the yard's own address: whatever else the request has says nothing.
        bearer = fields.get(b"authorization", b"") if host is None else b""
        if bearer[:7].lower() != b"bearer " or len(bearer) > WELCOME_BYTES_MAX:
            bearer = b""
        elif (welcome := self._welcome.get((bearer, seen_from, resource))) and welcome[1] > time.monotonic():
            return welcome[0]
        shown = self._shown(fields, host)
        principal = shown.principal
        place = (shown.digest, seen_from, resource)
        entry = self._entries.get(place)
        if entry is None:
            entry = decide_entry(policy, principal, address, project, resource)
            _make_room(self._entries)
            self._entries[place] = entry
        if entry is Entry.OPEN:
            if bearer:
                _make_room(self._welcome)
                self._welcome[bearer, seen_from, resource] = (shown, self._welcome_until(shown.digest))
            return shown
        if entry is Entry.NEEDS_CREDENTIAL:
            raise Unauthorized(f"cannot use {resource} without a key", "send `Authorization: Bearer KEY`")
        raise Forbidden(
            f"cannot use {resource} from here" if principal is None else f"cannot use {resource} as {principal}",
            remedy_of(policy, principal, address),
        )

    def _welcome_until(self, digest: str) -> float:
        expires_at = self.expires_at(digest)
        left_seconds = WELCOME_SECONDS if expires_at is None else expires_at - time.time()
        return time.monotonic() + min(WELCOME_SECONDS, left_seconds)

    def _shown(self, fields: dict[bytes, bytes], host: str | None) -> Shown:
        """What a client shows, and who it is."""
        given = _presented_key(fields)
        if given is not None:
            digest = hashlib.sha256(given[:KEY_BYTES_MAX])
            owners = self._owners_digest()
            if owners and hmac.compare_digest(digest.digest(), owners):
                return Shown(OWNER, digest.hexdigest(), by_key=True)
            if looks_signed(given):
                shown = self._by_token(given)
                if shown is not None or host is None:
                    return shown or NOBODY
            known = self._known(digest.hexdigest(), None, is_session=False)
            if known is not None or host is None:
                # At an app's origin a key that is not ours is the app's own affair.
                return Shown(known, digest.hexdigest() if known is not None else "", by_key=known is not None)
        token = _presented_session(fields, host)
        if token is None:
            return NOBODY
        digest = hashlib.sha256(token).hexdigest()
        known = self._known(digest, host, is_session=True)
        return Shown(known, digest, by_cookie=True) if known is not None else NOBODY

    def _by_token(self, token: bytes) -> Shown | None:
        """Whom an app calls for, as its token says, as long as the session lasts that the token came of."""
        errand = self._identity.errand_of(token)
        if errand is None:
            return None
        found = self._credentials.get(errand.sid)
        if found is not None and found.expires_at is not None and found.expires_at <= time.time():
            return None
        if found is None and errand.sid.encode() != self._owners_digest().hex().encode():
            return None
        person = found.principal if found is not None else OWNER
        return Shown(acting_for(person, errand.client, errand.scope), errand.digest, by_key=True)

    def expires_at(self, digest: str) -> float | None:
        found = self._credentials.get(digest)
        return found.expires_at if found is not None else None

    def _known(self, digest: str, host: str | None, *, is_session: bool) -> Principal | None:
        found = self._credentials.get(digest)
        now = time.time()
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        if is_session != (found.principal.kind in (PrincipalKind.USER, PrincipalKind.OWNER)) or found.host != host:
            return None
        if not is_session and (digest in self.used or len(self.used) < USED_NOTED_MAX):
            self.used[digest] = now
        return found.principal

    def _owners_digest(self) -> bytes:
        """Of the owner's key; read again when the file has changed."""
        now = time.monotonic()
        if self._key_seen[1] and now - self._key_looked_at < KEY_LOOKED_AT_SECONDS:
            return self._key_seen[1]
        self._key_looked_at = now
        try:
            changed = self._key_file.stat().st_mtime
            if changed != self._key_seen[0]:
                key = self._key_file.read_bytes().strip()
                self._key_seen = (changed, hashlib.sha256(key).digest())
        except OSError:
            self._key_seen = (0.0, b"")
        return self._key_seen[1]


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= ENTRIES_KEPT_MAX:
        kept.clear()


def _presented_key(fields: dict[bytes, bytes]) -> bytes | None:
    scheme, _, value = fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    # AWS's clients sign requests and cannot send a key of ours; their session token goes along as it is.
    return fields.get(b"x-api-key") or fields.get(b"x-amz-security-token")


def _presented_session(fields: dict[bytes, bytes], host: str | None) -> bytes | None:
    """At the yard's own address a page of another origin acts with nobody's session: one at another port of the host is
    of the same site to browsers, which then send the cookie along."""
    if host is not None:
        return cookie(fields.get(b"cookie"), *(one.encode() for one in app_cookies(host)))
    return cookie(fields.get(b"cookie"), *_SESSION_COOKIES) if is_own_page(fields) else None
