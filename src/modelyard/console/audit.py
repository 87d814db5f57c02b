"""The audit log: who changed what, and who was refused."""

import shlex
from typing import Any
from urllib.parse import urlencode

from modelyard.console.visits import Page, Visit
from modelyard.protocol.routes import API
from modelyard.sdk.client import Client

ENTRIES_SHOWN = 100


def audit(client: Client, visit: Visit) -> dict[str, Any]:
    text, since, before = visit.asked("q") or None, visit.asked("since") or None, visit.asked("before")
    entries = client.access.audit(
        text, since=since, before=int(before) if before.isascii() and before.isdecimal() else None, limit=ENTRIES_SHOWN
    )
    later = {"q": text, "since": since, "before": str(entries[-1].number)} if len(entries) == ENTRIES_SHOWN else None
    narrowed = {name: value for name, value in (("text", text), ("since", since)) if value}
    words = [*map(shlex.quote, filter(None, [text])), *(("--since", shlex.quote(since)) if since else ())]
    return {
        "entries": entries,
        "exported": f"{API}/audit/export?{urlencode(narrowed)}",
        "narrowed": " ".join(words),
        "later": urlencode({name: value for name, value in later.items() if value}) if later else None,
    }


PAGES = (Page("/audit", "audit.html", audit),)
