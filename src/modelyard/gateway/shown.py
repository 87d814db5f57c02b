"""What a client showed of itself."""

from typing import NamedTuple

from modelyard.domain.access import Principal


class Shown(NamedTuple):
    """Who a client is, and by what that was seen."""

    principal: Principal | None
    digest: str
    """Of the credential; empty where there is none."""
    by_key: bool = False
    by_cookie: bool = False


NOBODY = Shown(None, "")
