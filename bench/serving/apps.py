"""The hand-written peers' applications, as one would write them with speed in mind; uvicorn serves them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from bench.serving.work import (
    CASE_VARIABLE,
    MODELS_VARIABLE,
    STREAM_PARTS,
    STREAM_PAUSE_SECONDS,
    load_work,
    parts,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

_STREAM = "stream"


async def constant(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001 (ASGI's signature)
    """The least that a server on uvicorn can do for a request: read it, answer always the same."""
    await _read(receive)
    await _answer(send, b"[0]")


def raw() -> Application:
    """The model called in the server's own process, with no framework between."""
    if os.environ[CASE_VARIABLE] == _STREAM:
        return _streamed
    predict = _load()

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
        await _answer(send, predict(await _read(receive)))

    return application


def framework() -> FastAPI:
    """The model behind FastAPI and orjson. The body is read by orjson, which is faster than by FastAPI itself.

    The model is called on the loop's thread, which costs least, unless it keeps others waiting.
    """
    application = FastAPI(openapi_url=None)
    case = os.environ[CASE_VARIABLE]
    if case == _STREAM:

        def streamed() -> StreamingResponse:
            return StreamingResponse(parts(), media_type="text/plain")

        application.add_api_route("/predict", streamed, methods=["POST"])
        return application
    predict = _load()

    async def invocations(request: Request) -> Response:
        return Response(predict(await request.body()), media_type="application/json")

    application.add_api_route("/predict", invocations, methods=["POST"])
    return application


def _load() -> Callable[[bytes], bytes]:
    work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))

    def predict(body: bytes) -> bytes:
        rows = np.asarray(orjson.loads(body), dtype=np.float64)
        return orjson.dumps(work(rows).tolist())

    return predict


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


_START = {"type": "http.response.start", "status": 200}


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({**_START, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _streamed(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
    await _read(receive)
    await send({**_START, "headers": [(b"content-type", b"text/plain")]})
    for number in range(STREAM_PARTS):
        if number:
            await asyncio.sleep(STREAM_PAUSE_SECONDS)
        part = f"part {number}\n"
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
