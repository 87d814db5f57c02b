"""An ASGI application whose WebSocket counts, as text, what it is sent: one replica's memory, seen from outside.

Before it stand `told(count)`, what each message is answered with, and `show(scope, send)`, which answers HTTP.
"""

COUNTING_APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["type"] == "websocket":
        count = 0
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            count += 1
            await send({"type": "websocket.send", "text": told(count)})
        return
    await show(scope, send)
"""
