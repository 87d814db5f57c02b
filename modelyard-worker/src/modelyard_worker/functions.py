"""SageMaker's functions in a file: `model_fn`, `input_fn`, `predict_fn`, `output_fn`, any of them; or `transform_fn`.

    model_fn(model_dir)                        without it, the package's model is loaded as a bare file is
    input_fn(body, content_type)               without it, JSON, CSV, NPY and NPZ become an array
    predict_fn(data, model)                    without it, the model's own predict
    output_fn(prediction, accept)              without it, JSON, CSV or NPY, as sagemaker-inference writes them
    transform_fn(model, body, content_type, accept)    in place of the last three

Each may take a context as one more argument. Bodies of JSON, CSV and other text arrive as text, others as bytes.
"""

import inspect
import os
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, cast

from modelyard_worker import bodies, media
from modelyard_worker.after import After
from modelyard_worker.answers import answer_meta, write_answer
from modelyard_worker.frames import END, unpack_meta
from modelyard_worker.loaders import Loader
from modelyard_worker.packages import TrackerSpec
from modelyard_worker.payloads import read_array
from modelyard_worker.request import Request, unsupported
from modelyard_worker.schemas import describe_hints
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.signatures import CannotServe

DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
"""The variable that says how to answer who accepts anything."""

_READABLE = (media.JSON, media.CSV, media.NPY, media.NPZ)


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with so many arguments by place."""
    try:
        inspect.signature(function).bind(*([None] * count))
    except TypeError:
        return False
    return True


class SageMakerContext:
    """The parts of SageMaker's context that scripts read."""

    def __init__(self, model_dir: str, request: Optional[Request] = None) -> None:
        self.system_properties: Dict[str, Any] = {"model_dir": model_dir, "gpu_id": None}
        self.request_id = request.id if request is not None else ""
        self._headers = request.meta.headers if request is not None else {}

    def get_request_id(self, index: int = 0) -> str:  # noqa: ARG002 (SageMaker's signature: requests come one by one)
        return self.request_id

    def get_request_header(self, index: int, name: str) -> Optional[str]:  # noqa: ARG002 (as above)
        return self._headers.get(name.lower())


class Functions:
    """Serves the functions of one module."""

    batches = False
    asynchronous = False

    def __init__(
        self,
        module: ModuleType,
        model: Any,
        loader: Optional[Loader],
        model_dir: str,
        serving: Serving,
        tracker: Optional[TrackerSpec] = None,
    ) -> None:
        self._model = model
        self._loader = loader
        self._model_dir = model_dir
        self._transform = _step(module, "transform_fn", 4)
        self._input = _step(module, "input_fn", 2)
        self._predict = _step(module, "predict_fn", 2)
        self._output = _step(module, "output_fn", 2)
        if self._predict is None and self._transform is None and not self._can_predict():
            raise CannotServe("cannot serve without predict_fn: the model has no `predict` and cannot be called")
        steps = (self._transform, self._input, self._predict, self._output)
        self._wants_context = any(one is not None and one.with_context for one in steps)
        self.wants: Tuple[str, ...] = ("headers", "query") if self._wants_context else ("query",)
        self._after = After(None, None, serving, tracker)

    def _can_predict(self) -> bool:
        return self._loader is not None or callable(getattr(self._model, "predict", None)) or callable(self._model)

    async def open(self) -> None:
        """The model is there: nothing is left to do."""

    async def close(self) -> None:
        """Nothing is to be let go of."""

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        return [self._answer(one) for one in requests]

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    def describe(self) -> Dict[str, Any]:
        return describe_hints(None, None)

    def probe(self) -> None:
        """That the model was loaded is the proof: no payload is known that the functions would have to take."""

    def _answer(self, request: Request) -> Answer:
        context = SageMakerContext(self._model_dir, request) if self._wants_context else None
        accept = _wished(request.meta.accept)
        body = _as_sent(request)
        kind = media.JSON if request.meta.kind == media.TENSORS else request.meta.type or media.JSON
        as_is = request.meta.accept is media.AS_IS
        if self._transform is not None:
            data: Any = body
            prediction = self._transform.call(context, self._model, body, kind, accept)
            answer = _write(prediction, accept)
        else:
            data = self._input.call(context, body, kind) if self._input else _default_input(request)
            found = self._predict.call(context, data, self._model) if self._predict else self._default_predict(data)
            prediction = found
            if self._output is not None:
                answer = _write(self._output.call(context, found, accept), accept)
            else:
                answer = write_answer(found, media.AS_IS) if as_is else _encode(found, accept)
        if as_is:
            answer = _unwritten(answer)
        if self._after.idle and not request.meta.query:
            return answer
        return self._after.look(request, data, prediction, answer)

    def _default_predict(self, data: Any) -> Any:
        if self._loader is not None:
            np = bodies.library("numpy", "an array")
            return self._loader.predict(self._model, np.atleast_2d(data))
        return self._model.predict(data) if hasattr(self._model, "predict") else self._model(data)


class _Step:
    """One of the functions, and whether it takes a context."""

    def __init__(self, function: Callable[..., Any], *, with_context: bool) -> None:
        self._function = function
        self.with_context = with_context

    def call(self, context: Any, *arguments: Any) -> Any:
        return self._function(*arguments, context) if self.with_context else self._function(*arguments)


def _step(module: ModuleType, name: str, count: int) -> Optional[_Step]:
    function: Any = getattr(module, name, None)
    if function is None:
        return None
    if takes(function, count):
        return _Step(function, with_context=takes(function, count + 1) and _named_context(function))
    if takes(function, count + 1):
        return _Step(function, with_context=True)
    raise CannotServe(f"cannot call {name}: it must take {count} arguments, and may take a context as one more")


def _named_context(function: Callable[..., Any]) -> bool:
    return "context" in inspect.signature(function).parameters


def _as_sent(request: Request) -> Any:
    kind = request.meta.kind
    if kind == media.TENSORS:
        # The functions know no tensors: they get what a client that sends JSON would have sent.
        tensors: Any = request.body
        return bodies.write_json(tensors[0].values() if len(tensors) == 1 else tensors.by_name()).decode()
    return bodies.read_text(request.body) if media.is_json(kind) or kind.startswith("text/") else request.body


def _wished(accept: str) -> str:
    """The one type that the functions are asked for: the first that is named, without its quality."""
    first = media.media_type(accept.partition(",")[0])
    return os.environ.get(DEFAULT_ACCEPT, media.JSON) if first in ("", "*/*") else first


def _default_input(request: Request) -> Any:
    kind = request.meta.kind
    if kind not in (*_READABLE, media.TENSORS) and not media.is_json(kind):
        raise unsupported(request.meta.type, ", ".join(_READABLE))
    return read_array(kind, request.body)


def _encode(prediction: Any, accept: str) -> Answer:
    plain = prediction.tolist() if hasattr(prediction, "tolist") and accept == media.JSON else prediction
    return write_answer(plain, accept)


def _unwritten(answer: Answer) -> Answer:
    """What the functions wrote as JSON, as a value again."""
    flags, meta, body = answer
    is_json = isinstance(body, bytes) and media.media_type(str(unpack_meta(meta).get("type"))) == media.JSON
    return flags, meta, bodies.read_json(body) if is_json else body


def _write(found: Any, accept: str) -> Answer:
    """What `output_fn` returned: a body of the type that was asked for, or a pair of a body and its type."""
    kind, value = accept, found
    if isinstance(found, tuple):
        pair = cast("Tuple[Any, ...]", found)
        if len(pair) == 2 and isinstance(pair[1], str):
            value, kind = pair
    if hasattr(value, "mimetype") and hasattr(value, "get_data"):
        # Flask's response, of which sagemaker-containers made its own.
        return END, answer_meta(value.status_code, str(value.mimetype), []), value.get_data()
    if isinstance(value, str):
        return END, answer_meta(200, kind, []), value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return END, answer_meta(200, kind, []), bytes(cast("bytes", value))
    return write_answer(value, kind)
