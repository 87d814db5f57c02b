"""A request of one of a yard's processes to the gateway: what it costs whoever asks, by two clients."""

import asyncio
import multiprocessing
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

import httpx

from modelyard.dispatcher.asking import Answer, Gateway

REQUESTS = 100

_PATH = "/v1/endpoints/iris/invocations"
_HEADERS = {"content-type": "application/json"}
_BODY = b"[[5.1,3.5,1.4,0.2]]"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[0]"
_READ_BYTES = 65536
_LIMIT_SECONDS = 10.0


class _Answering(BaseRequestHandler):
    def handle(self) -> None:
        asked = b""
        while part := self.request.recv(_READ_BYTES):
            asked += part
            # httpx sends head and body apart.
            if asked.endswith(_BODY):
                self.request.sendall(_ANSWER)
                asked = b""


@contextmanager
def steps_of_asking() -> Generator[list[tuple[str, Callable[[], object]]]]:
    """Each asks another process, which answers three bytes, REQUESTS times one after the other."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        place = str(Path(folder) / "socket")
        server = ThreadingUnixStreamServer(place, _Answering)
        answering = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
        answering.start()
        gateway = Gateway(place)
        client = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=place), base_url="http://gateway")

        async def by_ours() -> None:
            for _ in range(REQUESTS):
                await gateway.post(_PATH, _HEADERS, _BODY, _LIMIT_SECONDS, _pass_over)

        async def by_httpx() -> None:
            for _ in range(REQUESTS):
                await client.post(_PATH, content=_BODY, headers=_HEADERS)

        yield [
            (f"asking: {REQUESTS} requests by the dispatcher's client", lambda: runner.run(by_ours())),
            (f"asking: {REQUESTS} requests by httpx", lambda: runner.run(by_httpx())),
        ]
        gateway.close()
        runner.run(client.aclose())
        answering.kill()
        answering.join()
        server.server_close()


def _pass_over(answer: Answer, part: bytes) -> None:
    """Of an answer's body nothing is wanted here."""
