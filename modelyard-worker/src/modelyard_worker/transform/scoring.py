"""A piece scored: its records filtered, the model asked, the answers joined to the input and put together.

    InputFilter    what of each record the model is sent
    JoinSource     Input: the answer is added to the record it belongs to; a CSV row gets its columns at the end, a JSON
                   object the field SageMakerOutput, any other JSON value becomes an object of both
    OutputFilter   what of the (joined) answer is written

MultiRecord sends a piece as one request, SingleRecord every line as one. A request that the model does not answer is
told with the record at which it fails, which is looked for by halves.
"""

import asyncio
import csv
import inspect
import io
import itertools
import os
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, cast

from modelyard_worker import bodies, media
from modelyard_worker.answers import Parts
from modelyard_worker.batching import summary
from modelyard_worker.frames import ERROR, unpack_meta
from modelyard_worker.predictor_class import OBJECT_NAME
from modelyard_worker.request import Meta, Raw, Refusal, Request
from modelyard_worker.servable import Answer, Servable
from modelyard_worker.transform import json_paths, tables
from modelyard_worker.transform.objects import Format
from modelyard_worker.transform.plan import AUTO, INPUT, LINE, MULTI_RECORD, SINGLE_RECORD, TransformPlan

OUTPUT_FIELD = "SageMakerOutput"
INPUT_FIELD = "SageMakerInput"


class Failed(Exception):  # noqa: N818 (reads as what happened)
    """A piece cannot be scored. `record` is which of its records is to blame, from 0, where that is known."""

    def __init__(self, message: str, record: Optional[int] = None, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.record = record
        self.lasting = lasting
        """Trying again would not help: the request was refused."""


class Scored(NamedTuple):
    body: bytes
    records: int


class Caller:
    """What a request takes for the connection that it came on."""

    gateway = "00000000"


def strategy_for(plan: TransformPlan, servable: Servable) -> str:
    """The plan's, or what suits the model: whole pieces for what reads tables, lines for what takes one thing."""
    if plan.strategy != AUTO:
        return plan.strategy
    return MULTI_RECORD if getattr(servable, "reads_tables", True) else SINGLE_RECORD


class Scoring:
    """Scores pieces with one servable. `beat` is called after each request."""

    def __init__(self, plan: TransformPlan, servable: Servable, beat: Callable[[], None]) -> None:
        self._plan = plan
        self._servable = servable
        self._beat = beat
        self._strategy = strategy_for(plan, servable)
        self._input_path = json_paths.parse(plan.input_filter)
        self._output_path = json_paths.parse(plan.output_filter)
        self._join = plan.join == INPUT
        self._by_record = self._join or plan.input_filter != json_paths.WHOLE or plan.output_filter != json_paths.WHOLE
        self._loop = asyncio.new_event_loop() if servable.asynchronous else None
        self._streams = itertools.count(1)

    def score(self, name: str, found: Format, body: bytes, header: bytes) -> Scored:
        """Raises Failed."""
        if found.split != LINE:
            return Scored(self._score_whole(name, found, body), 1)
        lines = _lines(body)
        if not lines:
            return Scored(b"", 0)
        if self._strategy == SINGLE_RECORD:
            return Scored(self._score_singly(name, found, lines, header), len(lines))
        plain = b"\n".join(lines) if len(lines) != body.count(b"\n") or b"\r" in body else body
        try:
            return Scored(self._score_many(name, found, plain, lines, header), len(lines))
        except Failed as failure:
            if failure.record is None and len(lines) > 1:
                failure.record = self._find_bad(name, found, lines, header)
            raise

    @property
    def completes(self) -> bool:
        """Whether the predictor wants to be told when everything was scored."""
        return getattr(self._servable, "on_job_complete", None) is not None

    def complete(self) -> None:
        """Tells it. Raises what it raises."""
        told: Any = getattr(self._servable, "on_job_complete")()  # noqa: B009 (few servables have it)
        if inspect.isawaitable(told):
            loop = self._loop or asyncio.new_event_loop()
            loop.run_until_complete(_awaited(told))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _score_whole(self, name: str, found: Format, body: bytes) -> bytes:
        if not self._by_record:
            return self._ask(name, found.content_type, found.kind, found.accept, [body])[0]
        records = _Records(_record_kind(found))
        parsed = records.read(body)
        sent = records.write([self._filtered(one, at) for at, one in enumerate(parsed)])
        answer = self._ask(name, found.content_type, found.kind, found.accept, [sent])[0]
        return self._joined(records, parsed, answer)

    def _score_many(self, name: str, found: Format, body: bytes, lines: List[bytes], header: bytes) -> bytes:
        if not self._by_record:
            answer = self._ask(name, found.content_type, found.kind, found.accept, [header + body])[0]
            return answer if found.assemble != LINE or answer.endswith(b"\n") else answer + b"\n"
        records = _Records(_record_kind(found))
        parsed = records.read(b"\n".join(lines))
        sent = records.write([self._filtered(one, at) for at, one in enumerate(parsed)])
        answer = self._ask(name, found.content_type, found.kind, found.accept, [header + sent])[0]
        joined = self._joined(records, parsed, answer)
        return joined if found.assemble != LINE or joined.endswith(b"\n") else joined + b"\n"

    def _score_singly(self, name: str, found: Format, lines: List[bytes], header: bytes) -> bytes:
        records = _Records(_record_kind(found))
        given: List[Any] = [records.read(line)[0] for line in lines] if self._by_record else []
        sent = [
            header + (records.write([self._filtered(given[at], at)]) if given else line)
            for at, line in enumerate(lines)
        ]
        kind, content_type, accept = found.kind, found.content_type, found.accept
        if kind == media.LINES and self._plan.strategy == AUTO:
            # A line of JSON Lines is JSON: what takes one thing is sent one thing.
            kind, content_type, accept = media.JSON, media.JSON, self._plan.accept or media.JSON
        ending = b"\n" if found.assemble == LINE else b""
        written: List[bytes] = []
        for begin in range(0, len(sent), self._plan.batch_size):
            batch = sent[begin : begin + self._plan.batch_size]
            answers = self._ask(name, content_type, kind, accept, batch, begin)
            for at, answer in enumerate(answers, begin):
                body = self._joined(records, [given[at]], answer, at) if given else answer
                written.append(body if ending and body.endswith(b"\n") else body + ending)
        return b"".join(written)

    def _find_bad(self, name: str, found: Format, lines: List[bytes], header: bytes) -> Optional[int]:
        """The first record at which a piece fails, by halves; None where every half passes."""
        begin, end = 0, len(lines)
        while end - begin > 1:
            middle = (begin + end) // 2
            if self._fails(name, found, lines[begin:middle], header):
                end = middle
            elif self._fails(name, found, lines[middle:end], header):
                begin = middle
            else:
                return None
        return begin

    def _fails(self, name: str, found: Format, lines: List[bytes], header: bytes) -> bool:
        try:
            self._score_many(name, found, b"\n".join(lines), lines, header)
        except Failed:
            return True
        return False

    # -- the model ---------------------------------------------------------------------------------------------------

    def _ask(
        self, name: str, content_type: str, kind: str, accept: str, sent: Sequence[bytes], first: int = 0
    ) -> List[bytes]:
        """The answers' bodies. Raises Failed."""
        requests = [self._request(name, content_type, kind, accept, body) for body in sent]
        if self._servable.batches and len(requests) > 1:
            try:
                answers = [_body_of(answer) for answer in self._predict(requests)]
            except (Exception, SystemExit):  # noqa: BLE001 (the user's code raises what it likes)
                # As at an endpoint: the members of a batch run one by one, so that a bad one fails alone.
                answers = [self._ask_one(request, first + at) for at, request in enumerate(requests)]
            self._beat()
            return answers
        return [self._ask_one(request, first + at if len(sent) > 1 else None) for at, request in enumerate(requests)]

    def asking(self, name: str) -> tables.Ask:
        """The same for whoever has records of another kind."""

        def ask(content_type: str, accept: str, sent: Sequence[bytes], first: int) -> List[bytes]:
            return self._ask(name, content_type, content_type, accept, sent, first)

        return ask

    def _ask_one(self, request: Request, record: Optional[int]) -> bytes:
        try:
            return _body_of(self._predict((request,))[0], self._loop)
        except Refusal as refusal:
            raise Failed(refusal.message, record, lasting=refusal.status < 500) from refusal
        except Failed as failure:
            failure.record = record
            raise
        except (Exception, SystemExit) as error:
            raise Failed(summary(error), record) from error
        finally:
            self._beat()

    def _predict(self, requests: Sequence[Request]) -> List[Answer]:
        if self._loop is not None:
            return self._loop.run_until_complete(self._servable.predict_async(requests))
        return self._servable.predict(requests)

    def _request(self, name: str, content_type: str, kind: str, accept: str, body: bytes) -> Request:
        stream = next(self._streams)
        identifier = f"{self._plan.name}-{os.getpid():x}-{stream:x}"
        # The second is Cortex's, for whom a transform is a job.
        headers = {OBJECT_NAME: name, "x-cortex-job-id": self._plan.name}
        meta = Meta(content_type, kind, accept, (content_type, accept), headers, {}, identifier, _NO_RAW)
        return Request(Caller(), stream, meta, body)

    # -- records -----------------------------------------------------------------------------------------------------

    def _filtered(self, record: Any, at: int) -> Any:
        """What of a record the model is sent."""
        try:
            return json_paths.apply(self._input_path, record)
        except ValueError as error:
            raise Failed(f"{error} (input_filter {self._plan.input_filter})", at, lasting=True) from error

    def _joined(self, records: "_Records", given: List[Any], answer: bytes, first: int = 0) -> bytes:
        try:
            answered: List[Any] = records.read(answer)
        except ValueError as error:
            raise Failed(f"cannot read the model's answer as {records.kind}: {error}", lasting=True) from error
        if self._join:
            if len(answered) != len(given):
                raise Failed(f"the model answered {len(given)} records with {len(answered)}", lasting=True)
            answered = [records.join(one, other) for one, other in zip(given, answered)]
        try:
            return records.write([json_paths.apply(self._output_path, one) for one in answered])
        except ValueError as error:
            raise Failed(f"{error} (output_filter {self._plan.output_filter})", first, lasting=True) from error


_NO_RAW = Raw("", "", "", ())


async def _awaited(told: Awaitable[Any]) -> None:
    await told


def _record_kind(found: Format) -> str:
    """What the records of a piece are: lines of JSON, whatever the model is told that it gets."""
    return media.LINES if found.split == LINE and media.is_json(found.kind) else found.kind


def _lines(body: bytes) -> List[bytes]:
    """The lines that say something: an empty one is no record, wherever a piece was cut."""
    lines = body.split(b"\n")
    if b"\r" in body:
        lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    return [line for line in lines if line and not line.isspace()]


def _body_of(answer: Answer, loop: Optional[asyncio.AbstractEventLoop] = None) -> bytes:
    """What an answer says. Raises Failed where it is an error."""
    flags, meta, body = answer
    if isinstance(body, Parts):
        return _collected(body, loop)
    found = unpack_meta(meta)
    status = int(found.get("status") or 200)
    if flags & ERROR or status >= 400:
        message = str(found.get("message") or bytes(body[:200]).decode("utf-8", "replace") or f"status {status}")
        raise Failed(message, lasting=400 <= status < 500)
    return bytes(body)


def _collected(parts: Parts, loop: Optional[asyncio.AbstractEventLoop]) -> bytes:
    """A generator's parts, one after the other."""
    if parts.asynchronous:
        runner = loop or asyncio.new_event_loop()
        return runner.run_until_complete(_gather(parts))
    written: List[bytes] = []
    for part in cast("Iterator[Any]", parts.source):
        if not written:
            parts.meta(part)
        written.append(parts.write(part))
    return b"".join(written)


async def _gather(parts: Parts) -> bytes:
    written: List[bytes] = []
    async for part in cast("AsyncIterator[Any]", parts.source):
        if not written:
            parts.meta(part)
        written.append(parts.write(part))
    return b"".join(written)


class _Records:
    """Bodies as lists of records and back. Cells of CSV stay the text that they are."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind not in (media.CSV, media.LINES) and not media.is_json(kind):
            raise Failed(f"filters and joins are for CSV and JSON, not for {kind}", lasting=True)

    def read(self, body: bytes) -> List[Any]:
        """Raises Failed naming the record that cannot be read."""
        if self.kind == media.CSV:
            try:
                return list(csv.reader(io.StringIO(bodies.read_text(body)), strict=True))
            except csv.Error as error:
                raise Failed(f"cannot read CSV: {error}", lasting=True) from error
        if self.kind != media.LINES:
            return [_json(body, None)]
        return [_json(line, at) for at, line in enumerate(_lines(body))]

    def write(self, records: List[Any]) -> bytes:
        if self.kind != media.CSV:
            return b"\n".join(bodies.write_json(one) for one in records)
        target = io.StringIO()
        rows: List[List[Any]] = [one if isinstance(one, list) else [one] for one in records]
        csv.writer(target, lineterminator="\n").writerows(rows)
        return target.getvalue()[:-1].encode()

    def join(self, given: Any, answered: Any) -> Any:
        if self.kind == media.CSV:
            return given + answered
        if isinstance(given, dict):
            return {**cast("Dict[str, Any]", given), OUTPUT_FIELD: answered}
        return {INPUT_FIELD: given, OUTPUT_FIELD: answered}


def _json(body: bytes, at: Optional[int]) -> Any:
    try:
        return bodies.parse_json(body)
    except (ValueError, RecursionError) as error:
        raise Failed(f"cannot read the record as JSON: {error}", at, lasting=True) from error
