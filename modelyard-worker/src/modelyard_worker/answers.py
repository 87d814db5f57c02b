"""What a predictor returned, as an ANSWER: in the form that the caller accepts."""

import inspect
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Tuple, Union, cast

from modelyard_worker import bodies, media
from modelyard_worker.frames import END, pack_meta
from modelyard_worker.request import unacceptable
from modelyard_worker.response import Response
from modelyard_worker.servable import Answer, check_meta

_METAS: Dict[str, bytes] = {
    kind: pack_meta({"status": 200, "type": kind})
    for kind in (media.JSON, media.CSV, media.NPY, media.TEXT, media.BYTES)
}


def write_answer(value: Any, accept: str) -> Answer:
    """An answer of status 200, or as a Response says. Raises Refusal where the caller accepts no form of the value."""
    if isinstance(value, Response):
        return _write_response(value, accept)
    if _is_parts(value):
        return 0, b"", Parts(value, accept, 200, {}, None)
    kind, body = _write(value, accept)
    return END, _METAS[kind], body


def _write_response(response: Response, accept: str) -> Answer:
    if _is_parts(response.body):
        return 0, b"", Parts(response.body, accept, response.status, response.headers, response.content_type)
    if response.content_type is None:
        kind, body = _write(response.body, accept)
    else:
        kind, body = response.content_type, _as_is(response.body)
    return END, _meta(response.status, kind, response.headers), body


def _meta(status: int, kind: str, headers: Dict[str, str]) -> bytes:
    if not headers:
        return pack_meta({"status": status, "type": kind})
    return check_meta(pack_meta({"status": status, "type": kind, "headers": list(headers.items())}))


def _as_is(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", value))
    return value.encode() if isinstance(value, str) else bodies.write_json(value)


# One value in one of several forms


def _write(value: Any, accept: str) -> Tuple[str, bytes]:
    offered = _forms(value)
    kind = media.choose(accept, offered)
    if kind is None:
        raise unacceptable(accept, ", ".join(offered))
    return kind, _WRITERS[kind](value)


def _forms(value: Any) -> Tuple[str, ...]:
    """Content types that a value can be sent as, the one that a caller without wishes gets first."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return (media.BYTES,)
    if isinstance(value, (str, int, float)) or value is None:
        return (media.JSON, media.TEXT, media.CSV)
    if isinstance(value, (list, tuple)) or type(value).__name__ in ("ndarray", "DataFrame", "Series"):
        return (media.JSON, media.CSV, media.NPY, media.TEXT)
    if hasattr(value, "dtype"):
        return (media.JSON, media.TEXT, media.CSV, media.NPY)
    return (media.JSON, media.TEXT)


def _write_text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return bodies.write_json(value)


def _write_csv(value: Any) -> bytes:
    if hasattr(value, "to_csv"):
        return cast("str", value.to_csv(index=False)).encode()
    plain: Any = value.tolist() if hasattr(value, "tolist") else value
    rows: List[Any] = list(cast("Any", plain)) if isinstance(plain, (list, tuple)) else [plain]
    return bodies.write_csv(rows)


_WRITERS: Dict[str, Callable[[Any], bytes]] = {
    media.JSON: bodies.write_json,
    media.CSV: _write_csv,
    media.NPY: bodies.write_npy,
    media.TEXT: _write_text,
    media.BYTES: bytes,
}


# Parts, one after the other


def _is_parts(value: Any) -> bool:
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


class Parts:
    """An answer that is still being made: a generator's parts, each sent as it comes.

    Bytes are sent as they are, text as UTF-8, anything else as JSON with a line's end after it. The first part decides
    the content type where nothing else does. To a caller that accepts `text/event-stream` each part is an event.
    """

    def __init__(
        self,
        source: Union[Iterator[Any], AsyncIterator[Any]],
        accept: str,
        status: int,
        headers: Dict[str, str],
        content_type: Optional[str],
    ) -> None:
        self.source = source
        self._accept = accept
        self._status = status
        self._headers = headers
        self._type = content_type
        self._events = False

    @property
    def asynchronous(self) -> bool:
        return inspect.isasyncgen(self.source)

    def meta(self, first: Any) -> bytes:
        """Meta of the ANSWER, given its first part (None where there is none). Raises Refusal as `write_answer`."""
        if self._type is None:
            natural = _natural_type(first)
            kind = media.choose(self._accept, (natural, media.EVENTS))
            if kind is None:
                raise unacceptable(self._accept, f"{natural} and {media.EVENTS}")
            self._events = kind == media.EVENTS
            self._type = f"{kind}; charset=utf-8" if kind == media.TEXT else kind
        return _meta(self._status, self._type, self._headers)

    def write(self, part: Any) -> bytes:
        """One part as it is sent; `meta` was called before."""
        if self._events:
            text = part if isinstance(part, str) else _as_is(part).decode()
            return "".join(f"data: {line}\n" for line in text.split("\n")).encode() + b"\n"
        data = _as_is(part)
        return data if isinstance(part, (str, bytes, bytearray, memoryview)) else data + b"\n"


def _natural_type(first: Any) -> str:
    if isinstance(first, (bytes, bytearray, memoryview)):
        return media.BYTES
    if isinstance(first, str):
        return media.TEXT
    return media.LINES
