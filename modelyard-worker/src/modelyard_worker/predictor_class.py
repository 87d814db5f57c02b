"""The user's predictor class: what its methods take was asked once, here they are called."""

import inspect
import os
import typing
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from modelyard_worker.after import After, context_of
from modelyard_worker.answers import write_answer, write_answers
from modelyard_worker.packages import TrackerSpec
from modelyard_worker.payloads import Reader, is_table, reader_for
from modelyard_worker.request import Request
from modelyard_worker.schemas import describe_hints
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.signatures import CannotServe, answering_method, asked_by, hints_of, own_method

ON_JOB_COMPLETE = "on_job_complete"
"""Cortex's name for it."""

OBJECT_NAME = "x-object-name"
"""Header that has the name of the object which a request of a batch transform is of."""


def _element(hint: Any) -> Any:
    """What a list of something holds; None where the hint does not say."""
    inside = typing.get_args(hint)
    return inside[0] if inside else None


def _batch_id(request: Request) -> str:
    """The name of the batch in a job of them, where each is an object; elsewhere the request's own."""
    name = str(request.meta.headers.get(OBJECT_NAME, ""))
    return os.path.splitext(name)[0] or request.id


class PredictorClass:
    """Serves an instance of the user's class."""

    def __init__(self, kind: type, instance: Any, serving: Serving, tracker: Optional[TrackerSpec] = None) -> None:
        name = kind.__name__
        method = answering_method(kind)
        self.batches = method == "predict_batch"
        if not method:
            raise CannotServe(f"cannot serve {name}: it has neither `predict` nor `predict_batch`")
        self._method: Any = getattr(instance, method)
        if self.batches:
            asked = asked_by(self._method, ("payloads",), f"{name}.{method}")
            self._reader: Reader = reader_for(_element(asked.hints.get("payloads")))
        else:
            offered = ("payload", "headers", "query_params", "context", "batch_id")
            asked = asked_by(self._method, offered, f"{name}.{method}")
            self._reader = reader_for(asked.hints.get("payload"))
        self.reads_tables = not self.batches and is_table(asked.hints.get("payload"))
        """One payload is many rows, so that a file of rows may come in pieces instead of line by line."""
        self._hints = {**asked.hints, "return": hints_of(self._method).get("return")}
        self._parameters = asked.parameters
        self._payload = asked.parameters.get("payload", "")
        self.on_job_complete: Optional[Callable[[], Any]] = None
        """Called once at the end of a batch transform, where the class has it."""
        if own_method(kind, ON_JOB_COMPLETE) is not None:
            self.on_job_complete = getattr(instance, ON_JOB_COMPLETE)
        self._serving = serving
        self._after = After(kind, instance, serving, tracker)
        self._idle = self._after.idle
        self.asynchronous = inspect.iscoroutinefunction(self._method) or inspect.isasyncgenfunction(self._method)
        wanted = {*asked.parameters, *self._after.wanted}
        # The query is always read, because of `?debug=true`; most requests have none.
        self.wants: Tuple[str, ...] = ("headers", "query") if "headers" in wanted else ("query",)

    async def open(self) -> None:
        """It was constructed: nothing is left to do."""

    async def close(self) -> None:
        """Nothing is to be let go of."""

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        if self.batches:
            payloads = self._payloads(requests)
            return self._split(requests, payloads, self._method(**self._gathered(payloads)))
        answers: List[Answer] = []
        for one in requests:
            arguments = self._arguments(one)
            result = self._method(**arguments)
            if self._idle and not one.meta.query:
                answers.append(write_answer(result, one.meta.accept))
            else:
                answers.append(self._look(one, arguments.get(self._payload), result))
        return answers

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        if self.batches:
            payloads = self._payloads(requests)
            return self._split(requests, payloads, await self._method(**self._gathered(payloads)))
        answers: List[Answer] = []
        for one in requests:
            arguments = self._arguments(one)
            found = self._method(**arguments)
            if inspect.isawaitable(found):
                found = await found
            answers.append(self._look(one, arguments.get(self._payload), found))
        return answers

    def describe(self) -> Dict[str, Any]:
        payload, result = self._hints.get("payload"), self._hints.get("return")
        if self.batches:
            payload, result = _element(self._hints.get("payloads")), _element(result)
        return describe_hints(payload, result)

    def probe(self) -> None:
        """That it was constructed is the proof: no payload is known that its `predict` would have to take."""

    def _arguments(self, request: Request) -> Dict[str, Any]:
        arguments: Dict[str, Any] = {}
        for what, parameter in self._parameters.items():
            if what == "payload":
                arguments[parameter] = self._reader(request.meta.kind, request.body)
            elif what == "headers":
                arguments[parameter] = dict(request.meta.headers)
            elif what == "query_params":
                arguments[parameter] = dict(request.meta.query)
            elif what == "batch_id":
                arguments[parameter] = _batch_id(request)
            else:
                arguments[parameter] = context_of(request, self._serving)
        return arguments

    def _look(self, request: Request, payload: Any, result: Any) -> Answer:
        return self._after.look(request, payload, result, write_answer(result, request.meta.accept))

    def _payloads(self, requests: Sequence[Request]) -> List[Any]:
        return [self._reader(one.meta.kind, one.body) for one in requests]

    def _gathered(self, payloads: List[Any]) -> Dict[str, Any]:
        return dict.fromkeys(self._parameters.values(), payloads)

    def _split(self, requests: Sequence[Request], payloads: List[Any], results: Any) -> List[Answer]:
        try:
            count = len(results)
        except TypeError:
            raise TypeError(f"predict_batch returned {type(results).__name__} instead of a list") from None
        if count != len(requests):
            raise ValueError(f"predict_batch returned {count} results for {len(requests)} payloads")
        if self._idle and not any(one.meta.query for one in requests):
            return write_answers(list(results), requests[0].meta.accept)
        return [self._look(*one) for one in zip(requests, payloads, results)]
