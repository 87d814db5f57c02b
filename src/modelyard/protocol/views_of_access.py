"""Who may do what, as the interface answers it; see `protocol.views`."""

from dataclasses import dataclass

from modelyard.protocol.routes import CONSOLE


@dataclass(frozen=True, slots=True)
class GrantView:
    role: str
    project: str | None
    resource: str | None


@dataclass(frozen=True, slots=True)
class MeView:
    kind: str
    id: str
    groups: list[str]
    grants: list[GrantView]
    must_change_password: bool


@dataclass(frozen=True, slots=True)
class OpenedView:
    session: str
    """The cookie's value; it is shown this once."""
    expires_at: str
    seconds: float
    must_change_password: bool = False


@dataclass(frozen=True, slots=True)
class SessionView:
    id: str
    user: str | None
    created_at: str
    expires_at: str
    address: str
    agent: str
    host: str | None
    """The one host where it counts, an app's or a site's; null is the yard's own."""
    own: bool
    """Whether this is the session that asks."""


@dataclass(frozen=True, slots=True)
class SessionsView:
    sessions: list[SessionView]


@dataclass(frozen=True, slots=True)
class UserView:
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
    """Until when wrong passwords keep the account shut."""
    temporary_password: str | None = None
    """Shown this once, to be handed on; it must be changed at the first login."""


@dataclass(frozen=True, slots=True)
class UsersView:
    users: list[UserView]


@dataclass(frozen=True, slots=True)
class GroupView:
    name: str
    created_at: str
    grants: list[GrantView]
    members: list[str]


@dataclass(frozen=True, slots=True)
class GroupsView:
    groups: list[GroupView]


@dataclass(frozen=True, slots=True)
class KeyView:
    id: str
    name: str
    owner: str | None
    grants: list[GrantView]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    key: str | None = None
    """Shown this once."""


@dataclass(frozen=True, slots=True)
class KeysView:
    keys: list[KeyView]


@dataclass(frozen=True, slots=True)
class EntryView:
    code: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class ButtonView:
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class ButtonsView:
    providers: list[ButtonView]


@dataclass(frozen=True, slots=True)
class BegunView:
    url: str
    """Where the browser is sent."""
    binding: str
    """What only this browser may have: without it the login does not end here."""
    seconds: float


@dataclass(frozen=True, slots=True)
class SignedInView(OpenedView):
    next: str = CONSOLE


@dataclass(frozen=True, slots=True)
class SignedOutView:
    url: str | None
    """Where the browser goes to sign out there too; None where it need not."""


@dataclass(frozen=True, slots=True)
class ProviderView:
    name: str
    issuer: str
    client_id: str
    client_secret: str | None
    label: str
    scopes: list[str]
    admits: list[str]
    grants: list[GrantView]
    groups_claim: str
    groups: dict[str, str]
    trusts_emails: bool
    signs_out: bool
    callback: str
    """To be named to the provider as the place that it may send browsers back to."""


@dataclass(frozen=True, slots=True)
class ProvidersView:
    providers: list[ProviderView]


@dataclass(frozen=True, slots=True)
class CheckedView:
    name: str
    authorization_endpoint: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AuditedView:
    number: int
    at: str
    principal: str
    action: str
    outcome: str
    address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditView:
    entries: list[AuditedView]
