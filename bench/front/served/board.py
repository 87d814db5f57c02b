"""An app that does nearly nothing, so that what stands before it is seen: a page, and a WebSocket that echoes."""

PAGE = b"<!doctype html><title>Board</title>" + b"<p>All is well.</p>" * 430
HEAD = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        await send({"type": "http.response.body", "body": PAGE})
