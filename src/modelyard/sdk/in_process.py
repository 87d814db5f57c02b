"""A yard in the same process, as the console has it: the SDK's client over the application itself, without a network.

The client blocks, so it is used in a thread; what it asks runs on the application's loop, which stays free meanwhile.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from modelyard.sdk.client import Client
from modelyard.sdk.connection import REQUEST_SECONDS


class InProcess:
    """Opens clients of one application. `loop` is the one that it runs on."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def client(self, url: str, headers: Mapping[str, str]) -> Client:
        """A client that asks with a browser's headers in place of a key: its cookies, its address, the page that its
        request came from, without which it may change nothing. `url` is where the browser reached the yard."""
        return Client(url, transport=_AppTransport(self._app, self._loop, headers), own_files=False)


class _AppTransport(httpx.BaseTransport):
    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, headers: Mapping[str, str]) -> None:
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._loop = loop
        self._headers = dict(headers)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(self._headers)
        # A body that comes piece by piece becomes one: the application reads it on another loop's terms.
        request.read()
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
