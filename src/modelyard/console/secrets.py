"""Secrets: their names, and what uses them. No page has a value."""

from typing import Any

from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client


def secret_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"secrets": client.secrets()}


def set_secret(client: Client, visit: Visit) -> Answer:
    # As it was typed: blanks may belong to it.
    client.set_secret(visit.typed("name"), next(iter(visit.form.get("value", ())), ""))
    return "/secrets"


def delete_secret(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.typed("name"))
    client.delete_secret(visit.typed("name"))
    return "/secrets"


PAGES = (Page("/secrets", "secrets.html", secret_list, {"set": set_secret, "delete": delete_secret}),)
