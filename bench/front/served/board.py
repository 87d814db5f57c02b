"""An app that does nearly nothing, so that what stands before it is seen: a page, and a WebSocket that echoes."""

from collections.abc import Awaitable, Callable
from typing import Any

PAGE = b"<!doctype html><title>Board</title>" + b"<p>All is well.</p>" * 430
HEAD = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        await send({"type": "http.response.body", "body": PAGE})
