"""An app that does nearly nothing, so that what stands before it is seen: a page, and a WebSocket that echoes. And, at
`/report`, what the smallest of real pages does: a table, written anew for whoever asks."""

import html
from collections.abc import Awaitable, Callable
from typing import Any

PAGE = b"<!doctype html><title>Board</title>" + b"<p>All is well.</p>" * 430
STATIONS = [(f"Station <{number}>", number * 0.37, number % 7) for number in range(150)]


def report() -> bytes:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{mean:.2f}</td><td>{alarms}</td></tr>" for name, mean, alarms in STATIONS
    )
    return f"<!doctype html><title>Report</title><table>{rows}</table>".encode()


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
    elif scope["type"] == "http":
        page = report() if scope["path"] == "/report" else PAGE
        head = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(page))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": page})
