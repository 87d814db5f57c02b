"""WSGI applications as predictors: Flask, Django, Bottle and the like (PEP 3333)."""

import io
import sys
from typing import Any, Dict, Generator, Iterator, List, Optional, Sequence, Tuple

from modelyard_worker.answers import Parts, answer_meta
from modelyard_worker.frames import END
from modelyard_worker.request import Request
from modelyard_worker.schemas import describe_hints
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.web_request import WANTS, WebRequest, answer_headers, web_request


class WsgiApp:
    """Serves an application, as many calls at a time as there are threads."""

    batches = False
    asynchronous = False
    wants: Tuple[str, ...] = WANTS

    def __init__(self, app: Any, serving: Serving) -> None:
        self.app = app
        self._serving = serving

    async def open(self) -> None:
        """WSGI knows no start."""

    async def close(self) -> None:
        """WSGI knows no end."""

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        return [self._answer(web_request(one, self._serving)) for one in requests]

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    def describe(self) -> Dict[str, Any]:
        return {"web_app": True, **describe_hints(None, None)}

    def probe(self) -> None:
        """That it was imported is the proof: which of its paths to ask is not known."""

    def _answer(self, asked: WebRequest) -> Answer:
        started = _Started()
        result: Any = self.app(_environ(asked), started.start_response)
        parts = _parts(result, started.written)
        first = next(parts, b"")
        status, headers = started.answer()
        kind, rest = answer_headers(headers)
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        if asked.method != "HEAD" and not (length.isdigit() and len(first) >= int(length)):
            if not isinstance(result, (list, tuple)):
                return 0, b"", Parts(_all(first, parts), "", status, rest, kind)
            first += b"".join(parts)
        parts.close()
        return END, answer_meta(status, kind, rest), b"" if asked.method == "HEAD" else first


class _Started:
    """What `start_response` was told."""

    def __init__(self) -> None:
        self.written: List[bytes] = []
        self._status: Optional[str] = None
        self._headers: List[Tuple[str, str]] = []

    def start_response(self, status: str, headers: List[Tuple[str, str]], exc_info: Any = None) -> Any:
        if self._status is not None and exc_info is None:
            raise RuntimeError("start_response was called twice")
        self._status, self._headers = status, list(headers)
        return self.written.append

    def answer(self) -> Tuple[int, List[Tuple[str, str]]]:
        if self._status is None:
            raise RuntimeError("the application did not call start_response")
        return int(self._status.split(" ", 1)[0]), self._headers


def _parts(result: Any, written: List[bytes]) -> Generator[bytes, None, None]:
    """The parts of an answer; closes it, as PEP 3333 wants, whatever happens."""
    try:
        for part in result:
            if written:
                yield b"".join(written)
                written.clear()
            if part:
                yield bytes(part)
        if written:
            yield b"".join(written)
    finally:
        if hasattr(result, "close"):
            result.close()


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _environ(asked: WebRequest) -> Dict[str, Any]:
    host, _, port = asked.header("host").partition(":")
    environ: Dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": asked.root,
        "PATH_INFO": asked.path_bytes.decode("latin-1"),
        "QUERY_STRING": asked.query,
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(asked.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in asked.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
