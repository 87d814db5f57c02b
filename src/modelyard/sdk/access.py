"""Who may do what, over the interface: people, groups, keys, sessions, the audit log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from modelyard.protocol.views import view_from
from modelyard.protocol.views_of_access import (
    AuditedView,
    AuditView,
    BegunView,
    ButtonsView,
    ButtonView,
    CheckedView,
    EntryView,
    GroupsView,
    GroupView,
    KeysView,
    KeyView,
    MeView,
    OpenedView,
    ProvidersView,
    ProviderView,
    SessionsView,
    SessionView,
    SignedInView,
    UsersView,
    UserView,
)
from modelyard.sdk.connection import Connection

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
        return view_from(MeView, self._connection.get("/me"))

    def sign_in(self, email: str, password: str) -> OpenedView:
        return view_from(OpenedView, self._connection.post("/login", {"email": email, "password": password}))

    def open_session(self, token: str) -> OpenedView:
        """Trades a one-time link's token for a session."""
        return view_from(OpenedView, self._connection.post("/sessions", {"token": token}))

    def make_entry(self, host: str, state: str) -> EntryView:
        """A code with which whoever asks comes in at an app's origin, once."""
        return view_from(EntryView, self._connection.post("/entries", {"host": host, "state": state}))

    def take_entry(self, code: str) -> OpenedView:
        """Trades it for a session, at that origin."""
        return view_from(OpenedView, self._connection.post("/entries/taken", {"code": code}))

    def leave_entry(self) -> None:
        """Ends the session of the origin that this is asked at."""
        self._connection.delete("/entries/own")

    def change_password(self, old: str, new: str) -> OpenedView:
        return view_from(OpenedView, self._connection.put_document("/me/password", {"old": old, "new": new}))

    def sign_out(self) -> str | None:
        """Ends the session that asks; returns where its provider is signed out of too, where it wants that."""
        return self._connection.post("/logout", None)["url"]

    def buttons(self) -> list[ButtonView]:
        """By whom one can sign in."""
        return view_from(ButtonsView, self._connection.get("/login/providers")).providers

    def begin_login(self, provider: str, target: str) -> BegunView:
        return view_from(BegunView, self._connection.post(f"/login/{_part(provider)}/begin", {"next": target}))

    def finish_login(self, provider: str, **answer: str | None) -> SignedInView:
        """`code`, `state`, `binding` and, where the provider said it, `issuer`."""
        return view_from(SignedInView, self._connection.post(f"/login/{_part(provider)}/finish", answer))

    def providers(self) -> list[ProviderView]:
        return view_from(ProvidersView, self._connection.get("/providers")).providers

    def put_provider(self, provider: str, **fields: Any) -> ProviderView:
        """`issuer`, `client_id`, and whatever else of `ProviderView` but `callback`."""
        return view_from(ProviderView, self._connection.put_document(f"/providers/{_part(provider)}", fields))

    def remove_provider(self, provider: str) -> ProviderView:
        return view_from(ProviderView, self._connection.delete(f"/providers/{_part(provider)}"))

    def check_provider(self, provider: str) -> CheckedView:
        return view_from(CheckedView, self._connection.post(f"/providers/{_part(provider)}/check", None))

    def users(self) -> list[UserView]:
        return view_from(UsersView, self._connection.get("/users")).users

    def user(self, email: str) -> UserView:
        return view_from(UserView, self._connection.get(f"/users/{_part(email)}"))

    def add_user(self, email: str, *, name: str = "", grants: Grants = (), with_password: bool = True) -> UserView:
        """The answer has the temporary password, this once."""
        wish = {"email": email, "name": name, "grants": list(grants), "with_password": with_password}
        return view_from(UserView, self._connection.post("/users", wish))

    def change_user(self, email: str, **changes: Any) -> UserView:
        """`name`, `disabled`, `grants` (all of them)."""
        return view_from(UserView, self._connection.patch(f"/users/{_part(email)}", changes))

    def remove_user(self, email: str) -> None:
        self._connection.delete(f"/users/{_part(email)}")

    def reset_password(self, email: str) -> UserView:
        return view_from(UserView, self._connection.post(f"/users/{_part(email)}/password", None))

    def groups(self) -> list[GroupView]:
        return view_from(GroupsView, self._connection.get("/groups")).groups

    def put_group(self, group: str, grants: Grants | None = None) -> GroupView:
        wish = {"grants": list(grants)} if grants is not None else {}
        return view_from(GroupView, self._connection.put_document(f"/groups/{_part(group)}", wish))

    def remove_group(self, group: str) -> None:
        self._connection.delete(f"/groups/{_part(group)}")

    def put_member(self, group: str, email: str, *, member: bool) -> GroupView:
        path = f"/groups/{_part(group)}/members/{_part(email)}"
        connection = self._connection
        return view_from(GroupView, connection.put_document(path, {}) if member else connection.delete(path))

    def keys(self) -> list[KeyView]:
        return view_from(KeysView, self._connection.get("/keys")).keys

    def make_key(self, name: str, grants: Grants, expires_in_seconds: float | None = None) -> KeyView:
        """The answer has the key, this once."""
        wish = {"name": name, "grants": list(grants), "expires_in_seconds": expires_in_seconds}
        return view_from(KeyView, self._connection.post("/keys", wish))

    def delete_key(self, key: str) -> KeyView:
        return view_from(KeyView, self._connection.delete(f"/keys/{_part(key)}"))

    def sessions(self) -> list[SessionView]:
        return view_from(SessionsView, self._connection.get("/sessions")).sessions

    def end_session(self, session: str) -> SessionView:
        return view_from(SessionView, self._connection.delete(f"/sessions/{_part(session)}"))

    def audit(
        self, text: str | None = None, *, since: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditedView]:
        """Newest first; `before` is the number of the last entry of the page before."""
        asked = {"text": text, "since": since, "before": before, "limit": limit}
        return view_from(AuditView, self._connection.get("/audit", asked)).entries

    def export_audit(self, form: str = "jsonl", text: str | None = None, *, since: str | None = None) -> Iterator[str]:
        """All entries, newest first, by lines: JSON objects (`jsonl`) or `csv`."""
        return self._connection.lines("/audit/export", {"format": form, "text": text, "since": since})


def _part(name: str) -> str:
    return quote(name, safe="")
