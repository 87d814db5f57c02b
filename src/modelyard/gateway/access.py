"""Who a client is, and whether it may come in: the gate before every lane."""

import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from modelyard.domain.access import OWNER, Entry, Policy, Principal, PrincipalKind, decide_entry
from modelyard.errors import Forbidden, Unauthorized
from modelyard.protocol.credentials import Credentials
from modelyard.protocol.routes import SECURE_SESSION_COOKIE, SESSION_COOKIE

KEY_BYTES_MAX = 512
USED_NOTED_MAX = 10_000
"""Keys whose use waits to be reported; beyond it the rest is reported at their next use."""

ENTRIES_KEPT_MAX = 4096
"""Decisions that are kept for use again; beyond it they are made anew."""


class Access:
    """`by_default` is the policy of an endpoint that has none of its own."""

    def __init__(self, key_file: Path, by_default: Policy) -> None:
        self.by_default = by_default
        self.used: dict[str, float] = {}
        """Digests of keys that were shown since the last report, with the time."""
        self._credentials: Credentials = {}
        self._entries: dict[tuple[str, str, str], tuple[Entry, float]] = {}
        self._key_file = key_file
        self._key_seen: tuple[float, bytes] = (0.0, b"")

    def follow(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.forget()

    def forget(self) -> None:
        """Whatever was decided may be otherwise now."""
        self._entries.clear()

    def recognise(self, fields: dict[bytes, bytes]) -> Principal | None:
        """By a key (`Authorization: Bearer`, `x-api-key`), else by a session's cookie; None for a stranger."""
        found = self._shown(fields)
        return found[1] if found is not None else None

    def check(
        self, policy: Policy, fields: dict[bytes, bytes], address: str, project: str, resource: str
    ) -> Principal | None:
        """Who came in. Raises Unauthorized where a key or a login would help, Forbidden where it would not."""
        shown = self._shown(fields)
        digest, principal = shown if shown is not None else ("", None)
        place = (digest, address if policy.addresses else "", resource)
        kept = self._entries.get(place)
        if kept is not None and kept[1] > time.time():
            entry = kept[0]
        else:
            entry = decide_entry(policy, principal, address, project, resource)
            if len(self._entries) >= ENTRIES_KEPT_MAX:
                self._entries.clear()
            expires_at = self._credentials[digest].expires_at if digest in self._credentials else None
            self._entries[place] = (entry, expires_at if expires_at is not None else float("inf"))
        if entry is Entry.OPEN:
            return principal
        if entry is Entry.NEEDS_CREDENTIAL:
            raise Unauthorized(f"cannot use {resource} without a key", "send `Authorization: Bearer KEY`")
        raise Forbidden(
            f"cannot use {resource} from here" if principal is None else f"cannot use {resource} as {principal}",
            "an admin can grant the role of a caller on it",
        )

    def _shown(self, fields: dict[bytes, bytes]) -> tuple[str, Principal] | None:
        """The digest of what a client shows and who it is."""
        given = _presented_key(fields)
        if given is not None:
            digest = hashlib.sha256(given[:KEY_BYTES_MAX])
            owners = self._owners_digest()
            if owners and hmac.compare_digest(digest.digest(), owners):
                return digest.hexdigest(), OWNER
            return self._known(digest.hexdigest(), is_session=False)
        token = _presented_session(fields)
        return self._known(hashlib.sha256(token.encode()).hexdigest(), is_session=True) if token else None

    def _known(self, digest: str, *, is_session: bool) -> tuple[str, Principal] | None:
        found = self._credentials.get(digest)
        now = time.time()
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        if is_session != (found.principal.kind in (PrincipalKind.USER, PrincipalKind.OWNER)):
            return None
        if not is_session and (digest in self.used or len(self.used) < USED_NOTED_MAX):
            self.used[digest] = now
        return digest, found.principal

    def _owners_digest(self) -> bytes:
        """Of the owner's key; read again when the file has changed."""
        try:
            changed = self._key_file.stat().st_mtime
            if changed != self._key_seen[0]:
                key = self._key_file.read_bytes().strip()
                self._key_seen = (changed, hashlib.sha256(key).digest())
        except OSError:
            return b""
        return self._key_seen[1]


def _presented_key(fields: dict[bytes, bytes]) -> bytes | None:
    scheme, _, value = fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    # AWS's clients sign requests and cannot send a key of ours; their session token goes along as it is.
    return fields.get(b"x-api-key") or fields.get(b"x-amz-security-token")


def _presented_session(fields: dict[bytes, bytes]) -> str | None:
    header = fields.get(b"cookie")
    if header is None or SESSION_COOKIE.encode() not in header:
        return None
    try:
        cookies = SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return None
    found = cookies.get(SECURE_SESSION_COOKIE) or cookies.get(SESSION_COOKIE)
    return found.value if found is not None else None
