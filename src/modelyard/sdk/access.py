"""Who may do what, over the interface: people, groups, keys, sessions, the audit log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

from modelyard.sdk.connection import Connection


class GrantView(TypedDict):
    role: str
    project: str | None
    resource: str | None


class UserView(TypedDict):
    email: str
    name: str
    created_at: str
    grants: list[GrantView]
    groups: list[str]
    disabled: bool
    must_change_password: bool
    has_password: bool
    issuer: str | None
    last_login_at: str | None
    locked_until: str | None
    temporary_password: NotRequired[str | None]
    """Shown once, to be handed on."""


class GroupView(TypedDict):
    name: str
    created_at: str
    grants: list[GrantView]
    members: list[str]


class KeyView(TypedDict):
    id: str
    name: str
    owner: str | None
    grants: list[GrantView]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    key: NotRequired[str | None]
    """Shown once."""


class SessionView(TypedDict):
    id: str
    user: str | None
    created_at: str
    expires_at: str
    address: str
    agent: str
    host: str | None
    own: bool


class EntryView(TypedDict):
    code: str
    expires_at: str


class OpenedView(TypedDict):
    """A session that has just begun."""

    session: str
    expires_at: str
    seconds: float
    must_change_password: bool


class SignedInView(OpenedView):
    next: str
    """The page that was asked for before."""


class BegunView(TypedDict):
    url: str
    binding: str
    """To be kept in the browser alone that begins."""
    seconds: float


class ButtonView(TypedDict):
    name: str
    label: str


class ProviderView(TypedDict):
    name: str
    issuer: str
    client_id: str
    client_secret: str | None
    """Name of the secret."""
    label: str
    scopes: list[str]
    admits: list[str]
    grants: list[GrantView]
    groups_claim: str
    groups: dict[str, str]
    trusts_emails: bool
    signs_out: bool
    callback: str


class CheckedView(TypedDict):
    name: str
    authorization_endpoint: str
    sentence: str


class MeView(TypedDict):
    kind: str
    id: str
    groups: list[str]
    grants: list[GrantView]
    must_change_password: bool


class AuditedView(TypedDict):
    number: int
    at: str
    principal: str
    action: str
    outcome: str
    address: str
    request_id: str


Grants = Sequence[Mapping[str, str | None]]
"""Each `{role, project?, resource?}`."""


def read_grant(word: str) -> dict[str, str | None]:
    """`viewer`, `deployer:shop`, `caller:endpoint/price`, as commands and pages take it."""
    role, _, where = word.partition(":")
    project, resource = (None, where) if "/" in where else (where or None, None)
    return {"role": role, "project": project, "resource": resource}


class AccessClient:
    """Raises as `Client` does; most of it is for admins."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def me(self) -> MeView:
        return self._connection.get("/me")

    def sign_in(self, email: str, password: str) -> OpenedView:
        return self._connection.post("/login", {"email": email, "password": password})

    def open_session(self, token: str) -> OpenedView:
        """Trades a one-time link's token for a session."""
        return self._connection.post("/sessions", {"token": token})

    def make_entry(self, host: str, state: str) -> EntryView:
        """A code with which whoever asks comes in at an app's origin, once."""
        return self._connection.post("/entries", {"host": host, "state": state})

    def take_entry(self, code: str) -> OpenedView:
        """Trades it for a session, at that origin."""
        return self._connection.post("/entries/taken", {"code": code})

    def leave_entry(self) -> None:
        """Ends the session of the origin that this is asked at."""
        self._connection.delete("/entries/own")

    def change_password(self, old: str, new: str) -> OpenedView:
        return self._connection.put_document("/me/password", {"old": old, "new": new})

    def sign_out(self) -> str | None:
        """Ends the session that asks; returns where its provider is signed out of too, where it wants that."""
        return self._connection.post("/logout", None)["url"]

    def buttons(self) -> list[ButtonView]:
        """By whom one can sign in."""
        return self._connection.get("/login/providers")["providers"]

    def begin_login(self, provider: str, target: str) -> BegunView:
        return self._connection.post(f"/login/{_part(provider)}/begin", {"next": target})

    def finish_login(self, provider: str, **answer: str | None) -> SignedInView:
        """`code`, `state`, `binding` and, where the provider said it, `issuer`."""
        return self._connection.post(f"/login/{_part(provider)}/finish", answer)

    def providers(self) -> list[ProviderView]:
        return self._connection.get("/providers")["providers"]

    def put_provider(self, provider: str, **fields: Any) -> ProviderView:
        """`issuer`, `client_id`, and whatever else of `ProviderView` but `callback`."""
        return self._connection.put_document(f"/providers/{_part(provider)}", fields)

    def remove_provider(self, provider: str) -> ProviderView:
        return self._connection.delete(f"/providers/{_part(provider)}")

    def check_provider(self, provider: str) -> CheckedView:
        return self._connection.post(f"/providers/{_part(provider)}/check", None)

    def users(self) -> list[UserView]:
        return self._connection.get("/users")["users"]

    def user(self, email: str) -> UserView:
        return self._connection.get(f"/users/{_part(email)}")

    def add_user(self, email: str, *, name: str = "", grants: Grants = (), with_password: bool = True) -> UserView:
        """The answer has the temporary password, this once."""
        wish = {"email": email, "name": name, "grants": list(grants), "with_password": with_password}
        return self._connection.post("/users", wish)

    def change_user(self, email: str, **changes: Any) -> UserView:
        """`name`, `disabled`, `grants` (all of them)."""
        return self._connection.patch(f"/users/{_part(email)}", changes)

    def remove_user(self, email: str) -> None:
        self._connection.delete(f"/users/{_part(email)}")

    def reset_password(self, email: str) -> UserView:
        return self._connection.post(f"/users/{_part(email)}/password", None)

    def groups(self) -> list[GroupView]:
        return self._connection.get("/groups")["groups"]

    def put_group(self, group: str, grants: Grants | None = None) -> GroupView:
        wish = {"grants": list(grants)} if grants is not None else {}
        return self._connection.put_document(f"/groups/{_part(group)}", wish)

    def remove_group(self, group: str) -> None:
        self._connection.delete(f"/groups/{_part(group)}")

    def put_member(self, group: str, email: str, *, member: bool) -> GroupView:
        path = f"/groups/{_part(group)}/members/{_part(email)}"
        return self._connection.put_document(path, {}) if member else self._connection.delete(path)

    def keys(self) -> list[KeyView]:
        return self._connection.get("/keys")["keys"]

    def make_key(self, name: str, grants: Grants, expires_in_seconds: float | None = None) -> KeyView:
        """The answer has the key, this once."""
        wish = {"name": name, "grants": list(grants), "expires_in_seconds": expires_in_seconds}
        return self._connection.post("/keys", wish)

    def delete_key(self, key: str) -> KeyView:
        return self._connection.delete(f"/keys/{_part(key)}")

    def sessions(self) -> list[SessionView]:
        return self._connection.get("/sessions")["sessions"]

    def end_session(self, session: str) -> SessionView:
        return self._connection.delete(f"/sessions/{_part(session)}")

    def audit(
        self, text: str | None = None, *, since: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditedView]:
        """Newest first; `before` is the number of the last entry of the page before."""
        asked = {"text": text, "since": since, "before": before, "limit": limit}
        return self._connection.get("/audit", asked)["entries"]

    def export_audit(self, form: str = "jsonl", text: str | None = None, *, since: str | None = None) -> Iterator[str]:
        """All entries, newest first, by lines: JSON objects (`jsonl`) or `csv`."""
        return self._connection.lines("/audit/export", {"format": form, "text": text, "since": since})


def _part(name: str) -> str:
    return quote(name, safe="")
