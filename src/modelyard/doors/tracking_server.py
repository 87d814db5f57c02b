"""The MLflow server as the door reaches it: wanted when it is first needed, waited for while it starts."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard_worker.records import read_json

from modelyard.errors import NotReady
from modelyard.protocol import wishes
from modelyard.protocol.routes import MLFLOW
from modelyard.protocol.wishes import wish_for
from modelyard.settings import Home

if TYPE_CHECKING:
    import httpx

READY_SECONDS_MAX = 100.0
"""How long a request waits for a server that starts; MLflow's own clients give up after 120 s, and ask again."""

ANSWER_SECONDS = 600.0
"""How long the server may take over the next piece of an answer."""

CONNECTIONS_MAX = 64
PAUSE_SECONDS = 0.1


_ARTIFACT = re.compile(rb"/mlflow/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/.")
"""Files. MLflow has routes for them that stream, without the prefix; those with it read a whole file into memory."""


class Unready(NotReady):
    """The server does not answer yet, or cannot be started: the sentence says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes]
    """As it was sent, compressed or not."""
    close: Callable[[], Awaitable[None]]


class TrackingServer:
    """The yard's own server, or the one at `url`."""

    def __init__(self, home: Home, url: str | None = None) -> None:
        self._home = home
        self._url = url
        self._client: httpx.AsyncClient | None = None

    def want(self) -> None:
        """Lets the supervisor keep it alive, from now until the yard goes down."""
        if self._url is not None or self._home.tracking_wanted.exists():
            return
        self._home.tracking.mkdir(exist_ok=True, mode=0o700)
        self._home.tracking_state.unlink(missing_ok=True)
        self._home.tracking_wanted.touch(0o600)
        wish_for(self._home.supervisor_socket, wishes.MLFLOW)

    def answers(self) -> bool:
        """Whether somebody listens there."""
        if self._url is not None:
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.setblocking(False)
            try:
                asking.connect(str(self._home.tracking_socket))
            except OSError:
                return False
        return True

    def sentence(self) -> str:
        """How far its start has come."""
        state: dict[str, Any] = read_json(str(self._home.tracking_state)) or {}
        return str(state.get("sentence") or "MLflow is starting")

    async def ready(self) -> None:
        """Until it answers. Raises Unready after READY_SECONDS_MAX, and at once where it cannot be installed."""
        if self.answers():
            return
        self.want()
        limit = time.monotonic() + READY_SECONDS_MAX
        while not self.answers():
            state: dict[str, Any] = read_json(str(self._home.tracking_state)) or {}
            if state.get("state") == "failed":
                raise Unready(str(state.get("sentence")), "log/mlflow-install.log has all of it")
            if time.monotonic() >= limit:
                raise Unready(f"cannot answer yet: {self.sentence()}", "ask again; log/mlflow.log says more")
            await asyncio.sleep(PAUSE_SECONDS)

    async def ask(
        self, method: str, target: bytes, headers: list[tuple[str, str]], body: AsyncIterator[bytes] | None
    ) -> Answer:
        """`target` is the door's path with its query. Raises Unready where it went away."""
        import httpx  # noqa: PLC0415 (a yard that tracks nothing does without it)

        client = self._client = self._client or self._open()
        if self._url is not None or (method in ("GET", "PUT") and _ARTIFACT.match(target)):
            target = target.removeprefix(MLFLOW.encode())
        url = client.base_url.copy_with(raw_path=client.base_url.raw_path.rstrip(b"/") + target)
        request = client.build_request(method, url, headers=headers, content=body)
        try:
            response = await client.send(request, stream=True)
        except httpx.TransportError as error:
            raise Unready(f"cannot reach MLflow: {error!r}", "ask again; log/mlflow.log says more") from error
        given = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw]
        return Answer(response.status_code, given, response.aiter_raw(), response.aclose)

    def _open(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 (as above)

        limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=10.0)
        if self._url is not None:
            # Whatever is in the address as user and password is sent as HTTP basic.
            return httpx.AsyncClient(base_url=self._url, timeout=timeout, limits=limits, trust_env=False)
        transport = httpx.AsyncHTTPTransport(uds=str(self._home.tracking_socket), limits=limits)
        return httpx.AsyncClient(base_url="http://localhost", transport=transport, timeout=timeout, trust_env=False)
