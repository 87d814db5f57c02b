"""What a predictor returned, as an ANSWER: in the form that the caller accepts."""

import inspect
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union, cast

from modelyard_worker import bodies, images, media
from modelyard_worker.frames import END, pack_meta
from modelyard_worker.request import Refusal, unacceptable
from modelyard_worker.response import Response
from modelyard_worker.servable import Answer, check_meta

_METAS: Dict[str, bytes] = {
    kind: pack_meta({"status": 200, "type": kind})
    for kind in (media.JSON, media.CSV, media.NPY, media.TEXT, media.BYTES, media.PNG, media.JPEG, *media.LINES_NAMES)
}


_ORDINARY = frozenset((dict, list, tuple, str, bytes, int, float, bool, type(None)))
"""Classes of most answers: nothing else has to be asked of them."""


def write_answer(value: Any, accept: str) -> Answer:
    """An answer of status 200, or as a Response says. Raises Refusal where the caller accepts no form of the value."""
    if accept is media.AS_IS:
        return _unwritten(value)
    if value.__class__ not in _ORDINARY:
        if isinstance(value, Response):
            return _write_response(value, accept)
        if _is_parts(value):
            return 0, b"", Parts(value, accept, 200, [], None)
        if hasattr(value, "raw_headers"):
            return _write_foreign(value)
    kind, body = _write(value, accept)
    return END, _METAS[kind], body


def write_answers(values: Sequence[Any], accept: str) -> List[Answer]:
    """The answers to the members of one batch, which all accept the same. Raises as `write_answer`."""
    first = values[0]
    ordinary = first.__class__
    if ordinary not in _ORDINARY or accept is media.AS_IS or any(one.__class__ is not ordinary for one in values):
        return [write_answer(one, accept) for one in values]
    # What they can be written as depends on their class alone.
    kind = _choose(first, accept)
    write, meta = _WRITERS[kind], _METAS[kind]
    return [(END, meta, write(one)) for one in values]


def _unwritten(value: Any) -> Answer:
    """The value itself in a body's place."""
    status, headers, body = 200, [], value
    if isinstance(value, Response):
        status, headers, body = value.status, list(value.headers.items()), value.body
    elif hasattr(value, "raw_headers") and hasattr(value, "body"):
        status, body = value.status_code, bytes(value.body)
    if _is_parts(body) or hasattr(body, "body_iterator"):
        raise Refusal(406, "invalid_value", "cannot answer in parts: this protocol has only whole answers")
    return END, answer_meta(status, media.JSON, headers), body


def _write_response(response: Response, accept: str) -> Answer:
    if _is_parts(response.body):
        return (
            0,
            b"",
            Parts(response.body, accept, response.status, list(response.headers.items()), response.content_type),
        )
    if response.content_type is None:
        kind, body = _write(response.body, accept)
    else:
        kind, body = response.content_type, _as_is(response.body)
    return END, answer_meta(response.status, kind, list(response.headers.items())), body


def _write_foreign(response: Any) -> Answer:
    """A response of Starlette's or FastAPI's, which Cortex let a predictor return."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
    kind = next((value for name, value in pairs if name == "content-type"), media.BYTES)
    headers = [(name, value) for name, value in pairs if name not in ("content-type", "content-length")]
    source = getattr(response, "body_iterator", None)
    if source is not None:
        return 0, b"", Parts(_each(source), "", response.status_code, headers, kind)
    return END, answer_meta(response.status_code, kind, headers), bytes(response.body)


async def _each(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for part in source:
        yield part


def answer_meta(status: int, kind: str, headers: Sequence[Tuple[str, str]]) -> bytes:
    """Raises ProtocolError where the headers do not fit into one frame."""
    meta: Dict[str, Any] = {"status": status, "type": kind}
    return check_meta(pack_meta({**meta, "headers": list(headers)} if headers else meta))


def _as_is(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", value))
    return value.encode() if isinstance(value, str) else bodies.write_json(value)


# One value in one of several forms


def _write(value: Any, accept: str) -> Tuple[str, bytes]:
    kind = _choose(value, accept)
    return kind, _WRITERS[kind](value)


def _choose(value: Any, accept: str) -> str:
    offered = _forms(value)
    kind = media.choose(accept, offered)
    if kind is None:
        raise unacceptable(accept, ", ".join(offered))
    return kind


def _forms(value: Any) -> Tuple[str, ...]:
    """Content types that a value can be sent as, the one that a caller without wishes gets first."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return (media.BYTES,)
    if isinstance(value, (str, int, float)) or value is None:
        return (media.JSON, media.TEXT, media.CSV)
    if isinstance(value, (list, tuple)) or type(value).__name__ in ("ndarray", "DataFrame", "Series"):
        return (media.JSON, media.CSV, media.NPY, media.TEXT, *media.LINES_NAMES)
    if type(value).__module__.startswith("PIL."):
        return (media.PNG, media.JPEG)
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


def _write_lines(value: Any) -> bytes:
    plain: Any = value
    if hasattr(value, "to_dict"):
        # A table's rows are records, a column's are its values.
        plain = value.to_dict(orient="records") if hasattr(value, "columns") else value.tolist()
    elif hasattr(value, "tolist"):
        plain = value.tolist()
    return bodies.write_lines(cast("Any", plain) if isinstance(plain, (list, tuple)) else [plain])


_WRITERS: Dict[str, Callable[[Any], bytes]] = {
    media.JSON: bodies.write_json,
    media.CSV: _write_csv,
    media.NPY: bodies.write_npy,
    media.TEXT: _write_text,
    media.BYTES: bytes,
    media.PNG: lambda value: images.write_image(value, media.PNG),
    media.JPEG: lambda value: images.write_image(value, media.JPEG),
    **dict.fromkeys(media.LINES_NAMES, _write_lines),
}


# Parts, one after the other


def _is_parts(value: Any) -> bool:
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


class Parts:
    """An answer that is still being made: a generator's parts, each sent as it comes.

    Bytes are sent as they are, text as UTF-8, anything else as JSON with a line's end after it. The first part decides
    the content type where nothing else does. To a caller that accepts `text/event-stream` each part is an event; to one
    that accepts JSON Lines each is a line of JSON, texts too.
    """

    def __init__(
        self,
        source: Union[Iterator[Any], AsyncIterator[Any]],
        accept: str,
        status: int,
        headers: Sequence[Tuple[str, str]],
        content_type: Optional[str],
    ) -> None:
        self.source = source
        self._accept = accept
        self._status = status
        self._headers = headers
        self._type = content_type
        self._write: Callable[[Any], bytes] = _write_part

    @property
    def asynchronous(self) -> bool:
        return hasattr(self.source, "__aiter__")

    def meta(self, first: Any) -> bytes:
        """Meta of the ANSWER, given its first part (None where there is none). Raises Refusal as `write_answer`."""
        if self._type is None:
            offered = _stream_forms(first)
            kind = media.choose(self._accept, offered)
            if kind is None:
                raise unacceptable(self._accept, " and ".join(offered))
            if kind == media.EVENTS:
                self._write = _write_event
            elif kind in media.LINES_NAMES:
                self._write = _write_line
            self._type = f"{kind}; charset=utf-8" if kind == media.TEXT else kind
        return answer_meta(self._status, self._type, self._headers)

    def write(self, part: Any) -> bytes:
        """One part as it is sent; `meta` was called before."""
        return self._write(part)


def _stream_forms(first: Any) -> Tuple[str, ...]:
    """Content types that parts like the first can be sent as, the one that a caller without wishes gets first."""
    if isinstance(first, (bytes, bytearray, memoryview)):
        return (media.BYTES, media.EVENTS)
    if isinstance(first, str):
        return (media.TEXT, media.EVENTS, *media.LINES_NAMES)
    return (*media.LINES_NAMES, media.EVENTS)


def _write_part(part: Any) -> bytes:
    data = _as_is(part)
    return data if isinstance(part, (str, bytes, bytearray, memoryview)) else data + b"\n"


def _write_line(part: Any) -> bytes:
    return bodies.write_json(part) + b"\n"


def _write_event(part: Any) -> bytes:
    text = part if isinstance(part, str) else _as_is(part).decode()
    # Any of the three line ends is one to a reader of events, and only these.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
