"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from modelyard.api.oidc import OidcClient
from modelyard.clock import Clock
from modelyard.settings import CareSettings, Home, MailSettings
from modelyard.store.ports import Artifacts, Store


@dataclass(frozen=True, slots=True)
class Yard:
    store: Store
    artifacts: Artifacts
    home: Home
    clock: Clock
    poke: Callable[[], None]
    """Tells the controller that something was committed; never fails nor blocks."""
    care: CareSettings = field(default_factory=CareSettings)
    mail: MailSettings | None = None
    """How alarms send mail; None where they do not."""
    apps_domain: str | None = None
    """Domain below which apps and sites have their names, beside localhost."""
    wake_dispatcher: Callable[[], None] = lambda: None
    """Tells the dispatcher that something is to be sent, or not any more; never fails nor blocks."""
    oidc: OidcClient | None = None
    """What speaks to OpenID providers; None for one of the interface's own."""
