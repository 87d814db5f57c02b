"""The page of one endpoint: its replicas, its versions with a way back, the last lines of its log."""

from functools import partial
from typing import Any
from urllib.parse import parse_qs

from modelyard.console.overview import ago, first_line
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client
from modelyard.sdk.views import OutcomeView

LINES_SHOWN = 50

CHANGES = ("rollback", "refresh")
"""What the page's buttons ask for."""


def endpoint_page(client: Client, name: str, now: float, refused: str | None = None) -> dict[str, Any]:
    """Everything that the page's template shows; `refused` is what was just asked for and could not be."""
    return {
        "endpoint": client.endpoint(name),
        "history": client.history(name),
        "lines": list(client.endpoint_logs(name, lines=LINES_SHOWN)),
        "refused": refused,
        "ago": partial(ago, now=now),
        "first_line": first_line,
    }


def change_endpoint(client: Client, name: str, change: str, form: bytes) -> OutcomeView:
    """What a button of the page asks for. Raises as the sdk does, InvalidValue for a number that is none."""
    if change == "refresh":
        return client.refresh(name)
    given = parse_qs(form.decode("latin-1")).get("to", [""])[0]
    if not given.isdecimal():
        raise InvalidValue(f"cannot roll back to version {given[:20]!r}", "use a button of the page")
    return client.rollback(name, int(given))
