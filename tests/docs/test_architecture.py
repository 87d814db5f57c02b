"""The page on architecture speaks of the routes and modules that there are."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx

from modelyard.api.app import create_app
from modelyard.api.yard import Yard
from modelyard.clock import ManualClock
from modelyard.protocol.routes import API
from modelyard.settings import Home
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.memory import MemoryStore
from tests.docs.pages import ROOT

PAGE = (ROOT / "contributing" / "ARCHITECTURE.md").read_text()
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)")


def described(text: str) -> set[tuple[str, str]]:
    """Routes of the table, with every parameter called the same. `DELETE` alone belongs to the path before it."""
    found: set[tuple[str, str]] = set()
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        cell = line.split(" | ")[0]
        routes = [(verb, _plain(path)) for verb, path in _ROUTE.findall(cell)]
        found.update(routes)
        if "`DELETE`" in cell:
            found.add(("DELETE", routes[0][1]))
    return found


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


async def _description(app: Any) -> dict[str, Any]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/api/openapi.json", headers={"x-api-key": "key"})
        return answer.raise_for_status().json()


def test_the_table_names_every_route_and_no_other(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store = MemoryStore()
    store.keys.put_owner(hashlib.sha256(b"key").hexdigest(), 0.0)
    yard = Yard(store, FileArtifacts(home.artifacts), home, ManualClock(), lambda: None)
    paths = asyncio.run(_description(create_app(yard)))["paths"]
    routes = {
        (verb.upper(), _plain(path.removeprefix(API)))
        for path, operations in paths.items()
        if path.startswith(API)
        for verb in operations
    }
    assert described(PAGE) == routes


def test_the_page_lists_what_is_imported_from_the_worker() -> None:
    imported = {
        name
        for file in (ROOT / "src" / "modelyard").rglob("*.py")
        for name in re.findall(r"^from modelyard_worker\.(\w+) import", file.read_text(), re.MULTILINE)
    }
    sentence = PAGE.split("must agree on:")[1].split(".\n")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == imported
