"""A yard in the same process, as the console has it: the SDK's client over the application itself, without a network.

The client blocks, so it is used in a thread; what it asks runs on the application's loop, which stays free meanwhile.
"""

import asyncio
from typing import Any, TypedDict

import httpx

from modelyard.sdk.address import Address
from modelyard.sdk.client import Client
from modelyard.sdk.connection import REQUEST_SECONDS, Connection


class SessionView(TypedDict):
    session: str
    expires_at: str
    seconds: float


class InProcess:
    """Opens clients of one application. `loop` is the one that it runs on."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def client(self, url: str, cookies: str, origin: str | None = None) -> Client:
        """A client with a browser's cookies in place of a key. `url` is where the browser reached the yard, `origin`
        the page that its request came from: without one of the yard's own it may change nothing."""
        return Client(url, transport=_AppTransport(self._app, self._loop, cookies, origin))

    def open_session(self, url: str, token: str) -> SessionView:
        """Trades a one-time link's token for a session. Raises Unauthorized where it is used or too old."""
        connection = Connection(Address(url, None), _AppTransport(self._app, self._loop, ""))
        try:
            return connection.post("/sessions", {"token": token})
        finally:
            connection.close()


class _AppTransport(httpx.BaseTransport):
    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, cookies: str, origin: str | None = None) -> None:
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._loop = loop
        self._cookies = cookies
        self._origin = origin

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._cookies:
            request.headers["cookie"] = self._cookies
        if self._origin:
            request.headers["origin"] = self._origin
        answer = asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)
        try:
            return answer.result(REQUEST_SECONDS)
        except TimeoutError as error:
            answer.cancel()
            raise httpx.ReadTimeout("no answer in time", request=request) from error

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        response = await self._asgi.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)
