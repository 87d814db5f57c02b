"""The peers' applications, as one would write them by hand with speed in mind; uvicorn serves them."""

import os
from collections.abc import Awaitable, Callable
from typing import Any, cast

import joblib
import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from bench.serving.subject import ANSWER, MODEL_VARIABLE

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def constant(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001 (ASGI's signature)
    """The least that a server on uvicorn can do for a request: read it, answer always the same."""
    await _read(receive)
    await _answer(send, ANSWER)


def raw() -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """The model called in the server's own process, with no framework between."""
    predict = _load()

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
        await _answer(send, predict(await _read(receive)))

    return application


def framework() -> FastAPI:
    """The model behind FastAPI and orjson. The body is read by orjson, which is faster than by FastAPI itself."""
    predict = _load()
    application = FastAPI(openapi_url=None)

    async def invocations(request: Request) -> Response:
        return Response(predict(await request.body()), media_type="application/json")

    application.add_api_route("/predict", invocations, methods=["POST"])
    return application


def _load() -> Callable[[bytes], bytes]:
    # joblib carries no types.
    model = cast("Any", joblib).load(os.environ[MODEL_VARIABLE])

    def predict(body: bytes) -> bytes:
        rows = np.asarray(orjson.loads(body), dtype=np.float64)
        return orjson.dumps(model.predict(rows).tolist())

    return predict


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


_START = {"type": "http.response.start", "status": 200}


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({**_START, "headers": headers})
    await send({"type": "http.response.body", "body": body})
