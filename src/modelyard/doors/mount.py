"""Which door a request is for: the first part of its path says so, everything else is the api's."""

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.protocol.routes import REQUEST_ID, REQUEST_ID_LENGTH_MAX


class Doors:
    """Stands before the api. `doors` are applications by their path's first part, `/dvc`."""

    def __init__(self, api: ASGIApp, doors: Mapping[str, ASGIApp]) -> None:
        self._api = api
        self._doors = dict(doors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = "/" + scope.get("path", "").lstrip("/").partition("/")[0]
        door = self._doors.get(first) if scope["type"] == "http" else None
        if door is None:
            await self._api(scope, receive, send)
            return
        request_id = _request_id(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered[REQUEST_ID] = request_id
                answered.setdefault("cache-control", "no-store")
                answered.setdefault("x-content-type-options", "nosniff")
            await send(message)

        await door(scope, receive, send_with_id)


def _request_id(scope: Scope) -> str:
    """The gateway's, or one of our own where the request did not come through it."""
    given = Headers(scope=scope).get(REQUEST_ID, "")
    if 0 < len(given) <= REQUEST_ID_LENGTH_MAX and given.isascii() and given.isprintable():
        return given
    return secrets.token_hex(12)
