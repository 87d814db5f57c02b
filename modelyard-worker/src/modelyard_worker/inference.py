"""The Open Inference Protocol in front of whatever is served.

It is translated here and not in the gateway, because here are NumPy, the model's own types and a process per core. To
the servable behind it a request is one of type `media.TENSORS` whose body is `tensors.Tensors`; its answer comes back
as the predictor's own value (`media.AS_IS`), so that a type survives that JSON would lose.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from modelyard_worker import bodies, media
from modelyard_worker.answers import answer_meta
from modelyard_worker.frames import ERROR, pack_meta, unpack_meta
from modelyard_worker.request import Refusal, Request
from modelyard_worker.servable import Answer, Servable, Serving
from modelyard_worker.tensors import Asked, read_asked, write_answer

HEADER_LENGTH = "inference-header-content-length"


class WithTensors:
    """Serves `inner`, and speaks tensors with those who do."""

    def __init__(self, inner: Servable, serving: Serving) -> None:
        self._inner = inner
        self._serving = serving
        self._is_web_app = "path" in inner.wants
        self.batches = inner.batches
        self.asynchronous = inner.asynchronous
        self.wants: Tuple[str, ...] = inner.wants
        self.reads_tables = bool(getattr(inner, "reads_tables", True))
        """One request may hold many rows: true of all but predictors that take one thing."""
        self.on_job_complete: Optional[Callable[[], Any]] = getattr(inner, "on_job_complete", None)
        self.open = inner.open
        self.close = inner.close
        self.describe = inner.describe
        self.probe = inner.probe

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        if requests[0].meta.kind != media.TENSORS:
            return self._inner.predict(requests)
        asked = self._read(requests)
        return self._write(asked, self._inner.predict(_inside(requests, asked)))

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        if requests[0].meta.kind != media.TENSORS:
            return await self._inner.predict_async(requests)
        asked = self._read(requests)
        return self._write(asked, await self._inner.predict_async(_inside(requests, asked)))

    def _read(self, requests: Sequence[Request]) -> List[Asked]:
        if self._is_web_app:
            raise Refusal(400, "invalid_value", f"cannot infer: {self._serving.endpoint} serves a web application")
        return [read_asked(one.body) for one in requests]

    def _write(self, asked: Sequence[Asked], answers: List[Answer]) -> List[Answer]:
        return [self._write_one(*pair) for pair in zip(asked, answers)]

    def _write_one(self, asked: Asked, answer: Answer) -> Answer:
        flags, meta, value = answer
        if flags & ERROR:
            return answer
        told: Dict[str, Any] = unpack_meta(meta)
        if int(told["status"]) >= 400:
            return flags, meta, bodies.write_json({"error": _said(value)})
        length, body = write_answer(asked, self._serving.endpoint, self._serving.version, value)
        headers = [(str(name), str(text)) for name, text in told.get("headers") or ()]
        if length:
            headers.append((HEADER_LENGTH, str(length)))
        kind = media.BYTES if length else media.JSON
        made = answer_meta(int(told["status"]), kind, headers)
        return flags, pack_meta({**unpack_meta(made), "tracked": told["tracked"]}) if "tracked" in told else made, body


def _said(value: Any) -> str:
    """An error that the predictor worded itself, as this protocol's one text."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else bodies.write_json(value).decode()


def _inside(requests: Sequence[Request], asked: Sequence[Asked]) -> List[Request]:
    """The requests as the servable sees them."""
    found: List[Request] = []
    for request, one in zip(requests, asked):
        meta = request.meta._replace(accept=media.AS_IS)
        inside = Request(request.caller, request.stream, meta, one.tensors, request.attempt)  # type: ignore[arg-type]  # in a body's place
        found.append(inside)
    return found
