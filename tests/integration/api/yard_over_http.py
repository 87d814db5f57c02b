"""A yard's control application, without a network: real routes, the in-memory store, files where files belong."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from modelyard.api.app import create_app
from modelyard.api.yard import Yard
from modelyard.clock import ManualClock
from modelyard.console.pages import routes
from modelyard.domain.tokens import KEY_BYTES as TOKEN_KEY_BYTES
from modelyard.sdk.in_process import InProcess
from modelyard.settings import Home
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.memory import MemoryStore
from modelyard.store.migrate import migrate
from modelyard.store.ports import Store
from modelyard.store.private_files import make_private
from modelyard.store.sqlite import open_store

KEY = "the-owner's-key"
URL = "http://127.0.0.1:8400"
MODEL = b'{"learner":{"feature_names":[]},"version":[3,0,0]}'


class Pokes:
    """Counts how often the controller would have been woken."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class Api:
    """Asks as a client of the yard would."""

    def __init__(self, root: Path, *, on_disk: bool = False) -> None:
        # Not a method: FastAPI remembers the functions of routes for good, and with them what the yard holds.
        self._poke = Pokes()
        self.clock = ManualClock()
        self.home = Home(root)
        self.home.make()
        if on_disk:
            migrate(self.home)
        self.store: Store = open_store(self.home) if on_disk else MemoryStore()
        make_private(self.home.token_key, os.urandom(TOKEN_KEY_BYTES))
        self.artifacts = FileArtifacts(self.home.artifacts)
        self.store.keys.put_owner(hashlib.sha256(KEY.encode()).hexdigest(), self.clock.now())
        self.yard = Yard(self.store, self.artifacts, self.home, self.clock, self._poke)
        self.app: Any = create_app(self.yard, routes(self._in_process, self.clock))

    @property
    def pokes(self) -> int:
        return self._poke.count

    def _in_process(self) -> InProcess:
        return InProcess(self.app, asyncio.get_running_loop())

    def talk(self, conversation: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]], **client: Any) -> Any:
        """Runs a conversation on one loop, with one client."""

        async def run() -> Any:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=URL, **client) as asking:
                return await conversation(asking)

        return asyncio.run(run())

    def ask(self, method: str, path: str, *, key: str | None = KEY, **request: Any) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **request.pop("headers", {})}

        async def once(client: httpx.AsyncClient) -> httpx.Response:
            return await client.request(method, path, headers=headers, **request)

        return self.talk(once)

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self.ask("GET", f"/api/v1{path}", **request)

    def post(self, path: str, document: Any = None, **request: Any) -> httpx.Response:
        return self.ask("POST", f"/api/v1{path}", json=document, **request)

    def tree(self, files: dict[str, bytes]) -> str:
        """Sends files as a client does, and returns the digest of their tree."""
        listed: list[dict[str, Any]] = []
        for path, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            assert self.ask("PUT", f"/api/v1/artifacts/{sha256}", content=content).status_code == 201
            listed.append({"path": path, "sha256": sha256, "size_bytes": len(content)})
        answer = self.post("/trees", {"files": listed})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["digest"])

    def deploy(self, *resources: dict[str, Any], project: str = "shop") -> httpx.Response:
        return self.post("/deployments", {"project": project, "resources": list(resources)})

    def register(self, name: str = "price", project: str = "shop") -> httpx.Response:
        tree = self.tree({"model.json": MODEL})
        return self.post(f"/models/{name}/versions", {"project": project, "tree": tree})


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that must be one, in the one shape."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"code", "message", "hint", "request_id"}
    assert error["code"] == code
    assert error["message"].startswith("cannot ")
    assert error["request_id"] == answer.headers["x-request-id"]
    return error
